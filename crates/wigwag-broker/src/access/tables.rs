//! The tables that decide, made from files, and swapped as a whole.
//!
//! **Invariant:** a decision sees one set of tables from beginning to end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wigwag_access::acl_file::{Access, AclFile};
use wigwag_access::decoy::Look;
use wigwag_access::dynsec::{Login, Operation, Rights};
use wigwag_access::password::PasswordHash;
use wigwag_access::password_file::PasswordFile;
use wigwag_access::rules::Who;
use wigwag_access::scram::Credentials;

use super::files::{self, AccessError};
use super::settings::{AccessSettings, Security, Source};
use crate::logging::Log;

/// What holds on each listener.
#[derive(Debug)]
pub(super) struct Tables {
    listeners: Box<[Listener]>,
}

/// What holds on one listener: who knows of users, and who knows of rights.
#[derive(Clone, Debug, Default)]
struct Listener {
    allow_anonymous: bool,
    logins: Vec<LoginSource>,
    rights: Vec<RightSource>,
}

#[derive(Clone, Debug)]
enum LoginSource {
    File(Arc<PasswordFile>),
    DynamicSecurity,
}

/// Who knows of rights.
#[derive(Clone, Debug)]
pub(super) enum RightSource {
    File(Arc<AclFile>),
    DynamicSecurity,
}

/// Who wants to come in, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) who: Who<'a>,
    pub(super) listener: u16,
    pub(super) is_certified: bool,
}

/// What a caller has to show.
#[derive(Clone, Debug)]
pub(super) enum Judgement {
    /// Nothing more.
    Admit,
    /// Nothing will do.
    Refuse,
    /// A password that fits the hash. If it is nobody's, the caller is refused all the same, but takes as
    /// long: who the users are is not to be seen from the time of an answer.
    Check {
        hash: Arc<PasswordHash>,
        is_nobodys: bool,
    },
}

impl Tables {
    /// Reads every file that is named, each once.
    pub(super) fn read(settings: &AccessSettings, log: &Log) -> Result<Tables, AccessError> {
        let mut reading = Reading::default();
        let table = |security: &Security| {
            let mut listener = Listener {
                allow_anonymous: security.allow_anonymous,
                ..Listener::default()
            };
            for source in &security.sources {
                reading.add(source, &mut listener, log);
            }
            listener
        };
        let listeners = settings.listeners.iter().map(table).collect();
        if reading.problems.is_empty() {
            Ok(Tables { listeners })
        } else {
            Err(AccessError(reading.problems))
        }
    }

    /// Keeps of other tables what they say of a listener.
    pub(super) fn keep(&mut self, number: u16, other: &Tables) {
        let number = usize::from(number);
        if let (Some(mine), Some(listener)) =
            (self.listeners.get_mut(number), other.listeners.get(number))
        {
            mine.clone_from(listener);
        }
    }

    fn listener(&self, number: u16) -> Option<&Listener> {
        let listener = self.listeners.get(usize::from(number));
        listener.or(self.listeners.last())
    }

    /// What the caller has to show, besides having been let in by TLS.
    pub(super) fn judge(
        &self,
        rights: &Rights,
        caller: Caller<'_>,
        has_password: bool,
    ) -> Judgement {
        let Caller {
            who,
            listener,
            is_certified,
        } = caller;
        let Some(listener) = self.listener(listener) else {
            return Judgement::Refuse;
        };
        if let (Some(user), true) = (who.user_name, is_certified) {
            return listener.judge_certified(rights, user, who.client_id);
        }
        let mut is_deferred = false;
        for source in &listener.logins {
            match (source, who.user_name) {
                (LoginSource::File(_), None) => {}
                (LoginSource::File(file), Some(user)) => {
                    return match file.hash(user) {
                        Some(hash) if has_password => Judgement::check(hash),
                        Some(_) => Judgement::Refuse,
                        None => listener.refuse(rights, has_password),
                    };
                }
                (LoginSource::DynamicSecurity, Some(user)) if has_password => {
                    match rights.login(user, who.client_id) {
                        Login::Unknown => is_deferred = true,
                        Login::Refused => return listener.refuse(rights, has_password),
                        Login::Password(hash) => return Judgement::check(hash),
                    }
                }
                (LoginSource::DynamicSecurity, _) => is_deferred = true,
            }
        }
        // Where somebody knows of users, only who does not claim to be one is anonymous.
        if listener.allow_anonymous && !(is_deferred && who.user_name.is_some()) {
            Judgement::Admit
        } else {
            listener.refuse(rights, has_password)
        }
    }

    /// How most credentials for SCRAM-SHA-256 look on a listener; `None` if nobody can log in with it there.
    pub(super) fn scram_look(&self, rights: &Rights, listener: u16) -> Option<Look> {
        let mut sources = self.listener(listener)?.logins.iter();
        sources.find_map(|source| match source {
            LoginSource::File(file) => file.scram_look(),
            LoginSource::DynamicSecurity => rights.scram_look(),
        })
    }

    /// All that files keep for logging in with SCRAM-SHA-256.
    pub(super) fn scram(&self) -> impl Iterator<Item = &Credentials> {
        let sources = self.listeners.iter().flat_map(|listener| &listener.logins);
        let files = sources.filter_map(|source| match source {
            LoginSource::File(file) => Some(file),
            LoginSource::DynamicSecurity => None,
        });
        files.flat_map(|file| file.scram())
    }

    /// Who is asked about rights on a listener; without anybody, everything is allowed.
    pub(super) fn right_sources(&self, listener: u16) -> Option<&[RightSource]> {
        Some(&self.listener(listener)?.rights)
    }
}

/// What the first of those says who know anything. Who was asked and says nothing denies.
pub(super) fn allow(
    sources: &[RightSource],
    rights: &Rights,
    who: Who<'_>,
    operation: Operation<'_>,
) -> bool {
    let mut sources = sources.iter();
    let decided = sources.find_map(|source| match source {
        RightSource::File(file) => Some(match operation {
            Operation::Publish(topic) => file.allows(who, Access::Write, topic),
            Operation::Receive(topic) => file.allows(who, Access::Read, topic),
            Operation::Subscribe(_) | Operation::Unsubscribe(_) => true,
        }),
        RightSource::DynamicSecurity => rights.decide(who, operation),
    });
    decided.unwrap_or(false)
}

/// Whether dynamic security is among those who are asked.
pub(super) fn ask_dynsec(sources: &[RightSource]) -> bool {
    let mut sources = sources.iter();
    sources.any(|source| matches!(source, RightSource::DynamicSecurity))
}

impl Judgement {
    fn check(hash: &Arc<PasswordHash>) -> Judgement {
        Judgement::Check {
            hash: Arc::clone(hash),
            is_nobodys: false,
        }
    }
}

impl Listener {
    /// A certificate stands for a password, but not for a user whom dynamic security has disabled.
    fn judge_certified(&self, rights: &Rights, user: &str, client_id: &str) -> Judgement {
        let mut sources = self.logins.iter();
        let asks_dynsec = sources.any(|source| matches!(source, LoginSource::DynamicSecurity));
        if asks_dynsec && !rights.admits(user, client_id) {
            Judgement::Refuse
        } else {
            Judgement::Admit
        }
    }

    /// A refusal that takes as long as checking a password.
    fn refuse(&self, rights: &Rights, has_password: bool) -> Judgement {
        let mut sources = self.logins.iter();
        let somebodys = sources.find_map(|source| match source {
            LoginSource::File(file) => file.any_hash(),
            LoginSource::DynamicSecurity => rights.any_hash(),
        });
        match somebodys {
            Some(hash) if has_password => Judgement::Check {
                hash: Arc::clone(hash),
                is_nobodys: true,
            },
            _ => Judgement::Refuse,
        }
    }
}

/// Files that have been read.
#[derive(Default)]
struct Reading {
    passwords: BTreeMap<PathBuf, Arc<PasswordFile>>,
    acls: BTreeMap<PathBuf, Arc<AclFile>>,
    problems: Vec<String>,
}

impl Reading {
    fn add(&mut self, source: &Source, listener: &mut Listener, log: &Log) {
        match source {
            Source::Passwords(path) => {
                let Some(file) = known(&mut self.passwords, path, log, files::read_passwords)
                    .unwrap_or_else(|error| self.fail(error))
                else {
                    return;
                };
                listener.logins.push(LoginSource::File(file));
            }
            Source::Acl(path) => {
                let Some(file) = known(&mut self.acls, path, log, files::read_acl)
                    .unwrap_or_else(|error| self.fail(error))
                else {
                    return;
                };
                listener.rights.push(RightSource::File(file));
            }
            Source::DynamicSecurity => {
                listener.logins.push(LoginSource::DynamicSecurity);
                listener.rights.push(RightSource::DynamicSecurity);
            }
        }
    }

    fn fail<T>(&mut self, error: AccessError) -> Option<T> {
        for problem in error.0 {
            // Several listeners may name one file.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        None
    }
}

fn known<T>(
    files: &mut BTreeMap<PathBuf, Arc<T>>,
    path: &Path,
    log: &Log,
    read: fn(&Path, &Log) -> Result<T, AccessError>,
) -> Result<Option<Arc<T>>, AccessError> {
    if let Some(file) = files.get(path) {
        return Ok(Some(Arc::clone(file)));
    }
    let file = Arc::new(read(path, log)?);
    files.insert(path.to_owned(), Arc::clone(&file));
    Ok(Some(file))
}
