//! Reads a page: its files and its commands, each with what the page shows of its output.
//!
//! Knows the form alone, which is told at the top of `pages.rs`; runs nothing.

/// What a reader of the page does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block with `file=NAME` behind its language.
    File {
        name: String,
        text: String,
    },
    Command(Command),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Where on the page it stands, from 1.
    pub(super) line: usize,
    /// As the shell takes it, of several lines perhaps, without the `&` at its end.
    pub(super) text: String,
    /// Whether it goes on until the page ends.
    pub(super) is_background: bool,
    /// What is shown beneath it.
    pub(super) shown: Vec<String>,
}

/// A block between fences.
struct Block<'p> {
    /// Behind the opening fence.
    info: &'p str,
    /// Of its first line, from 1.
    line: usize,
    lines: Vec<&'p str>,
}

/// The steps in the order of the page; or everything that is wrong with its form, line by line.
pub(super) fn read(page: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut faults = Vec::new();
    for block in blocks(page) {
        let mut words = block.info.split_whitespace();
        let language = words.next().unwrap_or_default();
        let file = words.find_map(|word| word.strip_prefix("file="));
        match (language, file) {
            (_, Some(name)) => steps.push(Step::File {
                name: name.to_owned(),
                text: block.lines.iter().flat_map(|line| [line, "\n"]).collect(),
            }),
            ("console", None) => match commands(&block) {
                Ok(commands) => steps.extend(commands.into_iter().map(Step::Command)),
                Err(fault) => faults.push(fault),
            },
            ("sh" | "bash" | "shell" | "", None) => faults.push(format!(
                "line {}: a block `{language}` is neither run nor marked: `console` is run, `text` is not",
                block.line
            )),
            _ => {}
        }
    }
    let runs = |step: &Step| matches!(step, Step::Command(_));
    if faults.is_empty() && !steps.iter().any(runs) {
        faults
            .push("there is no `console` block, so nothing shows that the page is true".to_owned());
    }
    if faults.is_empty() {
        Ok(steps)
    } else {
        Err(faults.join("\n"))
    }
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((number, line)) = lines.next() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let fence = &text[..text.len() - text.trim_start_matches('`').len()];
        if fence.len() < 3 {
            continue;
        }
        let inside = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != fence)
            // A block in a list is indented as a whole.
            .map(|line| line.get(indent..).unwrap_or_default().trim_end());
        blocks.push(Block {
            info: text.trim_start_matches('`'),
            line: number + 1,
            lines: inside.collect(),
        });
    }
    blocks
}

fn commands(block: &Block<'_>) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    for (number, line) in (block.line..).zip(&block.lines) {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(Command {
                line: number,
                text: text.to_owned(),
                ..Command::default()
            });
            continue;
        }
        let Some(command) = commands.last_mut() else {
            return Err(format!(
                "line {number}: a `console` block begins with a command, `$ …`, not with `{line}`"
            ));
        };
        match line.strip_prefix("> ").or((*line == ">").then_some("")) {
            // What the shell asks for before the command is whole.
            Some(more) if command.shown.is_empty() => {
                command.text.push('\n');
                command.text.push_str(more);
            }
            _ => command.shown.push((*line).to_owned()),
        }
    }
    for command in &mut commands {
        if let Some(text) = command.text.strip_suffix(" &") {
            command.is_background = true;
            command.text = text.to_owned();
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_their_lines_and_what_is_shown_beneath_them() {
        let page = "# A page\n\n```console\n$ one\n$ two &\nready\n\n$ cat <<END\n> a\n>\n> END\na\n> b\n```\nText.\n\n- In a list:\n\n  ```console\n  $ three\n    indented\n  ```\n";
        let command = |line, text: &str, shown: &[&str]| Command {
            line,
            text: text.to_owned(),
            is_background: false,
            shown: shown.iter().map(|&line| line.to_owned()).collect(),
        };
        let expect = [
            command(4, "one", &[]),
            Command {
                is_background: true,
                ..command(5, "two", &["ready", ""])
            },
            command(8, "cat <<END\na\n\nEND", &["a", "> b"]),
            command(20, "three", &["  indented"]),
        ];
        assert_eq!(read(page), Ok(expect.map(Step::Command).into()));
    }

    #[test]
    fn a_block_with_a_name_is_a_file() {
        let page = "```toml file=rules.toml\na = 1\n```\n```text\nleft alone\n```\n```console\n$ cat rules.toml\n```\n";
        let steps = read(page).unwrap();
        assert_eq!(
            steps[0],
            Step::File {
                name: "rules.toml".to_owned(),
                text: "a = 1\n".to_owned()
            }
        );
        assert_eq!(steps.len(), 2);
    }

    #[test]
    fn a_page_that_proves_nothing_is_refused_with_its_lines() {
        for (page, expect) in [
            ("Text.\n", "there is no `console` block"),
            (
                "```console\nsaid\n```\n",
                "line 2: a `console` block begins with a command",
            ),
            (
                "```sh\nrm -r /\n```\n",
                "line 2: a block `sh` is neither run nor marked",
            ),
            ("\n```\nwhat\n```\n", "line 3: a block `` is neither"),
        ] {
            let fault = read(page).unwrap_err();
            assert!(fault.starts_with(expect), "{page}: {fault}");
        }
    }
}
