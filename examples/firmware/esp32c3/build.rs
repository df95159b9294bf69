//! Reads `config.toml` and sets up the linker.

use firmware_build::{Network, configure, link_arguments};

fn main() {
    configure("ESP32-C3", Network::WiFi);
    link_arguments(&["-Tlinkall.x", "-Tdefmt.x"]);
}
