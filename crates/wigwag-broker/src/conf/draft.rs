//! A configuration while it is read: what has been said so far, and what it means once all has been said.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::config::{
    Bind, Bridge, CertificateName, Config, Listener, LogDest, LogType, Plugin, Protocol, Proxy,
    Security, Tls, TlsVersion,
};

/// What the lines have said so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Everything but what the other fields hold.
    pub(super) config: Config,
    pub(super) security: SecurityDraft,
    pub(super) listeners: Vec<ListenerDraft>,
    /// The listener that no line opens; among `listeners`.
    pub(super) default_listener: Option<usize>,
    pub(super) log_dest: Option<BTreeSet<LogDest>>,
    pub(super) log_type: Option<BTreeSet<LogType>>,
}

/// Security as far as it has been said, for one listener or for all.
#[derive(Clone, Debug, Default)]
pub(super) struct SecurityDraft {
    pub(super) allow_anonymous: Option<bool>,
    pub(super) allow_zero_length_clientid: Option<bool>,
    pub(super) auto_id_prefix: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) acl_file: Option<PathBuf>,
    pub(super) plugins: Vec<usize>,
}

/// A listener whose section may go on.
#[derive(Debug)]
pub(super) struct ListenerDraft {
    pub(super) listener: Listener,
    pub(super) security: SecurityDraft,
    pub(super) certfile: Option<PathBuf>,
    pub(super) keyfile: Option<PathBuf>,
    pub(super) cafile: Option<PathBuf>,
    pub(super) capath: Option<PathBuf>,
    pub(super) crlfile: Option<PathBuf>,
    pub(super) require_certificate: bool,
    pub(super) disable_client_cert_date_checks: bool,
    pub(super) use_identity_as_username: bool,
    pub(super) use_subject_as_username: bool,
    pub(super) tls_version: TlsVersion,
    pub(super) ciphers: Option<String>,
    pub(super) ciphers_tls13: Option<String>,
    pub(super) proxy_version: Option<u8>,
    pub(super) proxy_requires_tls: bool,
}

impl ListenerDraft {
    pub(super) fn new(bind: Bind) -> ListenerDraft {
        ListenerDraft {
            listener: Listener::new(bind),
            security: SecurityDraft::default(),
            certfile: None,
            keyfile: None,
            cafile: None,
            capath: None,
            crlfile: None,
            require_certificate: false,
            disable_client_cert_date_checks: false,
            use_identity_as_username: false,
            use_subject_as_username: false,
            tls_version: TlsVersion::From1_2,
            ciphers: None,
            ciphers_tls13: None,
            proxy_version: None,
            proxy_requires_tls: false,
        }
    }

    /// What does not go together in the section.
    pub(super) fn contradictions(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        match (&self.certfile, &self.keyfile) {
            (Some(_), None) | (None, Some(_)) => found.push(
                "Both certfile and keyfile must be provided to enable a TLS listener. One of them is missing.",
            ),
            (None, None) => {
                if self.cafile.is_some() {
                    found.push("cafile specified without certfile and keyfile.");
                }
                if self.capath.is_some() {
                    found.push("capath specified without certfile and keyfile.");
                }
            }
            (Some(_), Some(_)) => {
                if self.require_certificate && self.cafile.is_none() && self.capath.is_none() {
                    found.push(
                        "require_certificate needs cafile or capath: the CAs whose certificates are accepted.",
                    );
                }
            }
        }
        if self.proxy_version == Some(2) {
            if self.use_subject_as_username {
                found.push(
                    "use_subject_as_username cannot be used with `enable_proxy_protocol 2`. The load balancer tells the Common Name only: see use_identity_as_username.",
                );
            }
            if self.certfile.is_some() || self.keyfile.is_some() {
                found.push(
                    "certfile and keyfile cannot be used with `enable_proxy_protocol 2`. TLS ends at the load balancer.",
                );
            }
        }
        found
    }

    /// Options of the section that are about something that the listener does not do, and what that is.
    pub(super) fn idle_options(&self) -> Vec<(&'static str, &'static str)> {
        const TLS: &str = "speak TLS";
        let is_plain = self.certfile.is_none();
        let is_untold = is_plain && self.proxy_version != Some(2);
        let is_http = self.listener.protocol == Protocol::HttpApi;
        [
            (
                "require_certificate",
                TLS,
                is_untold && self.require_certificate,
            ),
            (
                "use_identity_as_username",
                TLS,
                is_untold && self.use_identity_as_username,
            ),
            (
                "use_subject_as_username",
                TLS,
                is_plain && self.use_subject_as_username,
            ),
            ("crlfile", TLS, is_plain && self.crlfile.is_some()),
            ("ciphers", TLS, is_plain && self.ciphers.is_some()),
            (
                "ciphers_tls1.3",
                TLS,
                is_plain && self.ciphers_tls13.is_some(),
            ),
            (
                "http_dir",
                "have 'protocol http_api'",
                !is_http && self.listener.http_dir.is_some(),
            ),
            (
                "web_ui",
                "have 'protocol http_api'",
                !is_http && !self.listener.web_ui,
            ),
        ]
        .into_iter()
        .filter_map(|(option, why, is_idle)| is_idle.then_some((option, why)))
        .collect()
    }

    fn finish(
        self,
        common: Option<&SecurityDraft>,
        global: &SecurityDraft,
        local: bool,
    ) -> Listener {
        let mut listener = self.listener;
        listener.security = self.security.finish(common, global, local);
        listener.proxy = match self.proxy_version {
            None => None,
            Some(1) => Some(Proxy::V1),
            Some(_) => Some(Proxy::V2 {
                require_tls: self.proxy_requires_tls,
                require_certificate: self.require_certificate,
                use_identity_as_username: self.use_identity_as_username,
            }),
        };
        if let (Some(certfile), Some(keyfile)) = (self.certfile, self.keyfile) {
            listener.tls = Some(Tls {
                certfile,
                keyfile,
                cafile: self.cafile,
                capath: self.capath,
                crlfile: self.crlfile,
                require_certificate: self.require_certificate,
                disable_client_cert_date_checks: self.disable_client_cert_date_checks,
                username: if self.use_identity_as_username {
                    CertificateName::Identity
                } else if self.use_subject_as_username {
                    CertificateName::Subject
                } else {
                    CertificateName::None
                },
                tls_version: self.tls_version,
                ciphers: self.ciphers,
                ciphers_tls13: self.ciphers_tls13,
            });
        }
        listener
    }
}

impl SecurityDraft {
    /// Whether nothing has been said yet.
    pub(super) fn is_untouched(&self) -> bool {
        let SecurityDraft {
            allow_anonymous,
            allow_zero_length_clientid,
            auto_id_prefix,
            password_file,
            acl_file,
            plugins,
        } = self;
        allow_anonymous.is_none()
            && allow_zero_length_clientid.is_none()
            && auto_id_prefix.is_none()
            && password_file.is_none()
            && acl_file.is_none()
            && plugins.is_empty()
    }

    /// `common` is what holds where this says nothing; `global` has the plugins of all listeners.
    fn finish(
        self,
        common: Option<&SecurityDraft>,
        global: &SecurityDraft,
        local: bool,
    ) -> Security {
        let nothing = SecurityDraft::default();
        let common = common.unwrap_or(&nothing);
        let default = Security::default();
        let mut plugins = global.plugins.clone();
        plugins.extend(self.plugins);
        Security {
            // Whoever opens a listener to others has to say that anybody may come.
            allow_anonymous: (self.allow_anonymous.or(common.allow_anonymous)).unwrap_or(local),
            allow_zero_length_clientid: (self.allow_zero_length_clientid)
                .or(common.allow_zero_length_clientid)
                .unwrap_or(default.allow_zero_length_clientid),
            auto_id_prefix: (self.auto_id_prefix)
                .or_else(|| common.auto_id_prefix.clone())
                .unwrap_or(default.auto_id_prefix),
            password_file: self.password_file.or_else(|| common.password_file.clone()),
            acl_file: self.acl_file.or_else(|| common.acl_file.clone()),
            plugins,
        }
    }
}

impl Draft {
    /// The listener for options that stand before any `listener`.
    pub(super) fn default_listener(&mut self) -> usize {
        if let Some(index) = self.default_listener {
            return index;
        }
        self.listeners
            .push(ListenerDraft::new(Bind::tcp(None, 1883)));
        let index = self.listeners.len() - 1;
        self.default_listener = Some(index);
        index
    }

    pub(super) fn bridge_named(&self, name: &str) -> Option<&Bridge> {
        self.config
            .bridges
            .iter()
            .find(|bridge| bridge.name == name)
    }

    pub(super) fn plugin_named(&self, name: &str) -> Option<usize> {
        let is_it = |plugin: &Plugin| plugin.name.as_deref() == Some(name);
        self.config.plugins.iter().position(is_it)
    }

    /// The configuration, when the last line has been read.
    pub(super) fn finish(self) -> Config {
        let Draft {
            mut config,
            security,
            listeners,
            default_listener: _,
            log_dest,
            log_type,
        } = self;
        let local = config.local_only;
        let common = (!config.per_listener_settings).then_some(&security);
        config.listeners = listeners
            .into_iter()
            .map(|listener| listener.finish(common, &security, local))
            .collect();
        config.security = SecurityDraft::default().finish(Some(&security), &security, local);
        if let Some(destinations) = log_dest {
            config.logging.destinations = destinations;
        }
        if let Some(types) = log_type {
            config.logging.types = types;
            config.logging.types_are_set = true;
        }
        config
    }
}
