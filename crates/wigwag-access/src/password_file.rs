//! Password files: one `user:hash` a line, as `mosquitto_passwd` writes them; credentials for SCRAM are hashes too.
//!
//! Reading finds everything that is wrong at once; editing leaves every other line as it is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use wigwag_scram::{Credentials, prepare_user_name};

use crate::decoy::Look;
use crate::password::{PasswordHash, is_scram};
use crate::problem::{Problems, lines};

/// The longest user name of MQTT in bytes.
const USER_LEN_MAX: usize = 65_535;

/// Who has which password.
#[derive(Clone, Debug, Default)]
pub struct PasswordFile {
    users: BTreeMap<Box<str>, Arc<PasswordHash>>,
    scram_look: Option<Look>,
}

/// Why a name cannot stand in a password file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// Empty.
    #[error("a user name needs at least one character")]
    Empty,
    /// More than 65 535 bytes.
    #[error("a user name has at most {USER_LEN_MAX} bytes")]
    TooLong,
    /// A colon ends the name, a number sign begins a comment.
    #[error("a user name cannot contain ':', begin with '#', or contain control characters")]
    Character,
    /// They are trimmed when the file is read.
    #[error("a user name cannot begin or end with a blank")]
    Blank,
}

impl PasswordFile {
    /// Reads a file. Lines that begin with `#`, and lines without a colon, are comments.
    pub fn parse(text: &[u8]) -> Result<PasswordFile, Problems> {
        let mut problems = Problems::default();
        let mut users = BTreeMap::new();
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, line) in lines(text, &mut problems) {
            let Some((user, hash)) = entry(line) else {
                continue;
            };
            if let Err(error) = check_user(user) {
                problems.add(number, error.to_string());
                continue;
            }
            if let Some(first) = first_lines.insert(user, number) {
                problems.add(
                    number,
                    format!("user {user:?} stands in line {first} already"),
                );
            }
            match hash.parse::<PasswordHash>() {
                Ok(hash) => {
                    if let Some(what) = hash.scram().and_then(|_| unprepared(user)) {
                        problems.add(number, what);
                    }
                    users.insert(Box::from(user), Arc::new(hash));
                }
                Err(error) => problems.add(number, format!("user {user:?}: {error}")),
            }
        }
        if problems.0.is_empty() {
            let mut file = PasswordFile {
                users,
                scram_look: None,
            };
            file.scram_look = Look::usual(&file.scram().collect::<Vec<_>>());
            Ok(file)
        } else {
            problems.0.sort_by_key(|problem| problem.line);
            Err(problems)
        }
    }

    /// The hash of the user's password.
    pub fn hash(&self, user: &str) -> Option<&Arc<PasswordHash>> {
        self.users.get(user)
    }

    /// Somebody's hash, to spend as much time on who is not there as on who is.
    pub fn any_hash(&self) -> Option<&Arc<PasswordHash>> {
        self.users.values().next()
    }

    /// What is kept for logging in with SCRAM-SHA-256.
    pub fn scram(&self) -> impl Iterator<Item = &Credentials> {
        self.users.values().filter_map(|hash| hash.scram())
    }

    /// How most of that looks; `None` if nobody can log in with SCRAM.
    pub const fn scram_look(&self) -> Option<Look> {
        self.scram_look
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// The text of a file in which the user has this password; all else is as it was.
pub fn with_user(text: &str, user: &str, hash: &PasswordHash) -> Result<String, UserError> {
    check_user(user)?;
    let entry = format!("{user}:{hash}");
    let mut is_there = false;
    let Ok(mut edited) = edit(text, |name, _| {
        let replaced = (name == user && !is_there).then(|| entry.clone());
        is_there |= replaced.is_some();
        Ok::<_, Infallible>(replaced)
    });
    if !is_there {
        edited.push_str(&entry);
        edited.push('\n');
    }
    Ok(edited)
}

/// The text of a file without the user, or `None` if it has none of that name.
pub fn without_user(text: &str, user: &str) -> Option<String> {
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| entry(line).is_none_or(|(name, _)| name != user))
        .collect();
    (kept.len() < text.len()).then_some(kept)
}

/// The text of a file in which passwords that stood there in plain are hashed. What is a hash stays. The first that cannot
/// be hashed ends it.
pub fn with_plain_hashed<E>(
    text: &str,
    mut hash: impl FnMut(&str) -> Result<PasswordHash, E>,
) -> Result<String, E> {
    edit(text, |user, password| {
        if password.is_empty() || password.parse::<PasswordHash>().is_ok() {
            return Ok(None);
        }
        Ok(Some(format!("{user}:{}", hash(password)?)))
    })
}

/// Puts other lines in the place of entries.
fn edit<E>(
    text: &str,
    mut replace: impl FnMut(&str, &str) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let mut edited = String::with_capacity(text.len() + 128);
    for line in text.lines() {
        let replaced = match entry(line) {
            Some((user, hash)) => replace(user, hash)?,
            None => None,
        };
        edited.push_str(replaced.as_deref().unwrap_or(line));
        edited.push('\n');
    }
    Ok(edited)
}

/// User and hash, if the line is no comment.
fn entry(line: &str) -> Option<(&str, &str)> {
    if line.starts_with('#') {
        return None;
    }
    let (user, rest) = line.split_once(':')?;
    let rest = rest.trim();
    // Whatever follows a second colon is not read; credentials for SCRAM have two of their own.
    let colons = if is_scram(rest) { 2 } else { 0 };
    let hash = match rest.match_indices(':').nth(colons) {
        Some((end, _)) => rest.split_at(end).0,
        None => rest,
    };
    Some((user.trim(), hash.trim()))
}

/// Why a user cannot log in with SCRAM under this name: both ends compare names as SASLprep makes them.
fn unprepared(user: &str) -> Option<String> {
    match prepare_user_name(user) {
        Ok(prepared) if prepared == user => None,
        Ok(prepared) => Some(format!(
            "user {user:?}: with SCRAM this name has to be written {prepared:?}, as SASLprep makes it"
        )),
        Err(error) => Some(format!("user {user:?}: {error}")),
    }
}

fn check_user(user: &str) -> Result<(), UserError> {
    if user.is_empty() {
        Err(UserError::Empty)
    } else if user.len() > USER_LEN_MAX {
        Err(UserError::TooLong)
    } else if user.starts_with('#') || user.chars().any(|c| c == ':' || c.is_control()) {
        Err(UserError::Character)
    } else if user.trim() != user {
        Err(UserError::Blank)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::password::Scheme;

    fn hash(password: &str) -> PasswordHash {
        PasswordHash::make(Scheme::Sha512, password.as_bytes(), b"twelve bytes")
    }

    fn kept(password: &str) -> Result<PasswordHash, ()> {
        Ok(hash(password))
    }

    #[test]
    fn users_have_their_passwords() {
        let text = format!(
            "# a comment: with a colon\n\nnothing here\nalice:{}\r\n bob :{}:more\n",
            hash("a"),
            hash("b")
        );
        let file = PasswordFile::parse(text.as_bytes()).expect("valid");
        assert_eq!(file.len(), 2);
        assert!(file.hash("alice").expect("there").verify(b"a"));
        assert!(file.hash("bob").expect("there").verify(b"b"));
        assert!(file.hash("carol").is_none());
    }

    fn scram(password: &str) -> PasswordHash {
        let iterations = NonZeroU32::new(4_096).expect("not zero");
        let credentials = Credentials::derive(password, [7; 16], iterations);
        credentials.expect("allowed").into()
    }

    #[test]
    fn credentials_for_scram_stand_beside_hashes() {
        let text = format!("alice:{}\nbob:{}\ncarol:{0}:more\n", scram("a"), hash("b"));
        let file = PasswordFile::parse(text.as_bytes()).expect("valid");
        assert_eq!(file.scram().count(), 2);
        for user in ["alice", "carol"] {
            assert_eq!(**file.hash(user).expect("there"), scram("a"));
            assert!(file.hash(user).expect("there").verify(b"a"));
            assert!(!file.hash(user).expect("there").verify(b"\xff"));
        }
        let replaced = with_user(&text, "alice", &scram("b")).expect("a valid name");
        let file = PasswordFile::parse(replaced.as_bytes()).expect("valid");
        assert!(file.hash("alice").expect("there").verify(b"b"));
        assert_eq!(with_plain_hashed(&text, kept), Ok(text));
    }

    #[test]
    fn a_name_that_scram_would_change_is_reported() {
        let text = format!("I\u{AD}X:{0}\n\u{627}1:{0}\n", scram("a"));
        let problems = PasswordFile::parse(text.as_bytes()).expect_err("invalid");
        let text = problems.to_string();
        for expect in ["line 1: user", "written \"IX\"", "line 2: user", "SASLprep"] {
            assert!(text.contains(expect), "{expect}: {text}");
        }
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        let text = format!(
            "alice:{0}\nbob:plain\n:{0}\nalice:{0}\nbob:\n\u{1}:{0}\n",
            hash("a")
        );
        let mut bytes = text.into_bytes();
        bytes.extend(b"\xff:x\n");
        let problems = PasswordFile::parse(&bytes).expect_err("invalid");
        let lines: Vec<usize> = problems.0.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 5, 6, 7]);
        let text = problems.to_string();
        for expect in [
            "line 2: user \"bob\": a password hash begins with",
            "line 3: a user name needs",
            "line 4: user \"alice\" stands in line 1 already",
            "line 7: the line is not UTF-8",
        ] {
            assert!(text.contains(expect), "{expect}: {text}");
        }
    }

    #[test]
    fn editing_leaves_the_rest_alone() {
        let text = "# ours\nalice:x\nbob:y\n\n";
        let set = with_user(text, "bob", &hash("b")).expect("a valid name");
        assert_eq!(set, format!("# ours\nalice:x\nbob:{}\n\n", hash("b")));
        let added = with_user("alice:x", "bob", &hash("b")).expect("a valid name");
        assert_eq!(added, format!("alice:x\nbob:{}\n", hash("b")));
        assert_eq!(
            without_user(text, "alice").as_deref(),
            Some("# ours\nbob:y\n\n")
        );
        assert_eq!(without_user(text, "ours"), None);
        assert_eq!(with_plain_hashed(&set, |_| Err("no")), Err("no"));
        let hashed = with_plain_hashed(&set, kept).expect("every password has a hash");
        assert_eq!(
            hashed,
            format!("# ours\nalice:{}\nbob:{}\n\n", hash("x"), hash("b"))
        );
    }

    #[test]
    fn a_name_that_would_not_read_back_is_refused() {
        let check = |user: &str, expect| {
            assert_eq!(with_user("", user, &hash("x")), Err(expect), "{user:?}");
        };
        check("", UserError::Empty);
        check("a:b", UserError::Character);
        check("#a", UserError::Character);
        check("a\nb", UserError::Character);
        check(" a", UserError::Blank);
        check(&"a".repeat(65_536), UserError::TooLong);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = PasswordFile::parse(&text);
        }

        #[test]
        fn a_written_file_reads_back(names in proptest::collection::btree_set("[^:#\\s\\pC][^:\\pC]{0,8}[^:\\s\\pC]", 0..8)) {
            let mut text = String::new();
            for name in &names {
                text = with_user(&text, name, &hash(name)).expect("a valid name");
            }
            let file = PasswordFile::parse(text.as_bytes()).expect("valid");
            prop_assert_eq!(file.len(), names.len());
            for name in &names {
                prop_assert!(file.hash(name).expect("there").verify(name.as_bytes()));
                text = without_user(&text, name).expect("there");
            }
            prop_assert_eq!(text, "");
        }
    }
}
