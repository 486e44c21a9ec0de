//! A message as it came in: what formats, decoders and recordings work on.
//!
//! It knows nothing of connections, so that a recorded message and one in a test are like one from a broker.

use std::time::SystemTime;

use bytes::Bytes;
use wigwag_proto::{PropertiesBuf, Qos};

/// A message that has been received.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was received.
    pub at: SystemTime,
    /// The Topic Name, never an alias.
    pub topic: String,
    /// The application's bytes.
    pub payload: Bytes,
    /// The QoS of the delivery.
    pub qos: Qos,
    /// The RETAIN flag of the delivery.
    pub retain: bool,
    /// The Packet Identifier of the delivery; 0 at QoS 0, as Mosquitto's tools print it.
    pub packet_id: u16,
    /// All properties in their order, Topic Alias and Subscription Identifiers included. Empty in MQTT 3.x.
    pub properties: PropertiesBuf,
}
