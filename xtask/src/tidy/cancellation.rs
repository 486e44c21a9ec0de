//! What happens when a future is dropped: whoever makes a caller wait has to say it.
//!
//! Reads lines, not Rust: the documentation that stands above a `pub async fn`, and above a public type
//! for which its file implements `Future` or `IntoFuture`.

use super::Finding;
use super::tree::{SourceFile, Tree};

pub(super) const RULES: &[&str] = &[CANCELLATION];
const CANCELLATION: &str = "cancellation";

const WHY: &str = "futures are dropped by timeouts and `select!`: a caller must know what is lost and what goes on. Say what dropping it does";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| {
            let inside = file.path.strip_prefix("crates/");
            let inside = inside.and_then(|path| path.split_once('/'));
            inside.is_some_and(|(_, path)| path.starts_with("src/"))
        })
        .flat_map(check_file)
        .collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let awaited = awaited_types(file);
    let mut findings = Vec::new();
    let mut says_it = false;
    for (line, text) in file.lines() {
        let text = text.trim_start();
        if let Some(doc) = text.strip_prefix("///") {
            says_it |= doc.to_lowercase().contains("dropp");
            continue;
        }
        // Attributes stand between the documentation and the item.
        if text.starts_with("#[") {
            continue;
        }
        let item = async_function(text).or_else(|| {
            let name = word(text.strip_prefix("pub struct ")?);
            awaited.contains(&name).then_some(name)
        });
        if let Some(name) = item.filter(|_| !says_it) {
            findings.push(Finding {
                path: file.path.clone(),
                line,
                rule: CANCELLATION,
                what: format!("`{name}` does not say what happens when its future is dropped"),
                why: WHY,
            });
        }
        says_it = false;
    }
    findings
}

/// The types that this file makes futures.
fn awaited_types(file: &SourceFile) -> Vec<&str> {
    file.lines()
        .filter(|(_, text)| text.starts_with("impl"))
        .filter_map(|(_, text)| {
            let (before, after) = text.split_once("Future for ")?;
            // `IntoFuture` and `Future`, and no other that ends like them.
            (before.ends_with(' ') || before.ends_with(" Into")).then(|| word(after))
        })
        .collect()
}

fn async_function(text: &str) -> Option<&str> {
    Some(word(text.strip_prefix("pub async fn ")?))
}

/// The name that the text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
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

    const FILE: &str = "crates/a/src/b.rs";

    #[test]
    fn an_async_function_says_what_dropping_does() {
        let says = "/// Waits.\n///\n/// Dropping the future changes nothing.\n#[must_use]\npub async fn wait() {}\n";
        assert_eq!(lines(FILE, says), [0; 0]);
        let silent = "/// Dropped: nothing.\npub fn a() {}\n\n/// Waits.\npub async fn wait() {}\n";
        assert_eq!(lines(FILE, silent), [5]);
    }

    #[test]
    fn a_type_that_can_be_awaited_says_it_too() {
        for implementation in [
            "impl Future for Waiting {",
            "impl<T> IntoFuture for Waiting<T> {",
        ] {
            let silent = format!("/// A wait.\npub struct Waiting(u8);\n{implementation}\n");
            assert_eq!(lines(FILE, &silent), [2]);
            let says = silent.replace("A wait.", "A wait, which may be dropped.");
            assert_eq!(lines(FILE, &says), [0; 0]);
        }
        assert_eq!(lines(FILE, "/// No future.\npub struct Other;\n"), [0; 0]);
    }

    #[test]
    fn tests_and_private_functions_need_not() {
        let silent = "pub async fn wait() {}\n";
        assert_eq!(lines("crates/a/tests/it/b.rs", silent), [0; 0]);
        assert_eq!(lines("xtask/src/b.rs", silent), [0; 0]);
        let inside = "pub(crate) async fn wait() {}\nasync fn wait() {}\n";
        assert_eq!(lines(FILE, inside), [0; 0]);
    }
}
