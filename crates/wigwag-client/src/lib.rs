//! An MQTT 5.0 and 3.1.1 client that keeps its connection, its subscriptions and its promises
