//! Pages that are made from the code: `cargo xtask docs` writes them, tests compare them.
//!
//! Each page belongs to a test of the crate that knows its contents; run with `WIGWAG_UPDATE`, that
//! test writes the page instead of comparing it.

use std::process::Command;

use crate::process::run;

/// Packages, and the tests in their `tests/it` that write pages.
const PAGES: &[(&str, &str)] = &[
    ("wigwag-conformance", "the_page_is_up_to_date"),
    ("wigwag-broker", "the_page_of_options_is_up_to_date"),
    ("wigwag-broker", "the_page_of_limits_is_up_to_date"),
    ("wigwag-broker", "the_pages_of_numbers_are_up_to_date"),
];

pub(crate) fn write_all() -> anyhow::Result<()> {
    for (package, test) in PAGES {
        let mut command = Command::new("cargo");
        command
            .args([
                "test",
                "--quiet",
                "--package",
                package,
                "--test",
                "it",
                test,
            ])
            .env("WIGWAG_UPDATE", "1");
        run(&mut command)?;
    }
    Ok(())
}
