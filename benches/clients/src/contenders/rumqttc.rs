//! rumqttc-next, the live fork of rumqttc, with its MQTT 5 client.
//!
//! Its defaults are a channel of 10 requests and one request per turn of its event loop; a whole window
//! of both is its fastest. It is spared the tracking of each message: acknowledgements are counted as
//! its event loop shows them. The topic is validated once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::Context as _;
use rumqttc::ValidatedTopic;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, PublishOptions, QoS};
use tokio::sync::{Notify, oneshot};

use crate::load::TOPIC;
use crate::play::{Contender, Options, Received, Until};

pub(crate) struct Rumqttc {
    client: AsyncClient,
    seen: Arc<Seen>,
    events: tokio::task::JoinHandle<()>,
}

/// What the event loop has shown.
#[derive(Default)]
struct Seen {
    /// PUBACK and PUBCOMP.
    outcomes: AtomicU64,
    outcome: Notify,
    subscribed: Notify,
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

impl Contender for Rumqttc {
    async fn connect(options: &Options, received: Arc<Received>) -> anyhow::Result<Rumqttc> {
        let address = (options.address.ip().to_string(), options.address.port());
        let mut settings = MqttOptions::new(options.client_id.clone(), address);
        settings
            .set_receive_maximum(Some(options.window))
            .set_outgoing_inflight_upper_limit(options.window)
            .set_max_request_batch(options.window.into());
        let (client, events) = AsyncClient::builder(settings)
            .capacity(options.window.into())
            .build();
        let seen = Arc::new(Seen::default());
        let (connected, is_connected) = oneshot::channel();
        let events = tokio::spawn(drive(events, seen.clone(), received, connected));
        is_connected.await.context("no connection")?;
        Ok(Rumqttc {
            client,
            seen,
            events,
        })
    }

    async fn subscribe(&mut self, qos: u8) -> anyhow::Result<()> {
        self.client.subscribe(TOPIC, QOS[usize::from(qos)]).await?;
        self.seen.subscribed.notified().await;
        Ok(())
    }

    async fn publish(
        &mut self,
        _: &Options,
        qos: u8,
        size: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        let payload = bytes::Bytes::from(vec![b'x'; size]);
        let topic = ValidatedTopic::new(TOPIC)?;
        let publish = PublishOptions::new(QOS[usize::from(qos)]);
        let (mut count, mut until) = (0, Until::new(until));
        while !until.is_over() {
            (self.client)
                .publish(topic.clone(), payload.clone(), publish.clone())
                .await?;
            count += 1;
        }
        while qos > 0 && self.seen.outcomes.load(Relaxed) < count {
            self.seen.outcome.notified().await;
        }
        Ok(count)
    }

    async fn disconnect(self) -> anyhow::Result<()> {
        self.client.disconnect().await?;
        Ok(self.events.await?)
    }
}

/// Polls the event loop until the connection ends.
async fn drive(
    mut events: EventLoop,
    seen: Arc<Seen>,
    received: Arc<Received>,
    connected: oneshot::Sender<()>,
) {
    let mut connected = Some(connected);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => received.add(&publish.payload),
            Ok(Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_))) => {
                seen.outcomes.fetch_add(1, Relaxed);
                seen.outcome.notify_one();
            }
            Ok(Event::Incoming(Incoming::SubAck(_))) => seen.subscribed.notify_one(),
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(());
                }
            }
            Ok(_) => {}
            // After a DISCONNECT, too.
            Err(_) => return,
        }
    }
}
