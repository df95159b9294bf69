//! Reads `config.toml` and sets up the linker.

use firmware_build::{Network, configure, link};

fn main() {
    // Step 1: the name that `identify` answers with; Network::WiFi adds name and password of the network.
    configure("Your board", Network::Wired);
    link("memory.x", &["--nmagic", "-Tlink.x", "-Tdefmt.x"]);
}
