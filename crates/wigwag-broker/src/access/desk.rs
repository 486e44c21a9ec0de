//! Access as the shards see it: their policy, and where their questions go.

use std::sync::Arc;

use wigwag_access::control::{DYNSEC_TOPIC, ListenerInfo, Plugin};
use wigwag_access::decoy;
use wigwag_access::dynsec::{Rights, State};
use wigwag_engine::auth::{AuthRequest, AuthStep, Verdict};
use wigwag_engine::policy::{Identity, Policy};
use wigwag_engine::proto::ReasonCode;
use wigwag_engine::{Claimed, Kick, ShardId, Who};

use super::files::{self, AccessError};
use super::keeper::{About, Keeper, Requests, Tally};
use super::policy::{ShardPolicy, Shared, caller};
use super::pool::{Job, Pool, Reply};
use super::scram::{self, Refusal};
use super::settings::{AccessSettings, DynamicSecurity};
use super::tables::{Judgement, Tables};
use crate::conf::config::Bind;
use crate::desk::{Desk, Order, Orders};
use crate::doors::OpenListener;
use crate::listener::Transport;
use crate::logging::Log;

/// The topics that are not for other clients begin with it.
pub(crate) const CONTROL: &str = "$CONTROL/";

/// A desk that decides by files and dynamic security.
pub(crate) struct AccessDesk {
    pub(super) shared: Arc<Shared>,
    pool: Pool,
    requests: Requests,
    dynamic_security: Option<DynamicSecurity>,
    about: Arc<About>,
    tally: Arc<Tally>,
    log: Log,
}

/// Everything that has been read, before any thread is started.
pub(crate) struct Prepared {
    settings: AccessSettings,
    keeper: Keeper,
}

impl Prepared {
    /// Reads the files, and makes the first one of dynamic security if it is not there.
    pub(crate) fn read(settings: AccessSettings, log: &Log) -> Result<Prepared, AccessError> {
        let tables = Tables::read(&settings, log);
        let dynsec = settings.dynamic_security.as_ref();
        let state = dynsec
            .map(|dynsec| files::read_dynsec(dynsec, log))
            .transpose();
        let (tables, state) = match (tables, state) {
            (Ok(tables), Ok(state)) => (tables, state),
            (tables, state) => {
                let errors = [tables.err(), state.err()].into_iter().flatten();
                return Err(AccessError(errors.flat_map(|error| error.0).collect()));
            }
        };
        let kept = tables.scram().chain(state.iter().flat_map(State::scram));
        let scram_secret = decoy::secret(&kept.collect::<Vec<_>>());
        let mut dynsec = dynsec.map(|dynsec| dynsec.file.clone()).zip(state);
        let rights = dynsec
            .as_mut()
            .map_or_else(Rights::default, |(_, state)| state.rights());
        Ok(Prepared {
            keeper: Keeper {
                shared: Arc::new(Shared::new(tables, rights, scram_secret)),
                log: log.clone(),
                dynsec,
                about: Arc::default(),
                tally: Arc::default(),
            },
            settings,
        })
    }

    /// Starts the threads. `running` is held for as long as a file may be written.
    pub(crate) fn start(
        self,
        listeners: &[OpenListener],
        running: impl Send + 'static,
    ) -> std::io::Result<AccessDesk> {
        let (shared, log) = (Arc::clone(&self.keeper.shared), self.keeper.log.clone());
        let desk = AccessDesk {
            about: Arc::clone(&self.keeper.about),
            tally: Arc::clone(&self.keeper.tally),
            pool: Pool::start(&shared)?,
            requests: self.keeper.start(running)?,
            shared,
            dynamic_security: self.settings.dynamic_security,
            log,
        };
        desk.tell_of(self.settings.control_api, listeners);
        Ok(desk)
    }
}

/// What a reload has read of access and does not hold yet.
#[derive(Debug)]
pub(crate) struct Ready(Tables);

impl AccessDesk {
    /// Decides on who wants to come in, here or on a thread of the pool.
    pub(super) fn decide(
        &self,
        judgement: Judgement,
        identity: Identity,
        password: Option<Box<[u8]>>,
        reply: Reply,
    ) {
        match judgement {
            Judgement::Admit => reply(Verdict::Allow {
                user_name: identity.user_name,
                data: None,
            }),
            Judgement::Refuse => reply(Verdict::Refuse(ReasonCode::NotAuthorized)),
            Judgement::Check { hash, is_nobodys } => {
                let password = password.unwrap_or_default();
                if !is_nobodys && self.shared.knows(&identity, &password, &hash) {
                    let user_name = identity.user_name;
                    return reply(Verdict::Allow {
                        user_name,
                        data: None,
                    });
                }
                self.pool.submit(Job {
                    reply,
                    identity,
                    password,
                    hash,
                    is_nobodys,
                });
            }
        }
    }

    /// How the changes of dynamic security have gone, if there is any.
    pub(crate) fn tally(&self) -> Option<&Arc<Tally>> {
        self.dynamic_security.as_ref().map(|_| &self.tally)
    }

    /// What the broker's own endpoint says of plugins and listeners, if it is open.
    pub(crate) fn tell_of(&self, control_api: bool, listeners: &[OpenListener]) {
        let about = control_api.then(|| {
            let dynsec = self.dynamic_security.iter().map(|_| Plugin {
                name: "dynamic-security",
                control_endpoints: vec![DYNSEC_TOPIC],
            });
            let listeners = listeners.iter().filter_map(listener_info);
            Arc::new((dynsec.collect(), listeners.collect()))
        });
        self.about.store(about);
    }

    /// Reads the files again. Of the listeners that are `gone`, what was said of them stays. Dynamic security
    /// has no part in it: it is changed over MQTT.
    pub(crate) fn prepare(
        &self,
        settings: &AccessSettings,
        gone: &[u16],
    ) -> Result<Ready, AccessError> {
        if settings.dynamic_security != self.dynamic_security {
            let what = "dynamic security comes, goes and gets another file only when the broker is started again";
            return Err(AccessError(vec![what.to_owned()]));
        }
        let mut tables = Tables::read(settings, &self.log)?;
        let before = self.shared.tables.load();
        gone.iter().for_each(|&number| tables.keep(number, &before));
        Ok(Ready(tables))
    }

    /// Decides by the files from here on; says whom to disconnect.
    pub(crate) fn exchange(&self, Ready(tables): Ready) -> Kick {
        let new = Arc::new(tables);
        let old = self.shared.tables.swap(Arc::clone(&new));
        let rights = self.shared.rights.load_full();
        let has_lost = move |identity: &Identity| {
            let standing = |tables: &Tables| tables.judge(&rights, caller(identity, false), true);
            !keeps_standing(&standing(&old), &standing(&new))
        };
        Kick {
            who: Who::Matching(Arc::new(has_lost)),
            reason: ReasonCode::NotAuthorized,
            with_will: true,
        }
    }
}

impl std::fmt::Debug for AccessDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessDesk")
    }
}

/// A listener as it was asked for, with the port that it got: one entry, however many sockets it has.
fn listener_info(open: &OpenListener) -> Option<ListenerInfo> {
    let bound = open
        .bound()
        .find(|bound| bound.transport != Transport::HttpApi)?;
    let (bind_address, socket_path) = match &open.listener.said.bind {
        Bind::Tcp { host, .. } => (host.clone(), None),
        Bind::Unix(path) => (None, Some(path.display().to_string())),
    };
    Some(ListenerInfo {
        port: bound.address.port().unwrap_or(0),
        is_websocket: bound.transport == Transport::WebSocket,
        bind_address,
        socket_path,
        is_tls: bound.is_tls,
    })
}

/// Whether who has got in by the one would get in by the other with what it has shown. Who could not have got
/// in has come another way, with a certificate.
pub(super) fn keeps_standing(old: &Judgement, new: &Judgement) -> bool {
    match (old, new) {
        (
            Judgement::Check {
                hash: old,
                is_nobodys: false,
            },
            Judgement::Check {
                hash,
                is_nobodys: false,
            },
        ) => old == hash,
        (
            Judgement::Refuse
            | Judgement::Check {
                is_nobodys: true, ..
            },
            _,
        )
        | (_, Judgement::Admit) => true,
        _ => false,
    }
}

impl Desk for AccessDesk {
    fn policy(&self, _: ShardId) -> Option<Box<dyn Policy>> {
        Some(Box::new(ShardPolicy::new(&self.shared)))
    }

    fn authenticate(&self, orders: &Orders, request: AuthRequest) -> Option<Verdict> {
        let AuthRequest {
            connection,
            identity,
            step,
        } = request;
        let orders = orders.clone();
        let reply: Reply =
            Box::new(move |verdict| orders.answer(Order::Verdict(connection, verdict)));
        // The policy has put off no other method than SCRAM.
        let step = match step {
            AuthStep::Connect {
                is_certified,
                password,
                method: None,
                ..
            } => {
                let shared = &self.shared;
                let judgement = shared.judge(&identity, is_certified, password.is_some());
                self.decide(judgement, identity, password, reply);
                return None;
            }
            AuthStep::Connect {
                is_certified, data, ..
            } => scram::begin(&self.shared, &identity, is_certified, data.as_deref()),
            AuthStep::ReAuthenticate { data, .. } => {
                scram::begin(&self.shared, &identity, false, data.as_deref())
            }
            AuthStep::Continue { data, exchange } => {
                scram::finish(&self.shared, &identity, exchange, data.as_deref())
            }
        };
        match step {
            Ok(verdict) => Some(verdict),
            Err(Refusal::Message) => Some(Verdict::Refuse(ReasonCode::ProtocolError)),
            Err(Refusal::Proof) => {
                self.pool.refuse_late(&identity, reply);
                None
            }
        }
    }

    fn handle_claimed(&self, orders: &Orders, claimed: Claimed) {
        self.requests.send(orders, claimed);
    }
}
