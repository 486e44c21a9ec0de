//! Ways to a broker, with both tools: TLS with its checks, a Unix socket, WebSocket, a proxy, SRV.

use std::fs;

use rcgen::CertifiedKey;
use tempfile::TempDir;

use super::{Golden, Run, run};
use crate::broker::{Broker, Kind, free_port};
use crate::configured::Configured;

/// A Mosquitto with TLS at the port of the tables, and a Unix socket; it asks for the client's certificate.
fn start(asks: bool) -> (Configured, Golden) {
    let (port, plain) = (free_port(), free_port());
    let golden = Golden::new("mosquitto_pub", "pub", port);
    let folder = golden.folder().display().to_string();
    let write = |name: &str, text: &str| fs::write(golden.folder().join(name), text).unwrap();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write("ca.pem", &cert.pem());
    write("key.pem", &signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write("other.pem", &other.cert.pem());
    fs::create_dir(golden.folder().join("cas")).unwrap();
    write("cas/readme", "no certificate");
    write("cas/ours.crt", &cert.pem());
    let text = format!(
        "user root\nallow_anonymous true\nlistener {port} 127.0.0.1\n\
         cafile {folder}/ca.pem\ncertfile {folder}/ca.pem\nkeyfile {folder}/key.pem\nrequire_certificate {asks}\n\
         listener {plain} 127.0.0.1\nlistener 0 {folder}/socket\n"
    );
    let broker = Configured::start(Kind::Mosquitto, TempDir::new().unwrap(), &text);
    (broker, golden)
}

#[test]
fn tls_and_unix_sockets_are_the_same() {
    const TABLE: &[Run] = &[
        run("-h localhost -p {port} --cafile {folder}/ca.pem -t a -m x -d"),
        run("-h localhost -p {port} --cafile {folder}/ca.pem -t a -m x -d -V 5 -q 2 -i me"),
        run("-h localhost -p {port} --cafile {folder}/ca.pem --tls-version tlsv1.3 -t a -m x -d"),
        run("-h 127.0.0.1 -p {port} --cafile {folder}/ca.pem --insecure -t a -m x -d"),
        run("-h localhost -p {port} -t a -m x -d"),
        run("--unix {folder}/socket -t a -m x -d -q 1"),
        run("--unix {folder}/none -t a -m x -d"),
    ];
    let (_broker, golden) = start(false);
    golden.play(TABLE, || {});
}

#[test]
fn a_certificate_that_fails_a_check_is_told() {
    let (_broker, golden) = start(false);
    let check = |words: &'static str, why: &str| {
        let said = golden.said_by_ours(words);
        assert!(
            said.starts_with("Unable to connect (A TLS error occurred.).\n"),
            "{said}"
        );
        assert!(said.contains(why), "{said}");
    };
    check(
        "-h 127.0.0.1 -p {port} --cafile {folder}/ca.pem -t a -m x",
        "it is not valid for '127.0.0.1', only for localhost",
    );
    check(
        "-h localhost -p {port} --cafile {folder}/other.pem -t a -m x",
        "is not accepted",
    );
    check(
        "-h localhost -p {port} --tls-use-os-certs -t a -m x",
        "no trusted CA has signed it",
    );
}

#[test]
fn a_folder_of_certificates_a_key_log_and_a_certificate_of_ones_own() {
    let (_broker, golden) = start(true);
    let said = golden.said_by_ours("-h localhost -p {port} --capath {folder}/cas -t a -m x -d --cert {folder}/ca.pem --key {folder}/key.pem --tls-keylog {folder}/keys");
    assert!(said.ends_with("sending DISCONNECT\n"), "{said}");
    let keys = fs::read_to_string(golden.folder().join("keys")).unwrap();
    assert!(keys.contains("CLIENT_TRAFFIC_SECRET_0 "), "{keys}");
    // Without one, the server breaks the connection off.
    let refused = golden.said_by_ours("-h localhost -p {port} --capath {folder}/cas -t a -m x");
    assert!(
        refused.contains("Error: ") || refused.contains("Unable to connect"),
        "{refused}"
    );
}

#[test]
fn a_server_that_speaks_something_else_is_told() {
    let broker = Broker::start(Kind::Wigwag);
    let golden = Golden::new("mosquitto_pub", "pub", broker.ws_port());
    let said = golden.said_by_ours("-p {port} --ws -t a -m x -d -q 1");
    assert!(said.contains("received PUBACK (Mid: 1, RC:0)"), "{said}");
    let said = golden.said_by_ours("-p {port} -t a -m x");
    assert!(said.contains("(--ws)"), "{said}");
    let said = golden.said_by_ours("-p {port} -t a -m x --proxy socks5h://127.0.0.1:{closed}");
    assert!(
        said.starts_with("Unable to connect (Proxy error.).\n"),
        "{said}"
    );
    assert!(
        said.contains("through the proxy socks5://127.0.0.1:"),
        "{said}"
    );
    let said = golden.said_by_ours("-S -h no-such-domain.invalid -t a -m x");
    assert!(
        said.starts_with("Unable to connect (Lookup error.).\n"),
        "{said}"
    );
}
