//! The tree of topics over HTTP: what viewers are told, what they are not, and that nobody waits for them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, HttpListener, Listener, Transport};
use wigwag_proto::packet::{Qos, Version};

use crate::client::{Client, Login};
use crate::foreign::free_port;
use crate::observation::get;
use crate::sessions::{ANN, JOE};
use crate::{ANY_PORT, addr, connect};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a viewer knows by what it has been told.
struct Viewer {
    socket: WebSocketStream<TcpStream>,
    topics: BTreeMap<String, Value>,
    /// What even the broker has not heard.
    lost: u64,
}

impl Viewer {
    async fn try_open(http: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Viewer, u16> {
        let url = format!("ws://{http}/api/v1/topics");
        let mut request = url.into_client_request().expect("an address");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a header");
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(http).await.expect("it listens");
        match timeout(PATIENCE, client_async(request, stream))
            .await
            .expect("in time")
        {
            Ok((socket, _)) => Ok(Viewer {
                socket,
                topics: BTreeMap::new(),
                lost: 0,
            }),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn open(http: SocketAddr) -> Viewer {
        let viewer = Viewer::try_open(http, &[]).await;
        viewer.unwrap_or_else(|status| panic!("status {status}"))
    }

    /// The next frame; none if the other side has closed.
    async fn frame(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.socket.next())
                .await
                .expect("in time")?
                .ok()?
            {
                Message::Text(text) => return serde_json::from_str(&text).ok(),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn until(&mut self, is_so: impl Fn(&Viewer) -> bool) {
        let told = timeout(PATIENCE, self.follow(is_so)).await;
        told.expect("in time");
    }

    async fn follow(&mut self, is_so: impl Fn(&Viewer) -> bool) {
        while !is_so(self) {
            let frame = self.frame().await.expect("it goes on");
            for topic in frame["topics"].as_array().into_iter().flatten() {
                let name = topic["topic"].as_str().expect("a name").to_owned();
                self.topics.insert(name, topic.clone());
            }
            for topic in frame["gone"].as_array().into_iter().flatten() {
                assert!(
                    self.topics
                        .remove(topic.as_str().expect("a name"))
                        .is_some()
                );
            }
            self.lost = frame["lost"].as_u64().unwrap_or(self.lost);
        }
    }

    fn is(&self, topic: &str, field: &str, value: impl Into<Value>) -> bool {
        self.topics
            .get(topic)
            .is_some_and(|it| it[field] == value.into())
    }
}

fn broker() -> (Broker, SocketAddr) {
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .http(HttpListener::api(ANY_PORT, None))
        .start()
        .expect("port 0 is free");
    let http = broker.http_listeners()[0];
    (broker, http)
}

fn is_listening(broker: &Broker) -> bool {
    broker.subscription_tree().contains("wigwag.topics")
}

#[tokio::test]
async fn viewers_are_told_what_there_is_and_what_changes() {
    let (broker, http) = broker();
    let mut publisher = connect(&broker, "publisher").await;
    publisher.publish_retained("plant/a", b"kept").await;
    let mut first = Viewer::open(http).await;
    first.until(|it| it.is("plant/a", "payload", "kept")).await;
    assert!(first.is("plant/a", "isRetained", true));
    first
        .until(|it| it.topics.contains_key("$SYS/broker/uptime"))
        .await;
    for _ in 0..100 {
        publisher
            .publish("plant/b", &[0xff, 0], Qos::AtLeastOnce)
            .await;
    }
    first.until(|it| it.is("plant/b", "messages", 100)).await;
    assert!(first.is("plant/b", "payloadBase64", "/wA=") && first.is("plant/b", "qos", 1));
    assert!(first.is("plant/b", "areOld", Value::Null));
    // Who comes later counts along, and knows what was before it.
    let mut second = Viewer::open(http).await;
    second.until(|it| it.is("plant/b", "messages", 100)).await;
    assert!(second.is("plant/b", "areOld", true));
    publisher.publish_retained("plant/a", b"").await;
    for viewer in [&mut first, &mut second] {
        viewer
            .until(|it| it.is("plant/a", "isRetained", false))
            .await;
    }
    let long = vec![b'x'; 5_000];
    publisher.publish("plant/c", &long, Qos::AtMostOnce).await;
    second.until(|it| it.is("plant/c", "bytes", 5_000)).await;
    let payload = second.topics["plant/c"]["payload"].as_str().map(str::len);
    assert_eq!(payload, Some(4_096));
}

#[tokio::test]
async fn the_broker_listens_to_itself_only_while_somebody_looks() {
    let (broker, http) = broker();
    assert!(!is_listening(&broker));
    let mut viewers = Vec::new();
    for _ in 0..2 {
        let mut viewer = Viewer::open(http).await;
        viewer.until(|it| !it.topics.is_empty()).await;
        viewers.push(viewer);
    }
    assert!(is_listening(&broker));
    viewers.pop();
    let mut left = viewers.pop().expect("two");
    let mut publisher = connect(&broker, "publisher").await;
    publisher.publish("a", b"1", Qos::AtMostOnce).await;
    left.until(|it| it.is("a", "messages", 1)).await;
    drop(left);
    let is_over = async {
        while is_listening(&broker) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_over)
        .await
        .expect("it stops listening");
}

#[tokio::test]
async fn what_is_no_websocket_or_one_too_many_is_refused_with_a_reason() {
    let (_broker, http) = broker();
    let answer = get(http, "/api/v1/topics", "").await;
    assert_eq!(answer.status, 426);
    assert!(answer.body.contains("WebSocket"), "{}", answer.body);
    let foreign = Viewer::try_open(http, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.err(), Some(403));
    let mut viewers = Vec::new();
    let refused = loop {
        match Viewer::try_open(http, &[]).await {
            Ok(viewer) => viewers.push(viewer),
            Err(status) => break status,
        }
    };
    assert_eq!((viewers.len(), refused), (32, 503));
    // A place is free as soon as somebody has gone.
    viewers.pop();
    let is_free = async { while Viewer::try_open(http, &[]).await.is_err() {} };
    timeout(PATIENCE, is_free).await.expect("a place");
}

#[tokio::test]
async fn nobody_waits_for_a_viewer_that_does_not_read() {
    let (broker, http) = broker();
    let mut publisher = connect(&broker, "publisher").await;
    let mut subscriber = connect(&broker, "subscriber").await;
    subscriber.subscribe("flood/#", Qos::AtMostOnce).await;
    let mut reader = Viewer::open(http).await;
    // What is heard before that was retained.
    publisher.publish_retained("begin", b"now").await;
    reader.until(|it| it.topics.contains_key("begin")).await;
    let idle = Viewer::open(http).await;
    // More than the buffers of a connection hold.
    let payload = "\u{1}".repeat(4_000);
    for round in 0..8 {
        for topic in 0..100 {
            let topic = format!("flood/{topic}");
            publisher
                .publish(&topic, payload.as_bytes(), Qos::AtMostOnce)
                .await;
            subscriber.message().await;
        }
        let messages = (round + 1) * 100;
        let count = |it: &Viewer| {
            let flood = it
                .topics
                .iter()
                .filter(|(topic, _)| topic.starts_with("flood/"));
            flood
                .filter_map(|(_, topic)| topic["messages"].as_u64())
                .sum::<u64>()
        };
        reader.until(|it| count(it) + it.lost == messages).await;
    }
    drop(idle);
}

/// Joe and Ann, and a file of their rights.
struct House {
    folder: TempDir,
    ports: [u16; 2],
    broker: Broker,
}

impl House {
    fn start(acl: &str) -> House {
        let folder = TempDir::new().expect("a folder");
        let ports = [free_port(), free_port()];
        fs::write(folder.path().join("passwords"), format!("{JOE}{ANN}")).expect("writable");
        let config = config(&folder, ports, acl, true);
        House {
            broker: Broker::builder()
                .config(&config, &[])
                .start()
                .expect("started"),
            folder,
            ports,
        }
    }

    fn http(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[1]).into()
    }

    fn become_(&mut self, acl: &str, has_http: bool) {
        let config = config(&self.folder, self.ports, acl, has_http);
        self.broker.reload(&config).expect("usable");
    }
}

fn config(folder: &TempDir, [mqtt, http]: [u16; 2], acl: &str, has_http: bool) -> conf::Config {
    let dir = folder.path().display();
    fs::write(folder.path().join("acl"), acl).expect("writable");
    let http = if has_http {
        format!("listener {http} 127.0.0.1\nprotocol http_api\n")
    } else {
        String::new()
    };
    let text = format!(
        "password_file {dir}/passwords\nacl_file {dir}/acl\nlistener {mqtt} 127.0.0.1\n{http}"
    );
    let file = folder.path().join("mosquitto.conf");
    fs::write(&file, text).expect("writable");
    let reading = conf::read(&file, &Disk);
    reading
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .config
}

/// `joe:joe's`
const AS_JOE: (&str, &str) = ("authorization", "Basic am9lOmpvZSdz");

#[tokio::test]
async fn a_viewer_is_told_what_it_may_read_at_that_moment() {
    let own = "pattern readwrite room/%u\nuser ann\ntopic write room/ann\ntopic write hall\n";
    let both = format!("{own}user joe\ntopic read room/ann\n");
    let mut house = House::start(own);
    assert_eq!(Viewer::try_open(house.http(), &[]).await.err(), Some(401));
    let login = Login {
        client_id: "ann",
        user_name: Some("ann"),
        password: Some("ann's"),
    };
    let mqtt = addr(&house.broker, Transport::Tcp);
    let mut ann = Client::try_connect(mqtt, Version::V5, login)
        .await
        .expect("let in");
    let login = Login {
        client_id: "joe",
        user_name: Some("joe"),
        password: Some("joe's"),
    };
    let mut joe = Client::try_connect(mqtt, Version::V5, login)
        .await
        .expect("let in");
    ann.publish_retained("room/ann", b"hers").await;
    joe.publish_retained("room/joe", b"his").await;
    let mut viewer = Viewer::try_open(house.http(), &[AS_JOE])
        .await
        .expect("open");
    viewer.until(|it| it.is("room/joe", "payload", "his")).await;
    assert_eq!(viewer.topics.len(), 1, "{:?}", viewer.topics);
    // What he may read from now on he is told without news of it.
    house.become_(&both, true);
    viewer
        .until(|it| it.is("room/ann", "payload", "hers"))
        .await;
    house.become_(own, true);
    viewer.until(|it| !it.topics.contains_key("room/ann")).await;
    ann.publish("room/ann", b"news", Qos::AtMostOnce).await;
    joe.publish("room/joe", b"news", Qos::AtMostOnce).await;
    viewer
        .until(|it| it.is("room/joe", "payload", "news"))
        .await;
    assert_eq!(viewer.topics.len(), 1, "{:?}", viewer.topics);
    house.become_(own, false);
    while viewer.frame().await.is_some() {}
}

#[tokio::test]
async fn a_viewer_whose_user_is_gone_is_let_go() {
    let acl = "pattern readwrite room/%u\n";
    let mut house = House::start(acl);
    let viewer = Viewer::try_open(house.http(), &[AS_JOE]).await;
    let mut viewer = viewer.expect("open");
    assert!(
        viewer.frame().await.is_some(),
        "the first one says which tree it is"
    );
    fs::write(house.folder.path().join("passwords"), ANN).expect("writable");
    house.become_(acl, true);
    while viewer.frame().await.is_some() {}
    assert_eq!(
        Viewer::try_open(house.http(), &[AS_JOE]).await.err(),
        Some(401)
    );
}
