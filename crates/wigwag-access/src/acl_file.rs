//! ACL files: who may read and write which topics, as Mosquitto has them.
//!
//! `topic` lines are for the `user` above them, or for clients without a user name if there is none;
//! `pattern` lines are for everybody. What is not allowed is denied. Subscribing is always allowed: whether
//! a message may be read is asked when it is delivered.

use hashbrown::HashMap;

use crate::problem::{Problem, Problems, lines};
use crate::rules::{Placeholders, Rules, TopicError, Who};

/// What is to be done with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A message of it is to be sent to the client.
    Read,
    /// The client publishes to it.
    Write,
}

/// The rules of an ACL file.
#[derive(Clone, Debug, Default)]
pub struct AclFile {
    anonymous: Section,
    users: HashMap<Box<str>, Section, foldhash::fast::FixedState>,
    patterns: Section,
    has_patterns: bool,
    /// What is allowed but was hardly meant.
    warnings: Vec<Problem>,
}

/// Rules for one user, by what they are about: denials come first in both.
#[derive(Clone, Debug, Default)]
struct Section {
    read: Rules,
    write: Rules,
}

/// A line of the file that gives or takes a right.
struct Line<'a> {
    topic: &'a str,
    right: Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

/// What a line means.
enum Statement<'a> {
    User(&'a str),
    Topic(Line<'a>),
    Pattern(Line<'a>),
}

impl AclFile {
    /// Reads a file.
    pub fn parse(text: &[u8]) -> Result<AclFile, Problems> {
        let mut problems = Problems::default();
        let mut warnings = Problems::default();
        let mut sections: HashMap<_, Vec<Line<'_>>, _> =
            HashMap::with_hasher(foldhash::fast::FixedState::default());
        let mut anonymous = Vec::new();
        let mut patterns = Vec::new();
        let mut user = None;
        for (number, line) in lines(text, &mut problems) {
            match statement(line) {
                Ok(None) => {}
                Ok(Some(Statement::User(name))) => user = Some(name),
                Ok(Some(Statement::Topic(line))) => match user {
                    Some(user) => sections.entry(user).or_default().push(line),
                    None => anonymous.push(line),
                },
                Ok(Some(Statement::Pattern(line))) => {
                    if !line.topic.contains("%c") && !line.topic.contains("%u") {
                        let what =
                            "the pattern contains neither %c nor %u, so it is for everybody alike";
                        warnings.add(number, what);
                    }
                    patterns.push(line);
                }
                Err(what) => problems.add(number, what),
            }
        }
        if !problems.0.is_empty() {
            problems.0.sort_by_key(|problem| problem.line);
            return Err(problems);
        }
        let mut users: Vec<(&str, Vec<Line<'_>>)> = sections.into_iter().collect();
        users.sort_unstable_by_key(|(user, _)| *user);
        let compiled = |(user, lines): (&str, Vec<Line<'_>>)| {
            (user.into(), Section::new(&lines, Placeholders::AreText))
        };
        Ok(AclFile {
            anonymous: Section::new(&anonymous, Placeholders::AreText),
            users: users.into_iter().map(compiled).collect(),
            has_patterns: !patterns.is_empty(),
            patterns: Section::new(&patterns, Placeholders::Stand),
            warnings: warnings.0,
        })
    }

    /// What is allowed in a file but was hardly meant, by line.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Whether the client may do this with the Topic Name.
    pub fn allows(&self, who: Who<'_>, access: Access, topic: &str) -> bool {
        let own = match who.user_name {
            Some(user) => self.users.get(user),
            None => Some(&self.anonymous),
        };
        if let Some(decision) = own.and_then(|section| section.rules(access).decide(topic, who)) {
            return decision;
        }
        // Names that look like wildcards are kept out of everything that patterns are about, also where
        // no pattern names them.
        let is_dangerous = |name: &str| name.contains(['+', '#']);
        self.has_patterns
            && !is_dangerous(who.client_id)
            && !who.user_name.is_some_and(is_dangerous)
            && self.patterns.rules(access).decide(topic, who) == Some(true)
    }
}

impl Section {
    fn new(lines: &[Line<'_>], placeholders: Placeholders) -> Section {
        let mut section = Section::default();
        let denials = lines.iter().filter(|line| line.right == Right::Deny);
        let grants = lines.iter().filter(|line| line.right != Right::Deny);
        for Line { topic, right } in denials.chain(grants) {
            let allow = *right != Right::Deny;
            let rules = [
                (*right != Right::Write).then_some(&mut section.read),
                (*right != Right::Read).then_some(&mut section.write),
            ];
            for rules in rules.into_iter().flatten() {
                let added = rules.add(topic, placeholders, allow);
                debug_assert_eq!(added, Ok(()), "checked when the line was read");
            }
        }
        section
    }

    const fn rules(&self, access: Access) -> &Rules {
        match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        }
    }
}

/// The meaning of a line; `None` for a comment.
fn statement(line: &str) -> Result<Option<Statement<'_>>, String> {
    if line.starts_with('#') {
        return Ok(None);
    }
    let line = line.trim_end().trim_start_matches(' ');
    let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_start_matches(' ');
    Ok(Some(match keyword {
        "" => return Ok(None),
        "user" if rest.trim().is_empty() => return Err("`user` without a user name".to_owned()),
        "user" => Statement::User(rest.trim()),
        "topic" => Statement::Topic(right_and_topic(keyword, rest)?),
        "pattern" => Statement::Pattern(right_and_topic(keyword, rest)?),
        _ => {
            return Err(format!(
                "{keyword:?} begins no line; allowed are `user NAME`, `topic [ACCESS] TOPIC` and `pattern [ACCESS] TOPIC`, with spaces between the words"
            ));
        }
    }))
}

fn right_and_topic<'a>(keyword: &str, text: &'a str) -> Result<Line<'a>, String> {
    let (right, topic) = match text.split_once(' ') {
        None => (Right::ReadWrite, text),
        Some((right, topic)) => (
            match right {
                "read" => Right::Read,
                "write" => Right::Write,
                "readwrite" => Right::ReadWrite,
                "deny" => Right::Deny,
                _ => {
                    return Err(format!(
                        "{right:?} is no access; allowed are read, write, readwrite and deny"
                    ));
                }
            },
            topic.trim(),
        ),
    };
    let checked = crate::rules::check_topic(topic);
    match checked {
        Ok(()) => Ok(Line { topic, right }),
        Err(TopicError::Empty) => Err(format!("`{keyword}` without a topic")),
        Err(error) => Err(format!("{topic:?}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> AclFile {
        AclFile::parse(text.as_bytes()).expect("a valid file")
    }

    fn rights(
        file: &AclFile,
        client_id: &str,
        user_name: Option<&str>,
        topic: &str,
    ) -> &'static str {
        let who = Who {
            client_id,
            user_name,
        };
        match (
            file.allows(who, Access::Read, topic),
            file.allows(who, Access::Write, topic),
        ) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, true) => "w",
            (false, false) => "-",
        }
    }

    #[test]
    fn a_user_has_the_rights_of_the_section() {
        let file = parse(
            "topic read public/#\n# a comment\n\nuser ann lee\r\n  topic   write  a b/c \ntopic read/d\n\
             topic deny s/secret\ntopic s/#\nuser bob\ntopic x\nuser ann lee\ntopic read again\n",
        );
        let check = |user, topic, expect| {
            assert_eq!(rights(&file, "c", user, topic), expect, "{user:?} {topic}");
        };
        check(None, "public/a", "r");
        check(None, "x", "-");
        let ann = Some("ann lee");
        check(ann, "a b/c", "w");
        check(ann, "read/d", "rw");
        check(ann, "s/secret", "-");
        check(ann, "s/open", "rw");
        check(ann, "again", "r");
        check(ann, "public/a", "-");
        check(Some("bob"), "x", "rw");
        check(Some("bob"), "again", "-");
        check(Some("carol"), "x", "-");
    }

    #[test]
    fn patterns_are_for_everybody_and_come_last() {
        let file = parse(
            "pattern read from/%u/+\npattern write to/%c\npattern deny to/x\nuser ann\n\
             topic deny from/ann/x\ntopic to/x\ntopic %c\n",
        );
        let check = |client, user, topic, expect| {
            assert_eq!(
                rights(&file, client, user, topic),
                expect,
                "{client} {user:?} {topic}"
            );
        };
        check("c", Some("ann"), "from/ann/a", "r");
        check("c", Some("ann"), "from/ann/x", "-");
        check("c", Some("ann"), "from/bob/a", "-");
        check("c", Some("ann"), "to/c", "w");
        check("x", Some("ann"), "to/x", "rw");
        check("x", Some("bob"), "to/x", "-");
        check("c", None, "to/c", "w");
        check("c", None, "from//a", "-");
        check("c", Some("ann"), "%c", "rw");
        check("c", Some("ann"), "c", "-");
        check("+", Some("ann"), "to/x", "rw");
        check("c+", Some("a#"), "to/c+", "-");
    }

    #[test]
    fn dollar_topics_need_a_rule_of_their_own() {
        let file = parse("topic #\ntopic read $SYS/#\npattern +/%c\n");
        assert_eq!(rights(&file, "c", None, "$SYS/uptime"), "r");
        assert_eq!(rights(&file, "c", None, "$other/c"), "-");
        assert_eq!(rights(&file, "c", None, "a"), "rw");
    }

    #[test]
    fn an_empty_file_allows_nothing() {
        let file = parse("");
        assert_eq!(rights(&file, "c", None, "a"), "-");
        assert_eq!(rights(&file, "c", Some("ann"), "a"), "-");
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        let text = b"topic\nuser\nuser  \ntopics a\ntopic\ta\ntopic rw a\ntopic read a#\npattern deny #/%c\n\xff\ntopic ok\n";
        let problems = AclFile::parse(text).expect_err("invalid");
        let lines: Vec<usize> = problems.0.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        expect_test::expect![[r##"
            line 1: `topic` without a topic
            line 2: `user` without a user name
            line 3: `user` without a user name
            line 4: "topics" begins no line; allowed are `user NAME`, `topic [ACCESS] TOPIC` and `pattern [ACCESS] TOPIC`, with spaces between the words
            line 5: "topic\ta" begins no line; allowed are `user NAME`, `topic [ACCESS] TOPIC` and `pattern [ACCESS] TOPIC`, with spaces between the words
            line 6: "rw" is no access; allowed are read, write, readwrite and deny
            line 7: "a#": '#' must be the last level of a topic and stand alone in it
            line 8: "#/%c": '#' must be the last level of a topic and stand alone in it
            line 9: the line is not UTF-8"##]]
        .assert_eq(&problems.to_string().replace("; line", "\nline"));
    }

    #[test]
    fn a_pattern_without_a_placeholder_is_warned_of() {
        let file = parse("topic a\npattern read b/#\n");
        assert_eq!(file.warnings().len(), 1);
        assert_eq!(file.warnings()[0].line, 2);
        assert_eq!(rights(&file, "c", Some("ann"), "b"), "r");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = AclFile::parse(&text);
        }

        /// Whatever a client calls itself, it gets nothing that its name does not stand in.
        #[test]
        fn no_name_widens_a_pattern(name in "[+#/a%uc$]{1,4}", topic in "[/ab]{1,4}") {
            let file = parse("pattern %u/#\npattern dev/%c/x\n");
            let who = Who { client_id: &name, user_name: Some(&name) };
            if file.allows(who, Access::Write, &topic) {
                prop_assert!(topic.split('/').any(|level| level == name));
            }
        }
    }
}
