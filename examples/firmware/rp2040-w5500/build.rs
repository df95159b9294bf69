//! Reads `config.toml` and sets up the linker.

use firmware_build::{Network, configure, link};

fn main() {
    configure("W5500-EVB-Pico", Network::Wired);
    link(
        "memory.x",
        &["--nmagic", "-Tlink.x", "-Tlink-rp.x", "-Tdefmt.x"],
    );
}
