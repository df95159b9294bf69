//! Reads `config.toml`, finds the firmware of the radio, and sets up the linker.

use firmware_build::{Network, configure, link, radio_firmware};

fn main() {
    configure("Raspberry Pi Pico W", Network::WiFi);
    radio_firmware();
    link(
        "memory.x",
        &["--nmagic", "-Tlink.x", "-Tlink-rp.x", "-Tdefmt.x"],
    );
}
