//! `docs/reference/conformance.md` against what the rows, the scripts and the records make of it.

use std::fs;
use std::path::PathBuf;

use wigwag_conformance::page::{self, Record};

use crate::results;

/// The records, and the subjects by name and version.
const SUBJECTS: [(&str, &str); 5] = [
    ("client-wigwag", "wigwag-client"),
    ("client-paho", "paho-mqtt 2.2.0"),
    ("client-mqttjs", "mqtt.js 5.16.0"),
    ("broker-wigwag", "Wigwag broker"),
    ("broker-mosquitto", "Mosquitto 2.0.11"),
];

#[test]
fn the_page_is_up_to_date() {
    let texts = SUBJECTS.map(|(file, _)| {
        let file = results::file(file);
        fs::read_to_string(file).expect("recorded; WIGWAG_UPDATE=1 records")
    });
    let records: Vec<Record<'_>> = SUBJECTS
        .iter()
        .zip(&texts)
        .map(|((_, subject), text)| Record { subject, text })
        .collect();
    let page = page::write(&records);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let file = PathBuf::from(root).join("docs/reference/conformance.md");
    if results::is_update() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
        fs::write(file, page).expect("writable");
    } else {
        let published = fs::read_to_string(file).unwrap_or_default();
        assert!(published == page, "`cargo xtask docs` writes the page anew");
    }
}
