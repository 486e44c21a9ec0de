//! What an operator says about access, before any file has been read.

use std::path::PathBuf;

use super::files::AccessError;
use crate::conf::Config;
use crate::conf::config::{BuiltIn, Listener, Plugin};

/// The variable of Mosquitto's with the first password of dynamic security's administrator.
const INITIAL_PASSWORD: &str = "MOSQUITTO_DYNSEC_PASSWORD";

/// Who gets in and who may do what.
///
/// The default lets everybody in and allows everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// For each listener, in the order of [`Builder::listener`](crate::Builder::listener). Listeners beyond
    /// the list have what the last says.
    pub listeners: Vec<Security>,
    /// Dynamic security, for listeners with [`Source::DynamicSecurity`].
    pub dynamic_security: Option<DynamicSecurity>,
    /// Whether `$CONTROL/broker/v1` is answered.
    pub control_api: bool,
}

impl Default for AccessSettings {
    fn default() -> AccessSettings {
        AccessSettings {
            listeners: vec![Security {
                allow_anonymous: true,
                sources: Vec::new(),
            }],
            dynamic_security: None,
            control_api: false,
        }
    }
}

/// What holds on a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Whether clients without a user name are let in. Without any source, those with one are too.
    pub allow_anonymous: bool,
    /// Who is asked, the first first; who knows nothing of a user leaves it to the next.
    pub sources: Vec<Source>,
}

/// Who knows of users or rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A password file. A user that it does not have is refused.
    Passwords(PathBuf),
    /// An ACL file. What it does not allow is denied.
    Acl(PathBuf),
    /// The broker's dynamic security.
    DynamicSecurity,
}

/// Where dynamic security is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicSecurity {
    /// The file. If it is not there, the broker begins with an administrator called `admin`.
    pub file: PathBuf,
    /// A file with the administrator's first password in its first line.
    pub password_init_file: Option<PathBuf>,
    /// The administrator's first password, if no file has it. Without either, passwords are drawn and
    /// written to a file beside the other, with `.pw` at the end of its name.
    pub initial_password: Option<String>,
}

impl AccessSettings {
    /// What a configuration says, for these listeners of it by their numbers. One that is no longer there has
    /// what is said for all of them.
    pub(crate) fn from_config(
        config: &Config,
        listeners: &[Option<&Listener>],
    ) -> Result<AccessSettings, AccessError> {
        let mut settings = AccessSettings {
            listeners: Vec::new(),
            dynamic_security: None,
            control_api: config.enable_control_api,
        };
        let mut problems = Vec::new();
        for listener in listeners {
            let said = listener.map_or(&config.security, |listener| &listener.security);
            let mut security = Security {
                allow_anonymous: said.allow_anonymous,
                sources: Vec::new(),
            };
            for plugin in said
                .plugins
                .iter()
                .filter_map(|index| config.plugins.get(*index))
            {
                match settings.source(plugin) {
                    Ok(source) => security.sources.extend(source),
                    Err(problem) if problems.contains(&problem) => {}
                    Err(problem) => problems.push(problem),
                }
            }
            security
                .sources
                .extend(said.password_file.clone().map(Source::Passwords));
            security
                .sources
                .extend(said.acl_file.clone().map(Source::Acl));
            settings.listeners.push(security);
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(AccessError(problems))
        }
    }

    /// What stands in for a plugin; `None` if it has nothing to do with access.
    fn source(&mut self, plugin: &Plugin) -> Result<Option<Source>, String> {
        let option = |name: &str| {
            let mut options = plugin.options.iter().rev();
            let (_, value) = options.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
            Some(PathBuf::from(value))
        };
        let needed = |name: &str| {
            option(name).ok_or_else(|| {
                format!(
                    "{}: this plugin needs `plugin_opt_{name} FILE` below it",
                    plugin.place
                )
            })
        };
        Ok(Some(match plugin.builtin {
            BuiltIn::PasswordFile => Source::Passwords(needed("password_file")?),
            BuiltIn::AclFile => Source::Acl(needed("acl_file")?),
            BuiltIn::DynamicSecurity => {
                let dynamic_security = DynamicSecurity {
                    file: needed("config_file")?,
                    password_init_file: option("password_init_file"),
                    initial_password: std::env::var(INITIAL_PASSWORD).ok(),
                };
                match &self.dynamic_security {
                    Some(other) if *other != dynamic_security => {
                        return Err(format!(
                            "{}: dynamic security can be loaded only once, and is kept in {} already",
                            plugin.place,
                            other.file.display()
                        ));
                    }
                    _ => self.dynamic_security = Some(dynamic_security),
                }
                Source::DynamicSecurity
            }
            BuiltIn::PersistSqlite => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::conf::config::{Bind, Place};

    fn plugin(line: usize, builtin: BuiltIn, options: &[(&str, &str)]) -> Plugin {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Plugin {
            place: Place {
                file: Arc::from(Path::new("m.conf")),
                line,
            },
            name: None,
            builtin,
            options: options.collect(),
            deny_special_chars: true,
        }
    }

    fn config(plugins: Vec<Plugin>) -> Config {
        let mut listener = Listener::new(Bind::tcp(None, 1883));
        listener.security.plugins = (0..plugins.len()).collect();
        listener.security.acl_file = Some("a.acl".into());
        listener.security.password_file = Some("a.pw".into());
        Config {
            plugins,
            listeners: vec![listener],
            ..Config::default()
        }
    }

    fn from_config(config: &Config) -> Result<AccessSettings, AccessError> {
        let listeners: Vec<_> = config.listeners.iter().map(Some).collect();
        AccessSettings::from_config(config, &listeners)
    }

    #[test]
    fn plugins_are_asked_before_files() {
        let config = config(vec![
            plugin(1, BuiltIn::PersistSqlite, &[]),
            plugin(2, BuiltIn::AclFile, &[("acl_file", "b.acl")]),
            plugin(3, BuiltIn::DynamicSecurity, &[("config_file", "d.json")]),
        ]);
        let settings = from_config(&config).expect("complete");
        assert_eq!(
            settings.listeners[0].sources,
            [
                Source::Acl("b.acl".into()),
                Source::DynamicSecurity,
                Source::Passwords("a.pw".into()),
                Source::Acl("a.acl".into()),
            ]
        );
        assert!(!settings.listeners[0].allow_anonymous);
        assert_eq!(
            settings.dynamic_security.expect("there").file,
            Path::new("d.json")
        );
    }

    #[test]
    fn what_a_plugin_lacks_is_said_with_its_line() {
        let config = config(vec![
            plugin(2, BuiltIn::AclFile, &[]),
            plugin(3, BuiltIn::DynamicSecurity, &[("config_file", "d.json")]),
            plugin(5, BuiltIn::DynamicSecurity, &[("config_file", "e.json")]),
        ]);
        let error = from_config(&config).expect_err("incomplete");
        assert_eq!(
            error.0,
            [
                "m.conf:2: this plugin needs `plugin_opt_acl_file FILE` below it",
                "m.conf:5: dynamic security can be loaded only once, and is kept in d.json already",
            ]
        );
    }
}
