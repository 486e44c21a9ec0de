//! Enhanced authentication: whose turn it is, and what must not happen out of turn.

use std::sync::Arc;

use wigwag_proto::packet::Auth;

use super::*;
use crate::ReauthenticateError;
use crate::authentication::{Authenticator, FirstWords, Reply, Step};

const METHOD: &str = "CHALLENGE";

/// What makes authenticators for `core` to know of; the tests speak for them.
#[derive(Clone)]
struct Unused;

impl Authenticator for Unused {
    fn method(&self) -> &str {
        unreachable!("the core runs no authenticator")
    }

    fn start(&mut self) -> Result<Option<bytes::Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        unreachable!("the core runs no authenticator")
    }

    fn proceed(
        &mut self,
        _: Option<bytes::Bytes>,
    ) -> Result<Option<bytes::Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        unreachable!("the core runs no authenticator")
    }

    fn finish(
        &mut self,
        _: Option<bytes::Bytes>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        unreachable!("the core runs no authenticator")
    }
}

fn words(method: &str, data: &'static str) -> FirstWords {
    FirstWords {
        method: method.into(),
        data: (!data.is_empty()).then(|| data.into()),
    }
}

fn properties(method: &str, data: &str) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    let mut push = |property| properties.push(property).expect("short");
    if !method.is_empty() {
        push(Property::AuthenticationMethod(method));
    }
    if !data.is_empty() {
        push(Property::AuthenticationData(data.as_bytes()));
    }
    properties
}

/// A world whose CONNECT has left with a method.
fn opened(builder: Builder) -> World {
    let mut world = World::new(builder.authenticator(Unused));
    world.open_with(words(METHOD, "hello"));
    world
}

/// A world whose connection is up.
fn authenticated(properties: &[Property<'_>]) -> World {
    let mut world = opened(builder());
    world.sent();
    world.connack(METHOD, "proof", properties);
    assert_eq!(world.step(), "finish proof");
    world.reply(Ok(Reply::Finished));
    assert!(world.core.state().is_online());
    world.sent();
    world
}

impl World {
    fn open_with(&mut self, words: FirstWords) {
        let mut packet = self.core.connect_packet();
        packet.authentication = Some(words);
        self.core.handle_connected(self.now, packet);
        self.collect();
    }

    fn connack(&mut self, method: &str, data: &str, more: &[Property<'_>]) {
        let mut properties = properties(method, data);
        for property in more {
            properties.push(*property).expect("short");
        }
        self.receive(&Packet::ConnAck(ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: properties.as_properties(),
        }));
    }

    fn auth(&mut self, reason: ReasonCode, method: &str, data: &str) {
        self.receive(&Packet::Auth(Auth {
            reason,
            properties: properties(method, data).as_properties(),
        }));
    }

    /// The one step that the authenticator is asked for.
    fn step(&mut self) -> String {
        let mut steps = Vec::new();
        self.outputs.retain(|output| {
            let Output::Authenticate(step) = output else {
                return true;
            };
            let (name, data) = match step {
                Step::Begin => ("begin", &None),
                Step::Proceed(data) => ("proceed", data),
                Step::Finish(data) => ("finish", data),
            };
            let data = data
                .as_deref()
                .map_or("none".into(), String::from_utf8_lossy);
            steps.push(format!("{name} {data}"));
            false
        });
        steps.join(", ")
    }

    fn reply(&mut self, result: Result<Reply, &str>) {
        self.core
            .handle_authenticated(self.now, result.map_err(Arc::from));
        self.collect();
    }

    fn proceed(&mut self, data: &'static str) {
        self.reply(Ok(Reply::Proceeded(Some(data.into()))));
    }

    /// How the re-authentications have ended.
    fn reauthenticated(&mut self) -> Vec<Result<(), ReauthenticateError>> {
        let mut results = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Reauthenticated(result) => {
                results.push(result.clone());
                false
            }
            _ => true,
        });
        results
    }

    fn begin_again(&mut self) {
        let begun = self.core.reauthenticate(self.now);
        begun.expect("it may begin");
        self.collect();
        assert_eq!(self.step(), "begin none");
    }

    /// A re-authentication whose first AUTH has left.
    fn again(&mut self) {
        self.begin_again();
        self.reply(Ok(Reply::Begun(words(METHOD, "again"))));
        assert_eq!(self.sent(), ["AUTH 0x19 CHALLENGE again"]);
    }

    /// Why the connection ends, after the server has been told.
    fn ended(&mut self, told: &str) -> OfflineReason {
        assert_eq!(self.sent(), [told]);
        assert!(self.core.is_closing());
        self.core.handle_failed(self.now, OfflineReason::Closed);
        self.collect();
        match self.core.state() {
            State::Offline { reason, .. } => reason.clone(),
            state => panic!("{state:?}"),
        }
    }
}

#[test]
fn challenges_are_answered_and_nothing_else_leaves_before_connack() {
    let mut world = opened(builder().offline_qos0(OfflineQos0::Queue));
    let connect = world.sent_bytes();
    let found = frame(&connect, u32::MAX).expect("a packet").expect("whole");
    let packet = wigwag_proto::codec::decode(found, Version::V5, &DecodeLimits::UNLIMITED);
    let Ok(Packet::Connect(connect)) = packet else {
        panic!("{packet:?}");
    };
    // [MQTT-4.12.0-5]
    assert_eq!(connect.properties.authentication_method(), Some(METHOD));
    assert_eq!(
        connect.properties.authentication_data(),
        Some(&b"hello"[..])
    );
    world.publish(1, Publish::new("early", ""));
    for round in ["one", "two"] {
        world.auth(ReasonCode::ContinueAuthentication, METHOD, round);
        assert_eq!(world.step(), format!("proceed {round}"));
        // [MQTT-3.1.2-30]
        assert_eq!(world.sent(), [""; 0]);
        world.proceed("answer");
        // [MQTT-4.12.0-3]
        assert_eq!(world.sent(), ["AUTH 0x18 CHALLENGE answer"]);
    }
    world.connack(METHOD, "", &[]);
    assert_eq!(world.step(), "finish none");
    world.reply(Ok(Reply::Finished));
    assert_eq!(world.sent(), ["PUBLISH early"]);
}

#[test]
fn what_follows_connack_waits_until_the_server_has_proved_itself() {
    let mut world = opened(builder());
    world.sent();
    let identifier = Property::AssignedClientIdentifier("named");
    world.connack(METHOD, "proof", &[identifier]);
    world.receive(&message("a", q1(1)));
    assert!(!world.core.is_receiving());
    assert_eq!(world.core.state(), &State::Connecting { attempt: 1 });
    assert_eq!(
        (world.delivered().len(), world.carry.is_empty()),
        (0, false)
    );
    world.reply(Ok(Reply::Finished));
    assert!(world.core.state().is_online());
    world.receive_bytes(&[]);
    assert_eq!((world.delivered().len(), world.carry.is_empty()), (1, true));
    assert_eq!(world.core.client_id(), "named");
}

#[test]
fn a_server_that_cannot_prove_itself_is_left() {
    let mut world = opened(builder());
    world.sent();
    world.connack(METHOD, "forged", &[]);
    world.receive(&message("a", q1(1)));
    world.reply(Err("the server's signature is wrong"));
    let reason = world.ended("DISCONNECT 0x80");
    assert_eq!(
        reason.to_string(),
        "the authentication failed: the server's signature is wrong"
    );
    assert_eq!(world.delivered().len(), 0);
    world.wait_for_dial();
}

#[test]
fn the_server_names_the_same_method_or_is_left() {
    let check = |wrong: fn(&mut World), seen: &str| {
        let mut world = opened(builder());
        world.sent();
        wrong(&mut world);
        let reason = world.ended("DISCONNECT 0x82").to_string();
        assert!(reason.contains(seen), "{reason}");
        assert!(reason.contains("the CONNECT had 'CHALLENGE'"), "{reason}");
        assert_eq!(world.step(), "");
    };
    // [MQTT-4.12.0-5]
    let other = |world: &mut World| world.auth(ReasonCode::ContinueAuthentication, "OTHER", "");
    check(other, "AUTH has the Authentication Method 'OTHER'");
    let other = |world: &mut World| world.connack("OTHER", "", &[]);
    check(other, "CONNACK has the Authentication Method 'OTHER'");
    // A server that ignores the method has authenticated nobody.
    check(
        |world| world.connack("", "", &[]),
        "CONNACK has no Authentication Method",
    );
}

#[test]
fn auth_out_of_turn_is_a_protocol_error() {
    let check = |mut world: World, wrong: fn(&mut World)| {
        wrong(&mut world);
        let reason = world.ended("DISCONNECT 0x82").to_string();
        assert!(reason.contains("was not expected"), "{reason}");
    };
    let challenge = |world: &mut World| {
        world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    };
    // [MQTT-4.12.0-6]
    let mut plain = World::new(builder());
    plain.open();
    plain.sent();
    check(plain, challenge);
    check(World::online(builder()), |world| {
        world.sent();
        world.auth(ReasonCode::Success, "", "");
    });
    let waiting = || {
        let mut world = opened(builder());
        world.sent();
        world
    };
    let busy = || {
        let mut world = waiting();
        challenge(&mut world);
        world
    };
    check(busy(), challenge);
    check(busy(), |world| world.connack(METHOD, "", &[]));
    check(waiting(), |world| {
        world.auth(ReasonCode::Success, METHOD, "");
    });
    check(waiting(), |world| {
        world.auth(ReasonCode::ReAuthenticate, METHOD, "");
    });
    check(authenticated(&[]), challenge);
    check(authenticated(&[]), |world| {
        world.auth(ReasonCode::Success, "", "");
    });
    check(authenticated(&[]), |world| {
        world.auth(ReasonCode::ReAuthenticate, METHOD, "");
    });
}

#[test]
fn nothing_follows_a_disconnect() {
    let mut world = opened(builder());
    world.sent();
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.proceed("late");
    // [MQTT-3.14.4-1]
    assert_eq!(world.sent(), ["DISCONNECT 0x82"]);
}

#[test]
fn the_connect_timeout_bounds_the_exchange() {
    let mut world = opened(builder().connect_timeout(SECOND));
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.advance(SECOND);
    let timeout = OfflineReason::ConnectTimeout(SECOND);
    let State::Offline { reason, .. } = world.core.state() else {
        panic!("{:?}", world.core.state());
    };
    assert_eq!(*reason, timeout);
    // The authenticator's answer to the connection that is gone.
    world.proceed("late");
    world.wait_for_dial();
    world.open_with(words(METHOD, ""));
    world.proceed("later still");
    assert_eq!(world.sent(), ["CONNECT c clean=true keep_alive=60"]);
}

#[test]
fn the_server_may_refuse_at_any_step() {
    let mut world = opened(builder());
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.receive(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::NotAuthorized,
        properties: wigwag_proto::Properties::EMPTY,
    }));
    let refused = State::Offline {
        reason: OfflineReason::Refused {
            reason: ReasonCode::NotAuthorized,
            text: None,
        },
        next: None,
    };
    assert_eq!(world.core.state(), &refused);
}

#[test]
fn data_that_does_not_fit_is_not_sent() {
    let mut world = opened(builder());
    world.sent();
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.reply(Ok(Reply::Proceeded(Some(vec![0; 70_000].into()))));
    let reason = world.ended("DISCONNECT 0x80").to_string();
    assert!(
        reason.contains("the AUTH cannot be sent") && reason.contains("70000"),
        "{reason}"
    );
}

#[test]
fn a_client_authenticates_again_while_messages_flow() {
    let mut world = authenticated(&[]);
    world.again();
    world.publish(1, Publish::new("a", "").qos(Qos::AtLeastOnce));
    world.receive(&message("b", q1(1)));
    assert_eq!((world.sent().len(), world.handle_all()), (1, 1));
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "challenge");
    assert_eq!(world.step(), "proceed challenge");
    world.sent();
    world.proceed("answer");
    assert_eq!(world.sent(), ["AUTH 0x18 CHALLENGE answer"]);
    world.auth(ReasonCode::Success, METHOD, "proof");
    assert_eq!(
        (world.step(), world.reauthenticated()),
        ("finish proof".to_owned(), vec![])
    );
    world.reply(Ok(Reply::Finished));
    assert_eq!(world.reauthenticated(), [Ok(())]);
    // And once more, to a server that keeps it short.
    world.again();
    world.auth(ReasonCode::Success, "", "");
    assert_eq!(world.step(), "finish none");
    world.reply(Ok(Reply::Finished));
    assert_eq!(world.reauthenticated(), [Ok(())]);
    assert!(world.core.state().is_online());
}

#[test]
fn a_failed_reauthentication_ends_the_connection() {
    // [MQTT-4.12.1-2]
    let mut world = authenticated(&[]);
    world.again();
    world.auth(ReasonCode::Success, METHOD, "forged");
    world.reply(Err("forged"));
    let reason = world.ended("DISCONNECT 0x80");
    assert_eq!(reason, OfflineReason::Authentication("forged".into()));
    assert_eq!(
        world.reauthenticated(),
        [Err(ReauthenticateError::Ended(reason))]
    );
    world.wait_for_dial();

    let mut world = authenticated(&[]);
    world.again();
    world.receive(&disconnect(ReasonCode::NotAuthorized));
    let reason = OfflineReason::Disconnected {
        reason: ReasonCode::NotAuthorized,
        text: None,
    };
    assert_eq!(
        world.reauthenticated(),
        [Err(ReauthenticateError::Ended(reason))]
    );

    let mut world = authenticated(&[]);
    world.again();
    world.auth(ReasonCode::ContinueAuthentication, "OTHER", "");
    let reason = world.ended("DISCONNECT 0x82");
    assert_eq!(
        world.reauthenticated(),
        [Err(ReauthenticateError::Ended(reason))]
    );
}

#[test]
fn a_reauthentication_that_cannot_begin_changes_nothing() {
    let mut world = authenticated(&[]);
    let under_way = Err(ReauthenticateError::UnderWay);
    world.begin_again();
    assert_eq!(world.core.reauthenticate(world.now), under_way);
    world.reply(Err("no token"));
    let error = ReauthenticateError::Authenticator("no token".into());
    assert_eq!(world.reauthenticated(), [Err(error)]);
    world.begin_again();
    // [MQTT-4.12.1-1]
    world.reply(Ok(Reply::Begun(words("OTHER", ""))));
    let error = world
        .reauthenticated()
        .pop()
        .expect("ended")
        .expect_err("another method");
    let (one, other) = (
        error.to_string().find("'CHALLENGE'"),
        error.to_string().find("'OTHER'"),
    );
    assert!(one.is_some() && other.is_some(), "{error}");
    assert_eq!(world.sent(), [""; 0]);
    world.again();
    assert_eq!(world.core.reauthenticate(world.now), under_way);
    assert!(world.core.state().is_online());
}

#[test]
fn who_cannot_authenticate_again_is_told_why() {
    let mut plain = World::online(builder());
    let refused = plain.core.reauthenticate(plain.now);
    assert_eq!(refused, Err(ReauthenticateError::NotConfigured));
    let mut world = opened(builder());
    let refused = world.core.reauthenticate(world.now);
    assert_eq!(refused, Err(ReauthenticateError::Offline));
    world.core.disconnect(world.now, SECOND);
    world.advance(SECOND);
    let refused = world.core.reauthenticate(world.now);
    assert_eq!(refused, Err(ReauthenticateError::Stopped));
}

#[test]
fn a_reauthentication_has_the_time_of_a_connect() {
    let again = |world: &mut World| world.core.poll_timeout().expect("a timer") - world.now;
    let mut world = authenticated(&[]);
    world.begin_again();
    assert_eq!(again(&mut world), 10 * SECOND);
    world.advance(10 * SECOND);
    let error = world
        .reauthenticated()
        .pop()
        .expect("ended")
        .expect_err("late");
    assert!(
        error.to_string().contains("not ready within 10s"),
        "{error}"
    );
    assert!(world.core.state().is_online());

    world.again();
    world.advance(10 * SECOND);
    let reason = world.ended("DISCONNECT 0x80");
    assert!(
        reason.to_string().contains("did not end within 10s"),
        "{reason}"
    );
    assert_eq!(
        world.reauthenticated(),
        [Err(ReauthenticateError::Ended(reason))]
    );
}

#[test]
fn the_end_of_the_connection_ends_a_reauthentication() {
    let mut world = authenticated(&[]);
    world.again();
    world.core.handle_failed(world.now, OfflineReason::Closed);
    world.collect();
    let error = ReauthenticateError::Ended(OfflineReason::Closed);
    assert_eq!(world.reauthenticated(), [Err(error)]);
    world.wait_for_dial();
    assert_eq!(
        world.core.poll_timeout().expect("a timer") - world.now,
        10 * SECOND
    );

    let mut world = authenticated(&[]);
    world.again();
    world.core.disconnect(world.now, SECOND);
    assert_eq!(world.ended("DISCONNECT 0x00"), OfflineReason::Stopped);
    assert_eq!(world.reauthenticated(), [Err(ReauthenticateError::Stopped)]);
}

#[test]
fn the_servers_packet_size_holds_for_auth_too() {
    let mut world = authenticated(&[Property::MaximumPacketSize(40)]);
    world.again();
    world.auth(ReasonCode::ContinueAuthentication, METHOD, "");
    world.proceed("an answer that is much longer than forty bytes");
    let reason = world.ended("DISCONNECT 0x80").to_string();
    assert!(reason.contains("the server accepts 40"), "{reason}");
}
