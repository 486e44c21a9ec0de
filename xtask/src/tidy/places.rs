//! Which names may appear where: a table of crates whose use is confined to a few folders.

use super::Finding;
use super::tree::{Tree, has_word};

pub(super) const RULES: &[&str] = &[PLACE];
const PLACE: &str = "place";

struct Place {
    /// The name as it stands in Rust code.
    name: &'static str,
    /// The rule looks only at files below this.
    within: &'static str,
    /// Path prefixes where the name is at home.
    homes: &'static [&'static str],
    why: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        name: "axum",
        within: "",
        homes: &[
            "crates/wigwag-ui/",
            "crates/wigwag-broker/src/http",
            "crates/wigwag-broker/tests/",
            "crates/wigwag-watch/src/exporter/",
            "crates/wigwag/src/relay.rs",
        ],
        why: "HTTP is a corner: it stays behind the UI crate, the broker's http module, the exporter and the page's relay",
    },
    Place {
        name: "wigwag_client",
        within: "crates/wigwag-broker/src/",
        homes: &["crates/wigwag-broker/src/bridge"],
        why: "the broker is no client of itself: only bridges speak to other brokers",
    },
    Place {
        name: "async_nats",
        within: "",
        homes: &["crates/wigwag-broker/src/cluster"],
        why: "a single node must not know that clusters exist",
    },
    Place {
        name: "wigwag_proto",
        within: "crates/wigwag/",
        homes: &["crates/wigwag-bench/", "crates/wigwag-tools/"],
        why: "the binary holds no protocol: what speaks packets is a crate of its own",
    },
    Place {
        name: "anyhow",
        within: "crates/",
        homes: &[
            "crates/wigwag/",
            "crates/wigwag-bench/",
            "crates/wigwag-devices/",
            "crates/wigwag-tools/",
            "crates/wigwag-watch/",
        ],
        why: "libraries have closed error types, so that a caller can tell errors apart; anyhow is for the binary and the crates of its subcommands",
    },
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for place in PLACES {
        let foreign = tree.rust().filter(|file| {
            // This table names them all.
            file.path.starts_with(place.within)
                && !file.path.starts_with("xtask/")
                && !place.homes.iter().any(|home| file.path.starts_with(home))
        });
        for file in foreign {
            for (line, code) in file.code_lines() {
                if has_word(code, place.name) {
                    findings.push(Finding {
                        path: file.path.clone(),
                        line,
                        rule: PLACE,
                        what: format!(
                            "`{}` is named here; it belongs in {}",
                            place.name,
                            place.homes.join(", ")
                        ),
                        why: place.why,
                    });
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::made_up;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&made_up(&[(path, text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_name_at_home_is_fine() {
        assert_eq!(
            lines(
                "crates/wigwag-broker/src/http/api.rs",
                "use axum::Router;\n"
            ),
            [0; 0]
        );
        assert_eq!(
            lines(
                "crates/wigwag-broker/src/bridge.rs",
                "use wigwag_client::Client;\n"
            ),
            [0; 0]
        );
        assert_eq!(
            lines(
                "crates/wigwag/src/device.rs",
                "use wigwag_client::Client;\n"
            ),
            [0; 0]
        );
    }

    #[test]
    fn a_name_away_from_home_is_found() {
        assert_eq!(
            lines(
                "crates/wigwag-broker/src/shard.rs",
                "//! x\n\nuse axum::Router;\n"
            ),
            [3]
        );
        assert_eq!(
            lines(
                "crates/wigwag-broker/src/shard.rs",
                "use wigwag_client::Client;\n"
            ),
            [1]
        );
        assert_eq!(
            lines(
                "crates/wigwag-net/src/lib.rs",
                "fn a() -> anyhow::Result<()> {\n"
            ),
            [1]
        );
    }

    #[test]
    fn the_binary_has_no_use_for_the_codec() {
        let text = "use wigwag_proto::Qos;\n";
        assert_eq!(lines("crates/wigwag-bench/src/wire.rs", text), [0; 0]);
        assert_eq!(lines("crates/wigwag/src/up.rs", text), [1]);
    }

    #[test]
    fn a_name_in_a_comment_is_fine() {
        assert_eq!(
            lines(
                "crates/wigwag-broker/src/lib.rs",
                "//! axum lives in `http/`.\n"
            ),
            [0; 0]
        );
    }
}
