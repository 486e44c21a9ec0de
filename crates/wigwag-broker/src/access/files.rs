//! Files: read with all their problems at once, written so that there is always a whole one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use wigwag_access::acl_file::AclFile;
use wigwag_access::dynsec::{Passwords, State};
use wigwag_access::password::{Salt, Scheme};
use wigwag_access::password_file::PasswordFile;

use super::settings::DynamicSecurity;
use crate::conf::config::LogType;
use crate::logging::Log;

/// The largest file that is read.
const LEN_MAX: u64 = 256 * 1024 * 1024;

/// The shortest first password that is taken from a variable, where it is easily cut off.
const INITIAL_PASSWORD_LEN_MIN: usize = 12;

/// What passwords are drawn from, as many as a byte can choose among without preference.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DRAWN_LEN: usize = 20;

/// Why the files of access cannot be used: everything that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessError(pub Vec<String>);

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for AccessError {}

impl AccessError {
    fn one(path: &Path, what: impl fmt::Display) -> AccessError {
        AccessError(vec![format!("{}: {what}", path.display())])
    }
}

pub(super) fn read_passwords(path: &Path, _: &Log) -> Result<PasswordFile, AccessError> {
    let text = read(path)?;
    PasswordFile::parse(&text).map_err(|problems| AccessError(problems.in_file(path).collect()))
}

pub(super) fn read_acl(path: &Path, log: &Log) -> Result<AclFile, AccessError> {
    let text = read(path)?;
    let file =
        AclFile::parse(&text).map_err(|problems| AccessError(problems.in_file(path).collect()))?;
    for problem in file.warnings() {
        let what = format_args!("{}:{}: {}", path.display(), problem.line, problem.what);
        log.write(LogType::Warning, what);
    }
    Ok(file)
}

/// Reads the state, or makes a first one.
pub(super) fn read_dynsec(settings: &DynamicSecurity, log: &Log) -> Result<State, AccessError> {
    let path = &settings.file;
    let text = match fs::exists(path) {
        Ok(false) => return first_dynsec(settings, log),
        _ => read(path)?,
    };
    let (state, warnings) = State::load(&text).map_err(|error| {
        let problems = error.0.iter();
        AccessError(
            problems
                .map(|what| format!("{}: {what}", path.display()))
                .collect(),
        )
    })?;
    for what in warnings {
        log.write(LogType::Warning, format_args!("{}: {what}", path.display()));
    }
    Ok(state)
}

fn first_dynsec(settings: &DynamicSecurity, log: &Log) -> Result<State, AccessError> {
    let path = &settings.file;
    let salt = || random::<{ size_of::<Salt>() }>();
    let first = |passwords| State::first(passwords, Scheme::PBKDF2, salt);
    let state = if let Some(init) = &settings.password_init_file {
        let text = read(init)?;
        let text = String::from_utf8_lossy(&text);
        let password = text.lines().next().unwrap_or_default().trim_end();
        if password.is_empty() {
            return Err(AccessError::one(init, "no password in the first line"));
        }
        first(Passwords::Given(password))
    } else if let Some(password) = &settings.initial_password {
        if password.len() < INITIAL_PASSWORD_LEN_MIN {
            let what = format!(
                "the first password of the administrator has {} characters; it needs at least {INITIAL_PASSWORD_LEN_MIN}",
                password.chars().count()
            );
            return Err(AccessError::one(path, what));
        }
        first(Passwords::Given(password))
    } else {
        let (admin, democlient) = (drawn_password(), drawn_password());
        let told = beside(path, ".pw");
        let text = format!("admin {admin}\ndemoclient {democlient}\n");
        write_whole(&told, text.as_bytes())
            .map_err(|error| AccessError::one(&told, format_args!("cannot be written: {error}")))?;
        let what = format_args!(
            "dynamic security begins with drawn passwords: see {}",
            told.display()
        );
        log.write(LogType::Warning, what);
        first(Passwords::Drawn {
            admin: &admin,
            democlient: &democlient,
        })
    };
    write_whole(path, state.document().as_bytes())
        .map_err(|error| AccessError::one(path, format_args!("cannot be written: {error}")))?;
    Ok(state)
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    let metadata = fs::metadata(path);
    let read = metadata.and_then(|metadata| match metadata.len() {
        len if len > LEN_MAX => Err(io::Error::other(format!(
            "{len} bytes; at most {LEN_MAX} are read"
        ))),
        _ => fs::read(path),
    });
    read.map_err(|error| AccessError::one(path, format_args!("cannot be read: {error}")))
}

/// Puts a file in the place of another, for nobody but its owner. Whoever reads it, or finds it after a power
/// cut, has the one or the other.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    // Left behind by a crash, or somebody else's link to somewhere.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    if written.is_err() {
        // Nobody needs half a file; the error that counts is the first.
        _ = fs::remove_file(&new);
    }
    written?;
    // The new name has to survive too. Not every system can sync a folder.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        _ = folder.sync_all();
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn drawn_password() -> String {
    let letter = |byte: u8| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
    random::<DRAWN_LEN>().into_iter().map(letter).collect()
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness once it has started");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        for text in ["first", "second"] {
            // As a crash would leave it.
            fs::write(beside(&path, ".new"), "half").expect("writable");
            write_whole(&path, text.as_bytes()).expect("writable");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        let names: Vec<_> = fs::read_dir(folder.path()).expect("there").collect();
        assert_eq!(names.len(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(write_whole(&folder.path().join("no/such/folder"), b"x").is_err());
    }

    fn dynsec(folder: &Path) -> DynamicSecurity {
        DynamicSecurity {
            file: folder.join("d.json"),
            password_init_file: None,
            initial_password: None,
        }
    }

    #[test]
    fn a_first_state_is_kept_and_its_passwords_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = dynsec(folder.path());
        let state = read_dynsec(&settings, &Log::default()).expect("a first state");
        let told = fs::read_to_string(folder.path().join("d.json.pw")).expect("there");
        let mut passwords = told
            .lines()
            .map(|line| line.split_once(' ').expect("a name"));
        let (admin, password) = passwords.next().expect("a line");
        assert_eq!((admin, password.len()), ("admin", DRAWN_LEN));
        let again = read_dynsec(&settings, &Log::default()).expect("what was written");
        assert_eq!(again.document(), state.document());
    }

    #[test]
    fn a_first_password_can_be_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = dynsec(folder.path());
        settings.initial_password = Some("too short".to_owned());
        let error = read_dynsec(&settings, &Log::default())
            .expect_err("too short")
            .to_string();
        assert!(
            error.contains("has 9 characters; it needs at least 12"),
            "{error}"
        );
        let init = folder.path().join("init");
        settings.password_init_file = Some(init.clone());
        assert!(
            read_dynsec(&settings, &Log::default())
                .expect_err("missing")
                .to_string()
                .contains("cannot be read")
        );
        fs::write(&init, "\n").expect("writable");
        assert!(
            read_dynsec(&settings, &Log::default())
                .expect_err("empty")
                .to_string()
                .contains("first line")
        );
        fs::write(&init, "secret \r\nmore").expect("writable");
        let mut state = read_dynsec(&settings, &Log::default()).expect("a first state");
        let rights = state.rights();
        let login = rights.login("admin", "c");
        assert!(
            matches!(login, wigwag_access::dynsec::Login::Password(hash) if hash.verify(b"secret"))
        );
        assert!(!folder.path().join("d.json.pw").exists());
    }
}
