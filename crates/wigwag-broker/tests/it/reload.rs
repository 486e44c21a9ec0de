//! A configuration that is read again: listeners come, go and change, and a reload that fails changes nothing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tempfile::TempDir;
use tokio::net::TcpStream;
use wigwag_broker::conf::{self, Config, Disk};
use wigwag_broker::{Broker, Transport};
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Qos, Version};

use crate::client::{Client, Login, Received};
use crate::foreign::free_port;

struct Site {
    folder: TempDir,
    broker: Broker,
}

fn config(folder: &TempDir, text: &str) -> Config {
    let file = folder.path().join("broker.conf");
    let text = text.replace("{folder}", &folder.path().display().to_string());
    fs::write(&file, text).expect("writable");
    conf::read(&file, &Disk).expect("valid").config
}

impl Site {
    fn start(text: &str) -> Site {
        let folder = TempDir::new().expect("a folder");
        let config = config(&folder, text);
        let broker = Broker::builder().config(&config, &[]).start();
        let broker = broker.expect("the ports are free");
        Site { folder, broker }
    }

    /// Why it has changed nothing, if it has not.
    fn reload(&mut self, text: &str) -> Result<(), String> {
        let config = config(&self.folder, text);
        let outcome = self.broker.reload(&config);
        outcome.map(drop).map_err(|error| error.to_string())
    }

    fn listens(&self) -> Vec<String> {
        let bound = self.broker.listeners().iter();
        bound.map(ToString::to_string).collect()
    }
}

const fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

async fn connect(port: u16, client_id: &str) -> Client {
    Client::connect(at(port), Version::V5, client_id).await
}

async fn is_refused(port: u16) -> bool {
    TcpStream::connect(at(port)).await.is_err()
}

async fn is_told_of_the_end(client: &mut Client) {
    let reason = ReasonCode::AdministrativeAction;
    assert_eq!(client.next().await, Received::Disconnect(reason));
    assert_eq!(client.next().await, Received::Closed);
}

#[tokio::test]
async fn listeners_come_and_go_and_the_others_do_not_notice() {
    let [one, two, three] = [(); 3].map(|()| free_port());
    let lines = |ports: &[u16]| -> String {
        let lines = ports
            .iter()
            .map(|port| format!("listener {port} 127.0.0.1\n"));
        lines.chain(["allow_anonymous true\n".to_owned()]).collect()
    };
    let mut site = Site::start(&lines(&[one, two]));
    let mut stays = connect(one, "stays").await;
    let mut goes = connect(two, "goes").await;
    // Before its CONNECT.
    let mut silent = TcpStream::connect(at(two)).await.expect("listening");
    // The order of the file does not matter.
    site.reload(&lines(&[three, one])).expect("ports are free");
    is_told_of_the_end(&mut goes).await;
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut byte);
    let read = tokio::time::timeout(std::time::Duration::from_secs(60), read).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "closed");
    assert!(is_refused(two).await);
    let expected = [one, three].map(|port| format!("MQTT on 127.0.0.1:{port}"));
    assert_eq!(site.listens(), expected);
    stays.subscribe("t", Qos::AtMostOnce).await;
    let mut new = connect(three, "new").await;
    new.publish("t", b"1", Qos::AtLeastOnce).await;
    assert_eq!(stays.message().await.payload, b"1");
    // And back again.
    site.reload(&lines(&[one, two])).expect("ports are free");
    is_told_of_the_end(&mut new).await;
    connect(two, "again").await.ping().await;
    stays.ping().await;
    site.broker.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_cannot_be_opened_fails_the_whole_reload() {
    let [one, two] = [(); 2].map(|()| free_port());
    let before = format!("listener {one} 127.0.0.1\nallow_anonymous true\n");
    let mut site = Site::start(&before);
    let mut client = connect(one, "c").await;
    let blocker = TcpListener::bind(at(0)).expect("a free port");
    let taken = blocker.local_addr().expect("bound").port();
    // Nobody is let in, one listener goes, one comes, and one cannot.
    let text = format!("listener {two} 127.0.0.1\nlistener {taken} 127.0.0.1\n");
    let error = site.reload(&text).expect_err("taken");
    assert_eq!(error, format!("cannot listen on 127.0.0.1:{taken}"));
    assert!(is_refused(two).await);
    client.ping().await;
    connect(one, "d").await.ping().await;
    // Also when a port of the broker's own had to be given up on the way.
    let text = format!("listener {one} localhost\nlistener {taken} 127.0.0.1\n");
    site.reload(&text).expect_err("taken");
    let text = format!("listener {one} 192.0.2.1\n");
    let error = site
        .reload(&text)
        .expect_err("not an address of this machine");
    assert_eq!(error, format!("cannot listen on 192.0.2.1:{one}"));
    client.ping().await;
    connect(one, "e").await.ping().await;
    drop(blocker);
    site.broker.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_changes_keeps_its_port() {
    let port = free_port();
    let mut site = Site::start(&format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\n"
    ));
    let mut plain = connect(port, "plain").await;
    let websocket =
        format!("listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n");
    site.reload(&websocket).expect("the same socket");
    is_told_of_the_end(&mut plain).await;
    let mut client = Client::connect_websocket(at(port), "ws").await;
    client.publish("t", b"1", Qos::AtLeastOnce).await;
    assert_eq!(site.broker.listeners()[0].transport, Transport::WebSocket);
    // Another address on the same port.
    let everywhere = format!("listener {port}\nprotocol websockets\nallow_anonymous true\n");
    site.reload(&everywhere).expect("its own port");
    is_told_of_the_end(&mut client).await;
    let mut client = Client::connect_websocket(at(port), "ws").await;
    client.publish("t", b"1", Qos::AtLeastOnce).await;
    // Whatever else is said of it is for those who come after.
    site.reload(&format!("{everywhere}max_qos 0\n"))
        .expect("the same socket");
    client.publish("t", b"1", Qos::AtLeastOnce).await;
    site.broker.shutdown().await;
}

#[tokio::test]
async fn who_comes_by_a_new_listener_is_judged_by_its_own_rules() {
    let [open, closed, other] = [(); 3].map(|()| free_port());
    let listener = |port: u16, rest: &str| format!("listener {port} 127.0.0.1\n{rest}\n");
    let head = "per_listener_settings true\n";
    let let_in = "allow_anonymous true";
    let deaf = "allow_anonymous true\nacl_file {folder}/acl";
    let mut site = Site::start(&[head, &listener(open, let_in)].concat());
    fs::write(site.folder.path().join("acl"), "topic write #\n").expect("writable");
    let text = [
        head,
        &listener(closed, "allow_anonymous false"),
        &listener(open, let_in),
        &listener(other, deaf),
    ]
    .concat();
    site.reload(&text).expect("ports are free");
    let login = Login {
        client_id: "stranger",
        user_name: None,
        password: None,
    };
    let refused = Client::try_connect(at(closed), Version::V5, login).await;
    assert_eq!(refused.err(), Some(ReasonCode::NotAuthorized));
    let mut reader = connect(open, "reader").await;
    reader.subscribe("t", Qos::AtMostOnce).await;
    let mut deaf = connect(other, "deaf").await;
    deaf.subscribe("t", Qos::AtMostOnce).await;
    deaf.publish("t", b"1", Qos::AtLeastOnce).await;
    assert_eq!(reader.message().await.payload, b"1");
    deaf.ping().await;
    assert!(deaf.arrived().is_none(), "it may not read");
    site.broker.shutdown().await;
}
