//! The way to the server, as the command line says it: addresses, TLS, proxy.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wigwag_client::{Builder, Client, KeyLogFile, Limits, TcpOptions, Tls};

use crate::options::command_line::{CommandLine, Server, TlsChoice};

use super::failure::Failure;
use super::srv;

/// The largest packet of MQTT: Mosquitto's tools take everything.
const PACKET_SIZE_MAX: u32 = 268_435_460;

/// Where WebSocket brokers listen for MQTT.
const WEBSOCKET_PATH: &str = "/mqtt";

/// A client that goes this way. What can be found out before anything is opened has been.
pub(super) async fn builder(line: &CommandLine) -> Result<Builder, Failure> {
    let addresses = addresses(line).await?;
    let Some((first, others)) = addresses.split_first() else {
        return Err(Failure::Lookup(line.server.host.clone()));
    };
    let mut builder = Client::builder(first)
        .version(line.session.version)
        .limits(Limits {
            packet_size_max: PACKET_SIZE_MAX,
            ..Limits::default()
        });
    for address in others {
        builder = builder.server(address);
    }
    if let Some(host) = &line.server.bind {
        builder = builder.tcp(bound(host).await?);
    }
    if let Some(proxy) = &line.server.proxy {
        builder = builder.proxy(proxy);
    }
    if line.tls.is_on {
        builder = builder.tls(tls(&line.tls)?);
    }
    Ok(builder)
}

async fn addresses(line: &CommandLine) -> Result<Vec<String>, Failure> {
    let server = &line.server;
    if let Some(path) = &server.unix {
        let path = std::path::absolute(path).map_err(|error| setup(&error.to_string()))?;
        return Ok(vec![format!("unix://{}", path.display())]);
    }
    if server.srv {
        let found = srv::lookup(&server.host, line.tls.is_on).await?;
        let found = found.into_iter();
        return Ok(found
            .map(|(host, port)| address(line, &host, port))
            .collect());
    }
    Ok(vec![address(line, &server.host, port(server, &line.tls))])
}

fn address(line: &CommandLine, host: &str, port: u16) -> String {
    let scheme = match (line.server.websocket, line.tls.is_on) {
        (false, false) => "mqtt",
        (false, true) => "mqtts",
        (true, false) => "ws",
        (true, true) => "wss",
    };
    let path = if line.server.websocket {
        WEBSOCKET_PATH
    } else {
        ""
    };
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}{path}")
    } else {
        format!("{scheme}://{host}:{port}{path}")
    }
}

fn port(server: &Server, tls: &TlsChoice) -> u16 {
    server.port.unwrap_or(if tls.is_on { 8883 } else { 1883 })
}

/// `-A`: a name or an address of this machine.
async fn bound(host: &str) -> Result<TcpOptions, Failure> {
    let found = tokio::net::lookup_host((host, 0)).await.ok();
    let address = found.and_then(|mut addresses| addresses.next());
    let address = address.ok_or_else(|| Failure::Lookup(host.to_owned()))?;
    Ok(TcpOptions::default().bind(address.ip()))
}

fn tls(choice: &TlsChoice) -> Result<Tls, Failure> {
    let mut tls = if choice.os_certs {
        Tls::native_roots()
    } else {
        Tls::default()
    };
    if let Some(path) = &choice.ca_file {
        tls = tls.add_ca_pem(read(path)?);
    }
    if let Some(folder) = &choice.ca_path {
        for pem in certificates_in(folder).map_err(|error| unreadable(folder, &error))? {
            tls = tls.add_ca_pem(pem);
        }
    }
    if let (Some(cert), Some(key)) = (&choice.cert, &choice.key) {
        tls = tls.client_certificate_pem(read(cert)?, read(key)?);
    }
    if let Some(alpn) = &choice.alpn {
        tls = tls.alpn(alpn.as_str());
    }
    if let Some(list) = &choice.ciphers {
        tls = tls.cipher_suites(list);
    }
    if choice.only_1_3 {
        tls = tls.tls_1_3_only();
    }
    if choice.insecure {
        tls = tls.dangerous_accept_any_host();
    }
    if let Some(path) = &choice.key_log {
        let file = KeyLogFile::open(path).map_err(|error| unreadable(path, &error))?;
        tls = tls.dangerous_log_keys(Arc::new(file));
    }
    Ok(tls)
}

/// The certificates of a folder; what is none is passed over.
fn certificates_in(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(text) = fs::read(&path) else {
            continue;
        };
        if text.windows(MARK.len()).any(|own| own == MARK) {
            found.push(text);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::NoFile(path.to_owned());
    }
    setup(&format!(
        "Problem setting TLS options: {}: {error}",
        path.display()
    ))
}

fn setup(text: &str) -> Failure {
    Failure::Setup(format!("Error: {text}\n"))
}
