//! The page of options is written from the table that the parser works by.

use std::fs;
use std::path::PathBuf;

use wigwag_broker::conf::options_page;

#[test]
fn the_page_of_options_is_up_to_date() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let file = PathBuf::from(root).join("docs/reference/options.md");
    if std::env::var_os("WIGWAG_UPDATE").is_some() {
        fs::write(file, options_page()).expect("writable");
        return;
    }
    let published = fs::read_to_string(file).unwrap_or_default();
    assert!(
        published == options_page(),
        "`cargo xtask docs` writes the page anew"
    );
}
