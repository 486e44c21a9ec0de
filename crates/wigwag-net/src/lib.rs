//! Transports for MQTT: TCP and WebSocket streams, dialling, accepting, and the pump that drives a connection
