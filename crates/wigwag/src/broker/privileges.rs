//! A broker that root has started becomes somebody else before it opens anything to the network.

use std::ffi::CString;
use std::str::FromStr;

use nix::libc::mode_t;
use nix::sys::stat::{Mode, umask};
#[cfg(not(target_vendor = "apple"))]
use nix::unistd::setgroups;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setuid};

/// Whom Mosquitto becomes when nobody says whom.
const DEFAULT_USER: &str = "mosquitto";
const FALLBACK_USER: &str = "nobody";

/// The umask of the environment, in octal.
const UMASK: &str = "UMASK_SET";

/// Why the broker is still root.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrivilegeError {
    #[error("Unable to drop privileges to '{0}' because this user does not exist.")]
    UnknownUser(String),
    #[error("{name} not a valid ID '{value}'")]
    Id { name: &'static str, value: String },
    #[error("Invalid '{UMASK}' value ({0}) in the environment. Allowed: octal, 0 to 777.")]
    Umask(String),
    #[error("Unable to drop privileges to '{user}': {reason}.")]
    System { user: String, reason: &'static str },
}

/// Whom to become.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// Nobody else.
    Stay,
    User(String),
    /// Mosquitto's user, or nobody.
    Default,
    /// Numbers, as containers are given them.
    Ids {
        uid: Option<u32>,
        gid: Option<u32>,
    },
}

impl Target {
    /// `PUID` and `PGID` of the environment come before the option.
    fn choose(
        user: Option<&str>,
        uid: Option<String>,
        gid: Option<String>,
    ) -> Result<Target, PrivilegeError> {
        if uid.is_some() || gid.is_some() {
            return Ok(Target::Ids {
                uid: parse_id("PUID", uid)?,
                gid: parse_id("PGID", gid)?,
            });
        }
        Ok(match user {
            None => Target::Default,
            Some("root") => Target::Stay,
            Some(user) => Target::User(user.to_owned()),
        })
    }
}

fn parse_id(name: &'static str, value: Option<String>) -> Result<Option<u32>, PrivilegeError> {
    let Some(value) = value else { return Ok(None) };
    match i32::from_str(&value)
        .ok()
        .and_then(|id| u32::try_from(id).ok())
    {
        // Root has nobody to become.
        Some(0) => Ok(None),
        Some(id) => Ok(Some(id)),
        None => Err(PrivilegeError::Id { name, value }),
    }
}

/// What others may not do with files that are made from here on, if the environment says so.
pub(super) fn set_umask() -> Result<(), PrivilegeError> {
    let Ok(value) = std::env::var(UMASK) else {
        return Ok(());
    };
    umask(parse_umask(&value)?);
    Ok(())
}

fn parse_umask(value: &str) -> Result<Mode, PrivilegeError> {
    let bits = mode_t::from_str_radix(value, 8).ok();
    bits.filter(|&bits| bits <= 0o777)
        .and_then(Mode::from_bits)
        .ok_or_else(|| PrivilegeError::Umask(value.to_owned()))
}

/// Becomes somebody else, if root has started the process. Call it before there are threads. Answers with
/// a warning if the process is as powerful as before.
pub(super) fn drop_privileges(user: Option<&str>) -> Result<Option<String>, PrivilegeError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let environment = |name| std::env::var(name).ok();
    match Target::choose(user, environment("PUID"), environment("PGID"))? {
        Target::Stay => {}
        Target::Ids { uid, gid } => become_ids(uid, gid)?,
        Target::User(name) => become_user(&name, &find(&name)?)?,
        Target::Default => match find(DEFAULT_USER) {
            Ok(user) => become_user(DEFAULT_USER, &user)?,
            Err(_) => become_user(FALLBACK_USER, &find(FALLBACK_USER)?)?,
        },
    }
    let is_still_root = geteuid().is_root();
    Ok(
        is_still_root
            .then(|| "Warning: Wigwag should not be run as root/administrator.".to_owned()),
    )
}

fn find(name: &str) -> Result<User, PrivilegeError> {
    let found = User::from_name(name).ok().flatten();
    found.ok_or_else(|| PrivilegeError::UnknownUser(name.to_owned()))
}

fn become_user(name: &str, user: &User) -> Result<(), PrivilegeError> {
    let failed = |error: nix::Error| PrivilegeError::System {
        user: name.to_owned(),
        reason: error.desc(),
    };
    let c_name = CString::new(name).map_err(|_| PrivilegeError::UnknownUser(name.to_owned()))?;
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)
}

fn become_ids(uid: Option<u32>, gid: Option<u32>) -> Result<(), PrivilegeError> {
    let failed = |id: u32| {
        move |error: nix::Error| PrivilegeError::System {
            user: id.to_string(),
            reason: error.desc(),
        }
    };
    // Groups first: afterwards nobody has the right to. Those of whoever has started the process are not its own.
    #[cfg(not(target_vendor = "apple"))]
    if let Some(id) = uid.or(gid) {
        setgroups(&[]).map_err(failed(id))?;
    }
    if let Some(gid) = gid {
        setgid(Gid::from_raw(gid)).map_err(failed(gid))?;
    }
    if let Some(uid) = uid {
        setuid(Uid::from_raw(uid)).map_err(failed(uid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_environment_come_first() {
        let ids = |uid: Option<&str>, gid: Option<&str>| {
            Target::choose(Some("x"), uid.map(str::to_owned), gid.map(str::to_owned))
        };
        assert_eq!(ids(None, None), Ok(Target::User("x".to_owned())));
        let both = Target::Ids {
            uid: Some(1000),
            gid: Some(100),
        };
        assert_eq!(ids(Some("1000"), Some("100")), Ok(both));
        let none = Target::Ids {
            uid: None,
            gid: None,
        };
        assert_eq!(ids(Some("0"), None), Ok(none));
        for wrong in ["-1", "x", "", "4294967295"] {
            assert!(ids(Some(wrong), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_umask_is_octal() {
        assert_eq!(parse_umask("0027"), Ok(Mode::from_bits_retain(0o027)));
        for wrong in ["", "8", "1000", "-1", "0o27"] {
            assert!(parse_umask(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn root_may_stay_if_it_is_asked_for() {
        assert_eq!(Target::choose(Some("root"), None, None), Ok(Target::Stay));
        assert_eq!(Target::choose(None, None, None), Ok(Target::Default));
    }
}
