//! mqtt5: its publish waits for the acknowledgement, so many tasks publish at QoS 1 and 2.
//!
//! With a hundred it is at its fastest: with a thousand it needs a sixth more CPU time for each message.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::ensure;
use mqtt5::{ConnectOptions, PublishResult, SubscribeOptions};
use mqtt5::{MqttClient, QoS};

use crate::load::TOPIC;
use crate::play::{Contender, Options, Received, Until};

pub(crate) struct Mqtt5 {
    client: MqttClient,
    received: Arc<Received>,
}

/// Tasks that publish.
const TASKS_MAX: u16 = 100;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

impl Contender for Mqtt5 {
    async fn connect(options: &Options, received: Arc<Received>) -> anyhow::Result<Mqtt5> {
        let settings = ConnectOptions::new(&options.client_id)
            .with_clean_start(true)
            .with_automatic_reconnect(false)
            .with_receive_maximum(options.window);
        let client = MqttClient::with_options(settings);
        client
            .connect(&format!("mqtt://{}", options.address))
            .await?;
        Ok(Mqtt5 { client, received })
    }

    async fn subscribe(&mut self, qos: u8) -> anyhow::Result<()> {
        let received = self.received.clone();
        let options = SubscribeOptions {
            qos: QOS[usize::from(qos)],
            ..Default::default()
        };
        self.client
            .subscribe_with_options(TOPIC, options, move |message| {
                received.add(&message.payload);
            })
            .await?;
        Ok(())
    }

    async fn publish(
        &mut self,
        options: &Options,
        qos: u8,
        size: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        let payload = vec![b'x'; size];
        if qos == 0 {
            return publish_until(&self.client, 0, &payload, until).await;
        }
        let count = Rc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..options.window.min(TASKS_MAX))
            .map(|_| {
                let (client, payload) = (self.client.clone(), payload.clone());
                let count = count.clone();
                tokio::task::spawn_local(async move {
                    let published = publish_until(&client, qos, &payload, until).await?;
                    count.fetch_add(published, Relaxed);
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(count.load(Relaxed))
    }

    async fn disconnect(self) -> anyhow::Result<()> {
        Ok(self.client.disconnect().await?)
    }
}

async fn publish_until(
    client: &MqttClient,
    qos: u8,
    payload: &[u8],
    until: Instant,
) -> anyhow::Result<u64> {
    let (mut count, mut until) = (0, Until::new(until));
    while !until.is_over() {
        let result = client
            .publish_qos(TOPIC, payload, QOS[usize::from(qos)])
            .await?;
        ensure!(matches!(result, PublishResult::Sent(_)));
        count += 1;
    }
    Ok(count)
}
