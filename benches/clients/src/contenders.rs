//! The clients that are compared. Each file says which settings it uses and why these are its best.

mod wigwag;

#[cfg(feature = "rivals")]
mod mqtt5;
#[cfg(feature = "rivals")]
mod paho;
#[cfg(feature = "rivals")]
mod rumqttc;

use std::net::SocketAddr;

use crate::load::{Load, Terms};
use crate::play::play;

/// A client library, by the name of its crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Client {
    #[value(name = "wigwag-client")]
    Wigwag,
    #[cfg(feature = "rivals")]
    #[value(name = "rumqttc-next")]
    Rumqttc,
    #[cfg(feature = "rivals")]
    Mqtt5,
    #[cfg(feature = "rivals")]
    #[value(name = "paho-mqtt")]
    Paho,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::Wigwag => "wigwag-client",
            #[cfg(feature = "rivals")]
            Client::Rumqttc => "rumqttc-next",
            #[cfg(feature = "rivals")]
            Client::Mqtt5 => "mqtt5",
            #[cfg(feature = "rivals")]
            Client::Paho => "paho-mqtt",
        }
    }

    /// Plays a load in this process.
    pub(crate) fn play(self, address: SocketAddr, load: Load, terms: &Terms) -> anyhow::Result<()> {
        match self {
            Client::Wigwag => play::<wigwag::Wigwag>(address, load, terms),
            #[cfg(feature = "rivals")]
            Client::Rumqttc => play::<rumqttc::Rumqttc>(address, load, terms),
            #[cfg(feature = "rivals")]
            Client::Mqtt5 => play::<mqtt5::Mqtt5>(address, load, terms),
            #[cfg(feature = "rivals")]
            Client::Paho => play::<paho::Paho>(address, load, terms),
        }
    }
}
