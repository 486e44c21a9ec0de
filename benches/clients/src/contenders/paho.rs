//! paho-mqtt: the asynchronous client of the C library, with its own threads and without persistence.
//!
//! Delivery tokens of many messages are held at a time: a whole window at QoS 0, and a hundred at QoS 1
//! and 2, where the library searches its lists at each acknowledgement. Messages arrive in the callback,
//! which spares them a channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use paho_mqtt::{
    AsyncClient, ConnectOptionsBuilder, CreateOptionsBuilder, DeliveryToken, Message,
    PersistenceType, Properties, PropertyCode,
};

use crate::load::TOPIC;
use crate::play::{Contender, Options, Received, Until};

/// Messages of QoS 1 and 2 without an outcome at a time.
const WINDOW_MAX: u16 = 100;

pub(crate) struct Paho(AsyncClient);

impl Contender for Paho {
    async fn connect(options: &Options, received: Arc<Received>) -> anyhow::Result<Paho> {
        let create = CreateOptionsBuilder::new()
            .server_uri(format!("mqtt://{}", options.address))
            .client_id(&options.client_id)
            .persistence(PersistenceType::None)
            .max_buffered_messages(options.window.into())
            .finalize();
        let client = AsyncClient::new(create)?;
        client.set_message_callback(move |_, message| {
            if let Some(message) = message {
                received.add(message.payload());
            }
        });
        let mut properties = Properties::new();
        properties.push_u16(PropertyCode::ReceiveMaximum, options.window)?;
        let connect = ConnectOptionsBuilder::new_v5()
            .clean_start(true)
            .max_inflight(options.window.into())
            .properties(properties)
            .finalize();
        client.connect(connect).await?;
        Ok(Paho(client))
    }

    async fn subscribe(&mut self, qos: u8) -> anyhow::Result<()> {
        self.0.subscribe(TOPIC, i32::from(qos)).await?;
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
        let window = match qos {
            0 => usize::from(options.window),
            _ => usize::from(options.window.min(WINDOW_MAX)),
        };
        let mut pending: VecDeque<DeliveryToken> = VecDeque::with_capacity(window);
        let (mut count, mut until) = (0, Until::new(until));
        while !until.is_over() {
            if pending.len() == window
                && let Some(oldest) = pending.pop_front()
            {
                oldest.await?;
            }
            let message = Message::new(TOPIC, payload.as_slice(), i32::from(qos));
            pending.push_back(self.0.try_publish(message)?);
            count += 1;
        }
        for token in pending {
            token.await?;
        }
        Ok(count)
    }

    async fn disconnect(self) -> anyhow::Result<()> {
        self.0.disconnect(None).await?;
        Ok(())
    }
}
