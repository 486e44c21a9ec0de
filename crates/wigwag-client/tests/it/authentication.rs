//! Enhanced authentication over a real socket, with authenticators that count, block and panic. Whose turn
//! it is, and what is refused, is tested in `src/core/tests/authentication.rs`.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use wigwag_client::{
    Authenticator, Bytes, Client, Event, OfflineReason, ReasonCode, ReauthenticateError, State,
    Version,
};
use wigwag_proto::codec::encode;
use wigwag_proto::packet::{Auth, ConnAck, Delivery, Publish as PublishPacket};
use wigwag_proto::{Packet, PacketId, Properties, PropertiesBuf, Property, TopicName};

use crate::server::{Connection, Server, parse};
use crate::{builder, wait_for_state, within};

type Said<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const METHOD: &str = "COUNT";

/// Says its number, and answers each challenge with it.
#[derive(Clone)]
struct Counting(usize);

impl Authenticator for Counting {
    fn method(&self) -> &str {
        METHOD
    }

    fn start(&mut self) -> Said<Option<Bytes>> {
        Ok(Some(self.0.to_string().into()))
    }

    fn proceed(&mut self, data: Option<Bytes>) -> Said<Option<Bytes>> {
        let challenge = data.ok_or("there is no challenge")?;
        Ok(Some(
            [&challenge[..], b" ", self.0.to_string().as_bytes()]
                .concat()
                .into(),
        ))
    }

    fn finish(&mut self, _: Option<Bytes>) -> Said<()> {
        Ok(())
    }
}

/// Waits in its first step for a word, if it has to, and panics at the second.
struct Faulty(Option<mpsc::Receiver<()>>);

impl Authenticator for Faulty {
    fn method(&self) -> &str {
        METHOD
    }

    fn start(&mut self) -> Said<Option<Bytes>> {
        let word = self.0.take().map(|words| words.recv());
        assert!(
            word.is_none_or(|word| word.is_ok()),
            "nobody will ever say it"
        );
        Ok(None)
    }

    fn proceed(&mut self, _: Option<Bytes>) -> Said<Option<Bytes>> {
        unreachable!("it has a fault");
    }

    fn finish(&mut self, _: Option<Bytes>) -> Said<()> {
        Ok(())
    }
}

fn properties(data: &str) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    let mut push = |property| properties.push(property).expect("short");
    push(Property::AuthenticationMethod(METHOD));
    push(Property::AuthenticationData(data.as_bytes()));
    properties
}

fn connack(properties: &PropertiesBuf) -> Packet<'_> {
    Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: properties.as_properties(),
    })
}

impl Connection {
    /// Sends several packets in one piece.
    async fn send_together(&mut self, packets: &[Packet<'_>]) {
        let mut bytes = Vec::new();
        for packet in packets {
            encode(packet, Version::V5, &mut bytes).expect("valid");
        }
        self.send_bytes(&bytes).await;
    }

    async fn auth(&mut self, reason: ReasonCode, data: &str) {
        let properties = properties(data);
        let properties = properties.as_properties();
        self.send(&Packet::Auth(Auth { reason, properties })).await;
    }

    async fn welcome(&mut self) {
        self.send(&connack(&properties(""))).await;
    }

    /// The Authentication Data of the next packet, which is a CONNECT or an AUTH.
    async fn data(&mut self) -> String {
        let bytes = self.next().await.expect("the client is connected");
        let (name, properties) = match parse(&bytes) {
            Packet::Connect(connect) => ("CONNECT", connect.properties),
            Packet::Auth(auth) if auth.reason == ReasonCode::ReAuthenticate => {
                ("again", auth.properties)
            }
            Packet::Auth(auth) => ("AUTH", auth.properties),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(properties.authentication_method(), Some(METHOD));
        let data = properties.authentication_data().unwrap_or_default();
        format!("{name} {}", String::from_utf8_lossy(data))
    }
}

/// A client that numbers its authenticators.
fn counting(server: &Server) -> Client {
    let made = Arc::new(AtomicUsize::new(0));
    let client = builder(&server.address).authenticator_with(move |_| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, std::io::Error>(Counting(number)) }
    });
    client.build().expect("valid")
}

#[tokio::test]
async fn each_attempt_and_each_reauthentication_has_an_authenticator_of_its_own() {
    let server = Server::new().await;
    let client = counting(&server);
    client.start();
    let mut first = server.accept_raw().await;
    assert_eq!(first.data().await, "CONNECT 0");
    first.auth(ReasonCode::ContinueAuthentication, "a").await;
    assert_eq!(first.data().await, "AUTH a 0");
    drop(first);

    let mut second = server.accept_raw().await;
    assert_eq!(second.data().await, "CONNECT 1");
    second.auth(ReasonCode::ContinueAuthentication, "b").await;
    assert_eq!(second.data().await, "AUTH b 1");
    second.welcome().await;
    within(client.await_connection()).await.expect("online");

    let again = client.reauthenticate();
    assert_eq!(second.data().await, "again 2");
    let refused = within(client.reauthenticate()).await;
    assert_eq!(refused, Err(ReauthenticateError::UnderWay));
    second.auth(ReasonCode::ContinueAuthentication, "c").await;
    assert_eq!(second.data().await, "AUTH c 2");
    second.auth(ReasonCode::Success, "").await;
    assert_eq!(within(again).await, Ok(()));
    let report = within(client.disconnect()).await;
    assert!(report.is_clean(), "{report:?}");
    let stopped = within(client.reauthenticate()).await;
    assert_eq!(stopped, Err(ReauthenticateError::Stopped));
}

#[tokio::test]
async fn what_comes_with_the_connack_is_not_left_lying() {
    let server = Server::new().await;
    let client = counting(&server);
    client.start();
    for _ in 0..40 {
        let mut connection = server.accept_raw().await;
        connection.data().await;
        let publish = Packet::Publish(PublishPacket {
            delivery: Delivery::AtLeastOnce {
                packet_id: PacketId::new(7).expect("not zero"),
                dup: false,
            },
            retain: false,
            topic: TopicName::new("a").ok(),
            properties: Properties::EMPTY,
            payload: b"",
        });
        connection
            .send_together(&[connack(&properties("")), publish])
            .await;
        let acknowledged = |packet: &Packet<'_>| matches!(packet, Packet::PubAck(_));
        connection.expect(acknowledged).await;
    }
}

#[tokio::test]
async fn a_reauthentication_goes_on_when_its_future_is_dropped() {
    for polls in 0..2 {
        let server = Server::new().await;
        let client = counting(&server);
        client.start();
        let mut connection = server.accept_raw().await;
        connection.data().await;
        connection.welcome().await;
        within(client.await_connection()).await.expect("online");
        {
            let mut again = pin!(client.reauthenticate());
            for _ in 0..polls {
                let polled = again.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
        }
        assert_eq!(connection.data().await, "again 1");
        connection
            .auth(ReasonCode::ContinueAuthentication, "x")
            .await;
        assert_eq!(connection.data().await, "AUTH x 1");
    }
}

#[tokio::test]
async fn a_step_that_blocks_holds_up_nothing_but_its_attempt() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let server = Server::new().await;
    let (word, words) = mpsc::channel();
    let words = std::sync::Mutex::new(Some(words));
    let client = builder(&server.address)
        .connect_timeout(TIMEOUT)
        .authenticator_with(move |_| {
            // The first has to wait, the others not.
            let words = words.lock().expect("never poisoned").take();
            async move { Ok::<_, std::io::Error>(Faulty(words)) }
        })
        .build()
        .expect("valid");
    client.start();
    let timeout = OfflineReason::ConnectTimeout(TIMEOUT);
    wait_for_state(
        &client,
        |state| matches!(state, State::Offline { reason, .. } if *reason == timeout),
    )
    .await;
    // Another attempt comes while the first still blocks.
    server.accept_raw().await;
    word.send(()).expect("it waits");
}

#[tokio::test]
async fn an_authenticator_that_panics_ends_its_connection_and_no_more() {
    let server = Server::new().await;
    let client = builder(&server.address)
        .authenticator_with(|_| async { Ok::<_, std::io::Error>(Faulty(None)) })
        .build()
        .expect("valid");
    let mut events = client.events();
    client.start();
    for _ in 0..2 {
        let mut connection = server.accept_raw().await;
        assert_eq!(connection.data().await, "CONNECT ");
        connection
            .auth(ReasonCode::ContinueAuthentication, "")
            .await;
        let told = connection.next().await.expect("a packet");
        let told = parse(&told);
        let code = ReasonCode::UnspecifiedError;
        assert!(
            matches!(told, Packet::Disconnect(packet) if packet.reason == code),
            "{told:?}"
        );
        drop(connection);
        let reason = loop {
            let event = within(events.recv()).await.expect("few events");
            if let Event::State(State::Offline { reason, .. }) = event {
                break reason;
            }
        };
        let text = "the authentication failed: the Authenticator panicked";
        assert_eq!(reason.to_string(), text);
    }
}

#[tokio::test]
async fn an_authenticator_that_cannot_be_made_is_the_reason() {
    let server = Server::new().await;
    let client = builder(&server.address)
        .authenticator_with(|attempt| async move {
            let error = format!("no token for {}", attempt.server.host());
            Err::<Counting, _>(std::io::Error::other(error))
        })
        .build()
        .expect("valid");
    client.start();
    let state = wait_for_state(&client, |state| {
        matches!(state, State::Offline { next: Some(_), .. })
    })
    .await;
    assert!(
        format!("{state:?}").contains("no token for 127.0.0.1"),
        "{state:?}"
    );
    let offline = within(client.reauthenticate()).await;
    assert_eq!(offline, Err(ReauthenticateError::Offline));
}
