//! ThingsBoard: the device and the gateway API over MQTT.
