//! The decisions of an MQTT broker without I/O: routing, retained messages, sessions, wills
