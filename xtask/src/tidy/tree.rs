//! The files that the rules look at: text that people write, not what tools generate.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// A text file, by its path from the workspace root with `/` between names.
pub(super) struct SourceFile {
    pub(super) path: String,
    pub(super) text: String,
}

pub(super) struct Tree {
    pub(super) files: Vec<SourceFile>,
}

/// Folders that hold what tools made. `target` may also be the name of a module.
const GENERATED: &[&str] = &["node_modules", "dist", "coverage", "__pycache__"];

/// Text that people write. Lock files are read for what must not be in them.
const EXTENSIONS: &[&str] = &[
    "rs", "toml", "md", "ts", "tsx", "js", "mjs", "css", "html", "py", "json", "txt", "yml",
    "yaml", "sh",
];

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            let entries =
                fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() {
                    name.clone()
                } else {
                    format!("{folder}/{name}")
                };
                let kind = entry.file_type()?;
                if kind.is_dir() && !is_generated(&path, &name) {
                    folders.push(path);
                } else if kind.is_file() && is_text(&name) {
                    let text = fs::read_to_string(entry.path())
                        .with_context(|| format!("cannot read {path}"))?;
                    files.push(SourceFile { path, text });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    pub(super) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.extension() == "rs")
    }
}

fn is_generated(path: &str, name: &str) -> bool {
    path == "target"
        || path == "benches/clients/target"
        || name.starts_with('.')
        || GENERATED.contains(&name)
}

fn is_text(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(stem, extension)| !stem.is_empty() && EXTENSIONS.contains(&extension))
}

impl SourceFile {
    pub(super) fn extension(&self) -> &str {
        self.path
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }

    /// Lines with their numbers, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Lines without their `//` comments, for rules about code. A `//` inside a string ends the
    /// line too early, which can hide something but never accuse.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines()
            .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

/// Whether `word` stands in `text` as a whole word.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// A tree made up for a test.
#[cfg(test)]
pub(super) fn made_up(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| SourceFile {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    };
    Tree {
        files: files.iter().map(file).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_word("use axum::Router;", "axum"));
        assert!(has_word("axum", "axum"));
        assert!(!has_word("use axum_extra::X;", "axum"));
        assert!(!has_word("maxum", "axum"));
    }

    #[test]
    fn what_tools_made_is_not_read() {
        assert!(is_generated("target", "target"));
        assert!(!is_generated("crates/a/src/target", "target"));
        assert!(is_generated(
            "crates/wigwag-ui/web/node_modules",
            "node_modules"
        ));
        assert!(is_text("main.rs") && !is_text("LICENSE") && !is_text("a.png"));
    }

    #[test]
    fn code_lines_have_no_comments() {
        let tree = made_up(&[("a.rs", "//! axum\nlet a = 1; // axum\n")]);
        let code: Vec<&str> = tree.files[0].code_lines().map(|(_, line)| line).collect();
        assert_eq!(code, ["", "let a = 1; "]);
    }
}
