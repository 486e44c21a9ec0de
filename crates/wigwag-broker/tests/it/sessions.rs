//! Logging in over HTTP: what a session stands for, when it ends, and who does not get one.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, Listener, Transport};
use wigwag_net::Stream;
use wigwag_net::dial::{self, DialError, Options, Target};
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Qos, Version};

use crate::addr;
use crate::client::{Client, Login, Received};
use crate::foreign::free_port;
use crate::http::ask_at;

/// The passwords are `joe's` and `ann's`; what is kept of the other joe's is another hash.
pub(crate) const JOE: &str = "joe:$7$101$5oQvKaOZI+VFEdam$H/gllghGjQGff/ycxSxLNkn1F5mYqEa0MJN1nSne4TAtt8B5O0ucWWVP7Umrygm7OZ097aJ47OMWKGBBHRkV3Q==\n";
pub(crate) const ANN: &str = "ann:$7$101$JfNCkUoWCfKInxi2$kEy8g3c/kL762hMyHZf6s1CVBeZ1jjS/PDo+buXYj3+W5x0q5pIcrhPOnNDnJEe8oG1zFZuvcIIl98l+ZYsk1w==\n";
const OTHER_JOE: &str = "joe:$7$101$X/sI5rjpbJbZfhrC$M8/ViCHtAIdX77gRdmP76nyFwyXYNjH+gfP7vnDc7YxZLSIqHSntdKJhAoWzpkVOf9lMGU1W4Z0aKBOwByzxow==\n";

/// Everybody has a room of his own, and an alarm looks at all of them.
pub(crate) struct House {
    folder: TempDir,
    /// For MQTT, and two for HTTP.
    ports: [u16; 3],
    pub(crate) broker: Broker,
}

impl House {
    pub(crate) fn start() -> House {
        let folder = TempDir::new().expect("a folder");
        let ports = [free_port(), free_port(), free_port()];
        write(&folder, "passwords", &format!("{JOE}{ANN}"));
        write(&folder, "acl", "pattern readwrite room/%u\n");
        House {
            broker: Broker::builder()
                .config(&config(&folder, ports), &[])
                .web_ui(Router::new().fallback(async || "the page"))
                .start()
                .expect("started"),
            folder,
            ports,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[1]).into()
    }

    /// Other users from here on.
    pub(crate) fn set_users(&mut self, passwords: &str) {
        write(&self.folder, "passwords", passwords);
        let config = config(&self.folder, self.ports);
        self.broker.reload(&config).expect("usable");
    }

    pub(crate) async fn log_in(&self, user: &str) -> String {
        let body = json!({ "userName": user, "password": format!("{user}'s") });
        let answer = post(self.http(), &body.to_string()).await;
        cookie(&answer).unwrap_or_else(|| panic!("{answer}"))
    }

    /// The user of a session, as the broker tells it.
    async fn user(&self, cookie: &str) -> Value {
        let request = format!("GET /api/v1/session HTTP/1.1\r\nCookie: {cookie}");
        body(&ask_at(self.http(), &request).await)["user"].clone()
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).expect("writable");
}

fn config(folder: &TempDir, [mqtt, http, other]: [u16; 3]) -> conf::Config {
    let dir = folder.path().display();
    let text = format!(
        "password_file {dir}/passwords\nacl_file {dir}/acl\nalarm hot: room/+ > 5\n\
         listener {mqtt} 127.0.0.1\n\
         listener {http} 127.0.0.1\nprotocol http_api\n\
         listener {other} 127.0.0.1\nprotocol http_api\n"
    );
    write(folder, "mosquitto.conf", &text);
    let reading = conf::read(&folder.path().join("mosquitto.conf"), &Disk);
    reading
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .config
}

async fn post(http: SocketAddr, body: &str) -> String {
    post_with(http, "Content-Type: application/json", body).await
}

async fn post_with(http: SocketAddr, header: &str, body: &str) -> String {
    let len = body.len();
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{header}\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    crate::http::exchange(http, &request).await
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn set_cookie(answer: &str) -> Option<&str> {
    let mut lines = answer.lines();
    lines.find_map(|line| line.strip_prefix("set-cookie: "))
}

fn cookie(answer: &str) -> Option<String> {
    let (pair, _) = set_cookie(answer)?.split_once(';')?;
    Some(pair.to_owned())
}

#[tokio::test]
async fn a_session_stands_for_a_password_and_shows_what_is_the_users() {
    let house = House::start();
    let session = "GET /api/v1/session HTTP/1.1";
    let answer = ask_at(house.http(), session).await;
    assert_eq!(body(&answer), json!({ "user": null, "required": true }));

    let asked = Instant::now();
    let wrong = post(house.http(), r#"{"userName":"joe","password":"ann's"}"#).await;
    assert_eq!((status(&wrong), set_cookie(&wrong)), ("401", None));
    assert!(body(&wrong)["error"].is_string());
    assert!(asked.elapsed() > Duration::from_millis(900), "a guess");

    let right = post(house.http(), r#"{"userName":"joe","password":"joe's"}"#).await;
    assert_eq!(body(&right), json!({ "user": "joe", "required": true }));
    assert!(right.contains("cache-control: no-store\r\n"), "{right}");
    let (pair, attributes) = set_cookie(&right)
        .and_then(|set| set.split_once(';'))
        .expect("a cookie");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict");
    let joe = pair.to_owned();
    let number = joe.strip_prefix("wigwag-session=").expect("its name");
    assert_eq!(number.len(), 64, "256 bits");
    let ann = house.log_in("ann").await;
    assert_eq!(
        (house.user(&joe).await, house.user(&ann).await),
        ("joe".into(), "ann".into())
    );

    let mqtt = addr(&house.broker, Transport::Tcp);
    let login = Login {
        client_id: "c",
        user_name: Some("joe"),
        password: Some("joe's"),
    };
    let mut client = Client::try_connect(mqtt, Version::V5, login)
        .await
        .expect("let in");
    client.publish("room/joe", b"9", Qos::AtLeastOnce).await;
    client.ping().await;
    let alarms = async |cookie: &str| {
        let request = format!("GET /api/v1/alarms HTTP/1.1\r\nCookie: {cookie}");
        body(&ask_at(house.http(), &request).await)["active"].clone()
    };
    let bound = Instant::now() + Duration::from_secs(60);
    while alarms(&joe).await == json!([]) && Instant::now() < bound {
        tokio::task::yield_now().await;
    }
    assert_eq!(alarms(&joe).await[0]["details"]["value"], "9");
    assert_eq!(alarms(&ann).await, json!([]), "it is not her room");

    let request = format!("DELETE /api/v1/session HTTP/1.1\r\nCookie: {joe}");
    let answer = ask_at(house.http(), &request).await;
    assert_eq!(body(&answer), json!({ "user": null, "required": true }));
    let expect = "wigwag-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!(set_cookie(&answer), Some(expect));
    let request = format!("GET /api/v1/alarms HTTP/1.1\r\nCookie: {joe}");
    assert_eq!(status(&ask_at(house.http(), &request).await), "401");
    assert_eq!(house.user(&ann).await, "ann", "hers goes on");
    house.broker.shutdown().await;
}

#[tokio::test]
async fn a_session_ends_with_the_password_and_with_the_user() {
    let mut house = House::start();
    let (joe, ann) = (house.log_in("joe").await, house.log_in("ann").await);
    house.set_users(&format!("{OTHER_JOE}{ANN}"));
    assert_eq!(house.user(&joe).await, Value::Null, "another password");
    assert_eq!(house.user(&ann).await, "ann", "nothing has changed for her");
    house.set_users(OTHER_JOE);
    assert_eq!(house.user(&ann).await, Value::Null, "she is gone");
    house.set_users(&format!("{JOE}{ANN}"));
    assert_eq!(
        house.user(&joe).await,
        Value::Null,
        "what is over stays over"
    );
    house.broker.shutdown().await;
}

#[tokio::test]
async fn whoever_is_not_meant_gets_no_session_and_is_told_why() {
    let house = House::start();
    let good = r#"{"userName":"joe","password":"joe's"}"#;
    let json = "Content-Type: application/json";
    let long = format!("{{\"userName\":\"{}\"}}", "x".repeat(20_000));
    for (header, body_sent, expect) in [
        ("Content-Type: text/plain", good, "415"),
        ("X: y", good, "415"),
        (json, "", "400"),
        (json, "[]", "400"),
        (json, r#"{"userName":"joe"}"#, "400"),
        (json, r#"{"userName":1,"password":null}"#, "400"),
        (json, &long, "413"),
        (
            "Content-Type: application/json\r\nOrigin: http://evil.example",
            good,
            "403",
        ),
        (
            "Content-Type: application/json\r\nOrigin: null",
            good,
            "403",
        ),
        (
            "Content-Type: application/json\r\nOrigin: http://test",
            good,
            "200",
        ),
    ] {
        let answer = post_with(house.http(), header, body_sent).await;
        assert_eq!(status(&answer), expect, "{header} {body_sent}: {answer}");
        assert_eq!(set_cookie(&answer).is_some(), expect == "200");
        assert_eq!(body(&answer)["error"].is_string(), expect != "200");
    }
    let joe = house.log_in("joe").await;
    let foreign =
        format!("DELETE /api/v1/session HTTP/1.1\r\nOrigin: http://evil.example\r\nCookie: {joe}");
    assert_eq!(status(&ask_at(house.http(), &foreign).await), "403");
    assert_eq!(house.user(&joe).await, "joe", "it goes on");

    let other = SocketAddr::from(([127, 0, 0, 1], house.ports[2]));
    let request = format!("GET /metrics HTTP/1.1\r\nCookie: {joe}");
    assert_eq!(
        status(&ask_at(other, &request).await),
        "401",
        "of another listener"
    );
    for cookie in [
        "wigwag-session=",
        "wigwag-session",
        "=",
        "wigwag-session=é",
        &joe[..40],
    ] {
        assert_eq!(house.user(cookie).await, Value::Null, "{cookie}");
    }
    house.broker.shutdown().await;
}

#[tokio::test]
async fn a_pages_script_is_not_interrupted_by_its_browser() {
    let house = House::start();
    let challenge = "www-authenticate: ";
    for (header, expect) in [
        ("Sec-Fetch-Mode: cors", false),
        ("X-Requested-With: wigwag", false),
        ("Upgrade: websocket", false),
        ("Sec-Fetch-Mode: navigate", true),
        ("Accept: */*", true),
    ] {
        let answer = ask_at(house.http(), &format!("GET /metrics HTTP/1.1\r\n{header}")).await;
        assert_eq!(status(&answer), "401");
        assert_eq!(answer.contains(challenge), expect, "{header}");
        assert!(body(&answer)["error"].is_string());
    }
    house.broker.shutdown().await;
}

#[tokio::test]
async fn a_broker_without_users_asks_nobody_to_log_in() {
    let broker = Broker::builder()
        .http(wigwag_broker::HttpListener::api(crate::ANY_PORT, None))
        .start()
        .expect("port 0 is free");
    let here = broker.http_listeners()[0];
    let expect = json!({ "user": null, "required": false });
    let shown = ask_at(here, "GET /api/v1/session HTTP/1.1").await;
    assert_eq!(body(&shown), expect);
    let answer = post(here, r#"{"userName":"joe","password":"x"}"#).await;
    assert_eq!((body(&answer), set_cookie(&answer)), (expect, None));
    broker.shutdown().await;
}

/// Opens a WebSocket where the page is; the status of the answer if it is not granted.
async fn open(http: SocketAddr, headers: &[(&str, &str)]) -> Result<Stream, u16> {
    let mut options = Options::default();
    for (name, value) in headers {
        options.websocket.header(name, value).expect("a header");
    }
    let target = Target::parse(&format!("ws://{http}/mqtt")).expect("valid");
    match dial::dial_with(&target, 1_000_000, &options).await {
        Ok(stream) => Ok(stream),
        Err(DialError::Status { status, .. }) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

/// The cookie as it is called at this address.
fn at(http: SocketAddr, cookie: &str) -> String {
    cookie.replace("session=", &format!("session-{}=", http.port()))
}

const NOBODY: Login<'_> = Login {
    client_id: "page",
    user_name: None,
    password: None,
};

#[tokio::test]
async fn who_has_logged_in_is_that_user_over_mqtt_too() {
    let mut house = House::start();
    let http = house.http();
    let joe = at(http, &house.log_in("joe").await);
    let stream = open(http, &[("Cookie", &joe)]).await.expect("granted");
    let mut page = Client::try_connect_over(stream, NOBODY)
        .await
        .expect("let in");
    page.subscribe("room/+", Qos::AtLeastOnce).await;
    page.publish("room/ann", b"1", Qos::AtLeastOnce).await;
    page.publish("room/joe", b"2", Qos::AtLeastOnce).await;
    assert_eq!(page.message().await.topic, "room/joe", "he has no other");
    page.ping().await;
    let refused = ReasonCode::NotAuthorized;
    assert!(page.reasons.contains(&refused), "{:?}", page.reasons);

    let metrics = ask_at(
        http,
        &format!("GET /metrics HTTP/1.1\r\nAuthorization: Basic {JOE_BASIC}"),
    )
    .await;
    let expect =
        format!("wigwag_connections{{listener=\"{http}\",protocol=\"httpapi\",tls=\"false\"}} 2\n");
    assert!(metrics.contains(&expect), "{metrics}");

    house.set_users(ANN);
    assert_eq!(
        page.next().await,
        Received::Disconnect(refused),
        "he is gone"
    );
    let stream = open(http, &[("Cookie", &joe)]).await.expect("granted");
    let login = Client::try_connect_over(stream, NOBODY).await;
    assert_eq!(login.err(), Some(refused), "and so is his session");
    house.broker.shutdown().await;
}

#[tokio::test]
async fn who_is_gone_before_its_connect_does_not_come_in() {
    let mut house = House::start();
    let http = house.http();
    let (joe, ann) = (house.log_in("joe").await, house.log_in("ann").await);
    let way = async |cookie: &str| {
        let stream = open(http, &[("Cookie", &at(http, cookie))]).await;
        Client::over(stream.expect("granted"), Version::V5)
    };
    let (mut gone, mut stays) = (way(&joe).await, way(&ann).await);
    house.set_users(ANN);
    gone.send_connect(NOBODY).await;
    assert_eq!(gone.next().await, Received::Closed, "he is gone");
    stays.send_connect(NOBODY).await;
    let next = stays.next().await;
    assert!(matches!(next, Received::ConnAck { .. }), "{next:?}");
    house.broker.shutdown().await;
}

#[tokio::test]
async fn who_logs_out_is_logged_out_everywhere() {
    let house = House::start();
    let http = house.http();
    let (joe, other) = (house.log_in("joe").await, house.log_in("joe").await);
    let connect = async |cookie: &str, client_id| {
        let stream = open(http, &[("Cookie", &at(http, cookie))]).await;
        let login = Login {
            client_id,
            ..NOBODY
        };
        let client = Client::try_connect_over(stream.expect("granted"), login).await;
        client.expect("let in")
    };
    let (mut here, mut there) = (connect(&joe, "here").await, connect(&joe, "there").await);
    let mut apart = connect(&other, "apart").await;
    let request = format!("DELETE /api/v1/session HTTP/1.1\r\nCookie: {joe}");
    assert_eq!(status(&ask_at(http, &request).await), "200");
    assert_eq!(here.next().await, Received::Closed);
    assert_eq!(there.next().await, Received::Closed);
    apart.ping().await;
    house.broker.shutdown().await;
}

/// joe and his password.
const JOE_BASIC: &str = "am9lOmpvZSdz";

#[tokio::test]
async fn who_has_not_logged_in_says_in_connect_who_he_is() {
    let house = House::start();
    let http = house.http();
    for cookie in ["a=b", "wigwag-session=0"] {
        let stream = open(http, &[("Cookie", &at(http, cookie))]).await;
        let login = Client::try_connect_over(stream.expect("granted"), NOBODY).await;
        assert_eq!(login.err(), Some(ReasonCode::NotAuthorized));
    }
    let origin = format!("http://{http}");
    let stream = open(http, &[("Origin", &origin)]).await.expect("granted");
    let login = Login {
        user_name: Some("ann"),
        password: Some("ann's"),
        ..NOBODY
    };
    let mut ann = Client::try_connect_over(stream, login)
        .await
        .expect("let in");
    ann.ping().await;
    house.broker.shutdown().await;
    // The broker's threads for HTTP are gone then; this connection is not theirs.
    let bye = Received::Disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(ann.next().await, bye);
}

#[tokio::test]
async fn a_page_of_another_origin_opens_nothing() {
    let house = House::start();
    let http = house.http();
    let joe = at(http, &house.log_in("joe").await);
    let neighbour = format!("http://127.0.0.1:{}", house.ports[2]);
    for origin in ["http://evil.example", "null", &neighbour] {
        let headers = [("Cookie", &*joe), ("Origin", origin)];
        assert_eq!(open(http, &headers).await.err(), Some(403), "{origin}");
    }
    let plain = ask_at(http, "GET /mqtt HTTP/1.1").await;
    assert_eq!(status(&plain), "426", "{plain}");
    assert!(plain.contains("upgrade: websocket\r\n"), "{plain}");
    house.broker.shutdown().await;
}

#[tokio::test]
async fn a_name_that_may_be_a_strangers_opens_nothing_where_nobody_is_asked_for_a_password() {
    let port = free_port();
    let http = SocketAddr::from(([127, 0, 0, 1], port));
    let folder = TempDir::new().expect("a folder");
    let text = format!(
        "listener {port} 127.0.0.1\nprotocol http_api\nallow_anonymous true\n\
         websockets_origin https://lab.example\n"
    );
    write(&folder, "mosquitto.conf", &text);
    let config = conf::read(&folder.path().join("mosquitto.conf"), &Disk).expect("usable");
    let broker = Broker::builder()
        .config(&config.config, &[])
        .web_ui(Router::new().fallback(async || "the page"))
        .start()
        .expect("started");
    let get = async |path: &str, host: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}X-Nothing: 1");
        ask_at(http, &request).await
    };
    let websocket = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let evil = format!("{websocket}Origin: http://evil.example:{port}\r\n");
    let evil_host = format!("evil.example:{port}");
    for (path, headers) in [
        ("/", ""),
        ("/api/v1/listeners", ""),
        ("/api/v1/session", ""),
        ("/api/v1/topics", &*evil),
        ("/mqtt", &*evil),
    ] {
        let answer = get(path, &evil_host, headers).await;
        assert_eq!(status(&answer), "421", "{path}: {answer}");
        let why = body(&answer)["error"].to_string();
        assert!(why.contains("websockets_origin"), "{why}");
    }
    // A program names no origin. It is refused for another reason, since what is granted does not end by itself.
    let old = "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n";
    assert_eq!(status(&get("/mqtt", &evil_host, old).await), "426");
    for path in ["/", "/api/v1/listeners", "/api/v1/session"] {
        for host in ["localhost", "broker.lan:8080", "lab.example"] {
            let answer = get(path, host, "").await;
            assert_eq!(status(&answer), "200", "{path}, {host}: {answer}");
        }
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(status(&get(path, &evil_host, "").await), "200", "{path}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn the_page_is_for_everybody_and_what_it_shows_is_not() {
    let house = House::start();
    let get = async |path: &str, header: &str| {
        let answer = ask_at(house.http(), &format!("GET {path} HTTP/1.1\r\n{header}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (status(head).to_owned(), body.to_owned())
    };
    let nobody = "X-Nothing: 1";
    let joe = format!("Cookie: {}", house.log_in("joe").await);
    for path in [
        "/",
        "/devices/1",
        "/explore/api/v1/x",
        "/config.json",
        "/mqtt/x",
    ] {
        let expect = ("200".to_owned(), "the page".to_owned());
        assert_eq!(get(path, nobody).await, expect, "{path}");
    }
    for path in ["/metrics", "/api/v1/systree", "/api/v1/nothing", "/api/x"] {
        assert_eq!(get(path, nobody).await.0, "401", "{path}");
    }
    assert_eq!(get("/api/v1/systree", &joe).await.0, "200");
    let (status, body) = get("/api/v1/nothing", &joe).await;
    assert_eq!(status, "404", "not the page: {body}");
    assert!(body.starts_with("{\"error\":"), "{body}");
    assert_eq!(get("/healthz", nobody).await.0, "200");
    house.broker.shutdown().await;
}

#[tokio::test]
async fn where_everybody_comes_in_pages_of_others_read_nothing() {
    let broker = Broker::builder()
        .listener(Listener::http(crate::ANY_PORT))
        .web_ui(Router::new().fallback(async || "the page"))
        .start()
        .expect("port 0 is free");
    let here = broker.http_listeners()[0];
    for path in ["/api/v1/version", "/api/v1/systree", "/api/v1/alarms"] {
        let answer = ask_at(here, &format!("GET {path} HTTP/1.1")).await;
        assert_eq!(status(&answer), "200");
        assert!(!answer.contains("access-control-"), "{answer}");
    }
    let stream = open(here, &[]).await.expect("granted");
    assert!(Client::try_connect_over(stream, NOBODY).await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn an_operator_may_want_the_api_alone_or_a_page_of_his_own() {
    let folder = TempDir::new().expect("a folder");
    write(&folder, "index.html", "his own");
    let (bare, own) = (free_port(), free_port());
    let text = format!(
        "allow_anonymous true\nlistener {bare} 127.0.0.1\nprotocol http_api\nweb_ui false\n\
         listener {own} 127.0.0.1\nprotocol http_api\nhttp_dir {}\n",
        folder.path().display()
    );
    write(&folder, "mosquitto.conf", &text);
    let reading = conf::read(&folder.path().join("mosquitto.conf"), &Disk);
    let broker = Broker::builder()
        .config(&reading.expect("valid").config, &[])
        .web_ui(Router::new().fallback(async || "the page"))
        .start()
        .expect("started");
    let [bare, own] = [bare, own].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let front = "GET / HTTP/1.1";
    assert_eq!(status(&ask_at(bare, front).await), "404");
    assert_eq!(open(bare, &[]).await.err(), Some(404));
    assert!(ask_at(own, front).await.ends_with("his own"));
    let stream = open(own, &[]).await.expect("granted");
    assert!(Client::try_connect_over(stream, NOBODY).await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn mqtt_beside_the_api_has_the_rules_of_that_listener() {
    let folder = TempDir::new().expect("a folder");
    let dir = folder.path().display();
    write(&folder, "passwords", JOE);
    write(&folder, "acl", "user joe\ntopic readwrite open\n");
    let [mqtt, users, nobodys, few] = [(); 4].map(|()| free_port());
    let text = format!(
        "per_listener_settings true\n\
         listener {mqtt} 127.0.0.1\nallow_anonymous true\n\
         listener {users} 127.0.0.1\nprotocol http_api\npassword_file {dir}/passwords\nacl_file {dir}/acl\n\
         listener {nobodys} 127.0.0.1\nprotocol http_api\n\
         listener {few} 127.0.0.1\nprotocol http_api\nallow_anonymous true\nmax_connections 1\nmax_qos 0\n"
    );
    write(&folder, "mosquitto.conf", &text);
    let reading = conf::read(&folder.path().join("mosquitto.conf"), &Disk);
    let broker = Broker::builder()
        .config(&reading.expect("valid").config, &[])
        .start()
        .expect("started");
    let come = async |port: u16, user_name, password| {
        let stream = open(([127, 0, 0, 1], port).into(), &[]).await;
        let login = Login {
            user_name,
            password,
            ..NOBODY
        };
        Client::try_connect_over(stream.expect("granted"), login).await
    };
    let refused = Some(ReasonCode::NotAuthorized);
    assert_eq!(come(users, None, None).await.err(), refused);
    assert_eq!(come(users, Some("joe"), None).await.err(), refused);
    assert_eq!(come(users, Some("joe"), Some("ann's")).await.err(), refused);
    assert_eq!(come(nobodys, None, None).await.err(), refused);
    assert_eq!(
        come(nobodys, Some("joe"), Some("joe's")).await.err(),
        refused
    );
    let mut joe = (come(users, Some("joe"), Some("joe's")).await).expect("let in");
    joe.subscribe("#", Qos::AtMostOnce).await;
    joe.publish("shut", b"1", Qos::AtLeastOnce).await;
    joe.publish("open", b"2", Qos::AtMostOnce).await;
    assert_eq!(joe.message().await.topic, "open");
    joe.ping().await;
    assert!(joe.reasons.contains(&ReasonCode::NotAuthorized));

    let mut only = come(few, None, None).await.expect("let in");
    only.subscribe("a", Qos::AtLeastOnce).await;
    only.ping().await;
    assert_eq!(only.reasons, [ReasonCode::Success], "max_qos");
    let few = SocketAddr::from(([127, 0, 0, 1], few));
    let answer = crate::http::exchange(few, "GET /healthz HTTP/1.1\r\n\r\n").await;
    assert_eq!(answer, "", "there is no room");
    broker.shutdown().await;
}
