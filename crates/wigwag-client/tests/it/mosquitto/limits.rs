//! The limits of a real server: what it would end the connection for is refused before it is sent, with an
//! error that names the limit. All of them, for random servers, are tested in `src/core/tests/limits.rs`.

use wigwag_client::{PublishError, ReasonCode, SubscribeError, UnsubscribeError};

use super::*;

#[tokio::test]
async fn what_the_server_does_not_accept_is_refused_and_the_connection_stays() {
    // The Maximum QoS belongs to one listener.
    let port = free_port();
    let options = format!(
        "max_packet_size 100\nretain_available false\nlistener {port} 127.0.0.1\nmax_qos 1\n"
    );
    let _broker = Mosquitto::start_with(&options).await;
    let client = online(builder(&format!("mqtt://127.0.0.1:{port}"))).await;
    let mut state = client.state();
    state.borrow_and_update();
    let publish = |len, qos| Publish::new("a", vec![b'x'; len]).qos(qos);

    // Two bytes of header, three of topic, two of Packet Identifier, one of properties.
    let too_large = PublishError::PacketTooLarge {
        size: 101,
        max: 100,
    };
    let refused = within(client.publish(publish(93, Qos::AtLeastOnce))).await;
    assert_eq!(refused, Err(too_large));
    let max = Qos::AtLeastOnce;
    let refused = within(client.publish(publish(0, Qos::ExactlyOnce))).await;
    assert_eq!(refused, Err(PublishError::QosNotSupported { max }));
    let refused = within(client.publish(publish(0, Qos::AtMostOnce).retain())).await;
    assert_eq!(refused, Err(PublishError::RetainNotAvailable));

    let long = |len| "f".repeat(len);
    let refused = within(client.subscribe(long(100), Qos::AtLeastOnce, |_| ())).await;
    let too_large = SubscribeError::Rejected(ReasonCode::PacketTooLarge);
    assert_eq!(refused, Err(too_large));
    // Two bytes of header, two of Packet Identifier, one of properties, two of length.
    let too_large = UnsubscribeError::PacketTooLarge {
        size: 101,
        max: 100,
    };
    let refused = within(client.unsubscribe(long(94))).await;
    assert_eq!(refused, Err(too_large.clone()));
    assert_eq!(
        too_large.to_string(),
        "the UNSUBSCRIBE has 101 bytes, the server accepts 100"
    );

    // One byte less, and the server takes all of it.
    let delivered = within(client.publish(publish(92, Qos::AtLeastOnce))).await;
    assert_eq!(delivered, Ok(Outcome::Delivered));
    within(client.unsubscribe(long(93))).await.expect("taken");
    assert!(
        !state.has_changed().expect("it lives"),
        "{:?}",
        *state.borrow()
    );
    assert!(within(client.disconnect()).await.is_clean());
}
