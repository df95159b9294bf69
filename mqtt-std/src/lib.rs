//! MQTT client for Linux.
