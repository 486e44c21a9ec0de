//! By what names this server may be called where it asks nobody for a password.
//!
//! Whoever owns a name of the internet can let it lead here, and his page is of our origin then to a browser that has it
//! open (DNS rebinding). So only names are answered to that nobody can own, and those that somebody has told us.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::guard::Guard;
use super::pages::refusal;

/// Ends of names that are nobody's on the internet: RFC 6761, RFC 6762 (appendix G), RFC 8375 and what ICANN has set
/// aside.
const NOBODYS: [&str; 11] = [
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
    "test",
];

/// What may be read by any name: figures without a message in them, which programs ask for.
const FOR_PROGRAMS: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// What the owner of a server has said of it.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) guard: Guard,
    /// Origins whose hosts are names of ours.
    pub(super) welcome: Arc<[String]>,
}

const WHY: &str = "this server asks nobody for a password, so it answers to addresses and to names of a local network only; \
     to be called by another name it has to be told: 'websockets_origin http://NAME:PORT' in the configuration file, or \
     '--origin http://NAME:PORT' on the command line";

/// Lets nobody in without a password who calls the server by a name that may be a stranger's.
pub(super) async fn refuse_misled(
    State(names): State<Names>,
    request: Request,
    next: Next,
) -> Response {
    let is_misled = is_by_browser(&request)
        && !is_known(request.headers(), &names.welcome)
        && names.guard.admit(None).await.is_some();
    if is_misled {
        return refusal(StatusCode::MISDIRECTED_REQUEST, WHY);
    }
    next.run(request).await
}

/// Whether a browser may have sent it, and not for figures. With a WebSocket all of them say whose page asks.
fn is_by_browser(request: &Request) -> bool {
    let headers = request.headers();
    let is_of_program = headers.contains_key(UPGRADE) && !headers.contains_key(ORIGIN);
    !is_of_program && !FOR_PROGRAMS.contains(&request.uri().path())
}

/// Whether the request calls us by a name that is no stranger's. Browsers always say a name.
fn is_known(headers: &HeaderMap, welcome: &[String]) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = name_of(host);
    let mut welcome = welcome.iter().filter_map(|origin| origin.split_once("://"));
    is_nobodys(&name) || is_ours(&name) || welcome.any(|(_, host)| name_of(host) == name)
}

/// A host without its port, as names are compared.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// An address, a name without a dot, or one with an end that is nobody's.
fn is_nobodys(name: &str) -> bool {
    let has_end = |end: &&str| {
        name.strip_suffix(*end)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    name.starts_with('[')
        || name.parse::<Ipv4Addr>().is_ok()
        || !name.contains('.')
        || NOBODYS.iter().any(has_end)
}

/// What this machine calls itself.
#[cfg(unix)]
fn is_ours(name: &str) -> bool {
    nix::unistd::gethostname().is_ok_and(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(not(unix))]
fn is_ours(_name: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_known_as(host: &str, welcome: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).expect("a header"));
        let welcome: Vec<String> = welcome.iter().map(ToString::to_string).collect();
        is_known(&headers, &welcome)
    }

    #[test]
    fn a_name_that_somebody_may_own_is_not_ours() {
        for host in [
            "evil.example",
            "evil.example:8080",
            "evil.example.",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocal.example",
            "evil.notlocal",
            "1.2.3.4.5",
            "1.2.3",
        ] {
            assert!(!is_known_as(host, &[]), "{host}");
        }
    }

    #[test]
    fn addresses_and_names_of_a_local_network_are_ours() {
        for host in [
            "127.0.0.1:3000",
            "192.0.2.7",
            "[::1]",
            "[::1]:3000",
            "localhost:3000",
            "LocalHost",
            "broker",
            "broker:8080",
            "broker.local",
            "Broker.LAN:80",
            "broker.prod.svc.cluster.local.",
            "pi.home.arpa",
        ] {
            assert!(is_known_as(host, &[]), "{host}");
        }
        assert!(is_known(&HeaderMap::new(), &[]), "no browser");
    }

    #[test]
    fn the_host_of_an_origin_that_is_welcome_is_known() {
        let welcome = ["https://mqtt.example", "http://lab.example:8080"];
        assert!(is_known_as("mqtt.example", &welcome));
        assert!(is_known_as("MQTT.example:443", &welcome));
        assert!(is_known_as("lab.example:9000", &welcome));
        assert!(!is_known_as("lab.example.evil.example", &welcome));
    }
}
