//! wigwag-client: a window of publish futures, and a handler that is a closure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use wigwag_client::{Client, Limits, Message, Outcome, Publish, Publishing, Qos};

use crate::load::TOPIC;
use crate::play::{Contender, Options, Received, Until};

pub(crate) struct Wigwag {
    client: Client,
    received: Arc<Received>,
}

const QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

impl Contender for Wigwag {
    async fn connect(options: &Options, received: Arc<Received>) -> anyhow::Result<Wigwag> {
        let limits = Limits {
            receive_maximum: options.window,
            ..Limits::default()
        };
        let client = Client::builder(&format!("mqtt://{}", options.address))
            .client_id(&options.client_id)
            .limits(limits)
            .build()?;
        client.start();
        client.await_connection().await?;
        Ok(Wigwag { client, received })
    }

    async fn subscribe(&mut self, qos: u8) -> anyhow::Result<()> {
        let received = self.received.clone();
        let handler = move |message: Message| received.add(message.payload());
        let subscribing = (self.client).subscribe(TOPIC, QOS[usize::from(qos)], handler);
        subscribing.await?;
        Ok(())
    }

    async fn publish(
        &mut self,
        options: &Options,
        qos: u8,
        size: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        let payload = bytes::Bytes::from(vec![b'x'; size]);
        let window = usize::from(options.window);
        let mut pending: VecDeque<Publishing> = VecDeque::with_capacity(window);
        let (mut count, mut until) = (0, Until::new(until));
        while !until.is_over() {
            if pending.len() == window
                && let Some(oldest) = pending.pop_front()
            {
                ensure!(oldest.await? == Outcome::Delivered);
            }
            let message = Publish::new(TOPIC, payload.clone()).qos(QOS[usize::from(qos)]);
            pending.push_back(self.client.publish(message));
            count += 1;
        }
        for publishing in pending {
            ensure!(publishing.await? == Outcome::Delivered);
        }
        Ok(count)
    }

    async fn disconnect(self) -> anyhow::Result<()> {
        ensure!(self.client.disconnect().await.disconnect_sent);
        Ok(())
    }
}
