//! The pages of options and limits are written from the tables that the broker works by.

use std::fs;
use std::path::PathBuf;

use wigwag_broker::conf::options_page;
use wigwag_broker::limits_page;

#[test]
fn the_page_of_options_is_up_to_date() {
    check("options.md", &options_page());
}

#[test]
fn the_page_of_limits_is_up_to_date() {
    check("limits.md", &limits_page());
}

fn check(name: &str, page: &str) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let file = PathBuf::from(root).join("docs/reference").join(name);
    if std::env::var_os("WIGWAG_UPDATE").is_some() {
        return fs::write(file, page).expect("writable");
    }
    let published = fs::read_to_string(file).unwrap_or_default();
    assert!(published == page, "`cargo xtask docs` writes {name} anew");
}
