//! From listeners as they are described to sockets that listen, and to what holds behind them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use wigwag_engine::Limits;
use wigwag_net::accept::{self, Rules as WebSocketRules};
use wigwag_net::tls::KeyLogFile;

use crate::certificates::{self, CertificateError};
use crate::conf::config::{Bind, CertificateName, Domain, Listener as Said, LogType, Protocol};
#[cfg(unix)]
use crate::doors::SocketFile;
use crate::doors::{ClosedListener, Listening, Sockets};
use crate::entrance::{Entrance, House, Rules};
use crate::listener::{Address, Listener, StartError};
use crate::logging::Log;
use crate::plan;

/// What all listeners share.
pub(crate) struct Common<'a> {
    pub(crate) limits: &'a Limits,
    /// Bytes of a WebSocket's request.
    pub(crate) head_size_max: usize,
    pub(crate) key_log: Option<Arc<KeyLogFile>>,
    pub(crate) log: &'a Log,
}

/// Makes everything of a listener ready but the taking of connections.
pub(crate) fn prepare(
    number: u16,
    listener: &Listener,
    house: &Arc<House>,
    common: &Common<'_>,
) -> Result<ClosedListener, StartError> {
    let rules = rules(number, &listener.said, common)?;
    Ok(ClosedListener {
        listener: listener.clone(),
        entrance: Arc::new(Entrance::new(rules, house)),
        sockets: sockets(listener, common.log)?,
    })
}

/// Opens the sockets of a listener. One that may be left out may have none.
pub(crate) fn sockets(listener: &Listener, log: &Log) -> Result<Sockets, StartError> {
    match listen(&listener.said.bind, log) {
        // Another of them will do.
        Err(_) if listener.is_optional => Ok(Vec::new()),
        sockets => sockets,
    }
}

/// What holds behind a listener. Its files are read here.
pub(crate) fn rules(
    number: u16,
    listener: &Said,
    common: &Common<'_>,
) -> Result<Rules, CertificateError> {
    let tls = match &listener.tls {
        None => None,
        Some(tls) => Some(certificates::load(
            tls,
            common.key_log.as_ref(),
            common.log,
        )?),
    };
    let websocket = (listener.protocol != Protocol::Mqtt).then(|| {
        let mut rules = WebSocketRules::new(common.limits.packet_size_max as usize);
        rules.head_size_max = common.head_size_max;
        rules.first_message_size_max = common.limits.connect_packet_size_max as usize;
        rules.origins.clone_from(&listener.websockets_origins);
        rules
    });
    Ok(Rules {
        settings: Arc::new(plan::listener_settings(number, listener)),
        proxy: listener.proxy,
        certificate_name: (listener.tls.as_ref()).map_or(CertificateName::None, |tls| tls.username),
        tls,
        websocket,
        is_http: listener.protocol == Protocol::HttpApi,
        http_dir: listener.http_dir.clone(),
        web_ui: listener.web_ui,
        max_connections: listener.max_connections,
    })
}

fn listen(bind: &Bind, log: &Log) -> Result<Sockets, StartError> {
    match bind {
        #[cfg(unix)]
        Bind::Unix(path) => {
            let failed = |source| StartError::Listen {
                address: Address::Unix(path.clone()),
                source,
            };
            let socket = accept::listen_unix(path).map_err(failed)?;
            log.write(
                LogType::Information,
                format_args!("Opening unix listen socket on path {}.", path.display()),
            );
            let listening = Listening::Unix(socket, SocketFile(path.clone()));
            Ok(vec![(listening, Address::Unix(path.clone()))])
        }
        #[cfg(not(unix))]
        Bind::Unix(path) => Err(StartError::Listen {
            address: Address::Unix(path.clone()),
            source: io::ErrorKind::Unsupported.into(),
        }),
        Bind::Tcp {
            host,
            port,
            interface,
            domain,
        } => listen_tcp(host.as_deref(), *port, interface.as_deref(), *domain, log),
    }
}

fn listen_tcp(
    host: Option<&str>,
    port: u16,
    interface: Option<&str>,
    domain: Option<Domain>,
    log: &Log,
) -> Result<Sockets, StartError> {
    let wanted = |addr: &SocketAddr| match domain {
        None => true,
        Some(Domain::Ipv4) => addr.is_ipv4(),
        Some(Domain::Ipv6) => addr.is_ipv6(),
    };
    let mut sockets = Sockets::new();
    let mut port = port;
    for mut addr in addresses(host, port)?.into_iter().filter(wanted) {
        addr.set_port(port);
        let opened = accept::listen_on(addr, interface)
            .and_then(|socket| socket.local_addr().map(|addr| (socket, addr)));
        match opened {
            Ok((socket, addr)) => {
                let family = if addr.is_ipv4() { "ipv4" } else { "ipv6" };
                // A free port is the same one for all addresses.
                port = addr.port();
                log.write(
                    LogType::Information,
                    format_args!("Opening {family} listen socket on port {port}."),
                );
                sockets.push((Listening::Tcp(socket), Address::Tcp(addr)));
            }
            // Machines without IPv6 are not asked for it.
            Err(error) if host.is_none() && addr.is_ipv6() && !is_taken(&error) => {}
            Err(source) => {
                return Err(StartError::Listen {
                    address: Address::Tcp(addr),
                    source,
                });
            }
        }
    }
    if sockets.is_empty() {
        return Err(StartError::Resolve {
            host: host.unwrap_or("*").to_owned(),
            source: io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "no address of the wanted family",
            ),
        });
    }
    Ok(sockets)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

/// All addresses of a name; without one, every address of the machine.
fn addresses(host: Option<&str>, port: u16) -> Result<Vec<SocketAddr>, StartError> {
    let Some(host) = host else {
        let everywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        return Ok(everywhere.map(|ip| SocketAddr::new(ip, port)).to_vec());
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = (host, port).to_socket_addrs();
    let mut found: Vec<SocketAddr> = found
        .map_err(|source| StartError::Resolve {
            host: host.to_owned(),
            source,
        })?
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}
