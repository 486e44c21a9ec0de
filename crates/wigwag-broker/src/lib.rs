//! An embeddable MQTT broker: listeners, shards and everything that touches the outside world
