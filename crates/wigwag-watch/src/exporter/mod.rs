//! `wigwag exporter` and `wigwag probe`: what brokers tell under `$SYS/`, and whether messages get through, for
//! Prometheus.
