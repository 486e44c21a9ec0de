//! What the real Mosquitto tells about itself.

use std::collections::BTreeSet;

use wigwag_client::sys::{SysCount, SysLoad};
use wigwag_client::{Outcome, Publish, Qos};

use super::{Mosquitto, online};
use crate::{builder, within};

#[tokio::test]
async fn everything_that_mosquitto_tells_is_understood() {
    let broker = Mosquitto::start_with("sys_interval 1\n").await;
    let client = online(builder(&broker.tcp())).await;
    let mut server = client.watch_sys();
    within(server.granted()).await.expect("granted");
    let publish = Publish::new("a", "12345").qos(Qos::AtLeastOnce);
    assert_eq!(
        within(client.publish(publish)).await,
        Ok(Outcome::Delivered)
    );
    let told = within(server.wait_for(|told| {
        told.count(SysCount::PublishBytesReceived) == Some(5)
            && told.count(SysCount::ClientsConnected) == Some(1)
            && told.count(SysCount::Subscriptions) == Some(1)
            && told.rate(SysLoad::Connections).one > Some(0.0)
            && told.rate(SysLoad::Sockets).fifteen > Some(0.0)
            && told.uptime().is_some_and(|uptime| !uptime.is_zero())
    }))
    .await
    .expect("the client lives");
    let version = told.version().unwrap_or_default();
    assert!(version.starts_with("mosquitto version "), "{version}");
    assert_eq!(told.others().collect::<Vec<_>>(), [], "nothing unknown");
    // These came with later versions, or with a second client.
    let may_be_missing: BTreeSet<SysCount> = [
        SysCount::ClientsMaximum,
        SysCount::PacketsOut,
        SysCount::PacketsOutBytes,
        SysCount::SocketsAccepted,
    ]
    .into();
    for count in SysCount::ALL {
        let is_told = told.count(*count).is_some();
        assert!(is_told || may_be_missing.contains(count), "{count:?}");
    }
    for load in SysLoad::ALL {
        let rate = told.rate(*load);
        assert!(
            rate.one.and(rate.five).and(rate.fifteen).is_some(),
            "{load:?}"
        );
    }
    // Dropped, it unsubscribes: the count that another watch sees is its own.
    drop(server);
    let other = online(builder(&broker.tcp())).await;
    let mut again = other.watch_sys();
    let told = again.wait_for(|told| {
        told.count(SysCount::Subscriptions) == Some(1)
            && told.count(SysCount::ClientsConnected) == Some(2)
    });
    within(told).await.expect("the client lives");
    within(client.disconnect()).await;
    within(other.disconnect()).await;
    // It ends with its client.
    while within(again.changed()).await {}
}
