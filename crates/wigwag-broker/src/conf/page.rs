//! The page of options, written from the table.

use std::fmt::Write as _;

use super::table::{Class, Effect, ROWS, Row, Section, Since};

const HEAD: &str = "\
# Options of the broker

`wigwag broker -c mosquitto.conf` reads Mosquitto's configuration file. This page lists every option that it
knows. It is written by `cargo xtask docs` from the table that the parser works by.

Each line is an option, a space, and its value. A line that begins with `#` is a comment; a `#` later in a
line is none. Booleans are `true`, `1`, `false` and `0`; numbers may be written in hexadecimal (`0x10`) and,
with a leading `0`, in octal. A text goes to the end of its line, spaces included, and is said once.

What an option does here:

- **yes**: what the sentence beside it says.
- **no effect**: it is read and checked, then a warning says why nothing follows from it.
- **refused**: a file that uses it is refused, because the broker would be less safe than the file says.

A file with mistakes is refused as a whole, with every mistake by file and line, and the exit code is 3.
`wigwag broker -c FILE --test-config` only tells.
";

/// The parts of the page, in order.
const SECTIONS: &[(&str, &str, &[Section])] = &[
    (
        "The whole broker",
        "These may stand anywhere.",
        &[Section::Global],
    ),
    (
        "Security",
        "These may stand anywhere and hold for all listeners. With `per_listener_settings true` they stand below a\n`listener` and hold for that one.",
        &[Section::Security, Section::Plugin],
    ),
    (
        "Listeners",
        "These stand below the `listener` that they are about. Those with a star create a default listener on port\n1883 when they stand above all others.",
        &[
            Section::ListenerOrDefault,
            Section::Listener,
            Section::NamedListener,
        ],
    ),
    (
        "Bridges",
        "These stand below the `connection` that they are about.",
        &[Section::Bridge],
    ),
];

/// The page in Markdown.
pub fn options_page() -> String {
    let mut page = HEAD.to_owned();
    for (title, where_it_stands, sections) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n{where_it_stands}\n\n| option | default | here | what it does |\n|---|---|---|---|\n"
        );
        let rows = ROWS.iter().filter(|row| sections.contains(&row.section));
        rows.for_each(|row| page.push_str(&line(row)));
    }
    page
}

fn line(row: &Row) -> String {
    let star = if row.section == Section::ListenerOrDefault {
        " \\*"
    } else {
        ""
    };
    let aliases: String = row
        .aliases
        .iter()
        .map(|alias| format!(", `{alias}`"))
        .collect();
    let here = match row.effect {
        Effect::Works => "yes".to_owned(),
        Effect::None(why) => format!("no effect: {why}"),
        Effect::Refused(why) => format!("refused: {why}"),
    };
    let mut notes = row.what.to_owned();
    if row.class == Class::Rare {
        notes.push_str(" Rare.");
    }
    notes.push_str(match row.since {
        Since::V2_0 => "",
        Since::V2_1 => " Since Mosquitto 2.1.",
        Since::Ours => " Mosquitto does not have it.",
    });
    if let Some(instead) = row.deprecated {
        let _ = write!(
            notes,
            " Deprecated: Mosquitto 3.0 will not have it. {instead}"
        );
    }
    format!(
        "| `{}`{star}{aliases} | {} | {here} | {} |\n",
        row.name,
        row.default,
        notes.trim_end()
    )
}
