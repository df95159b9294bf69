//! Reads `config.toml` and sets up the linker.

use firmware_build::{configure_thingsboard, link_into};

fn main() {
    configure_thingsboard();
    link_into(
        "ACTIVE",
        "partitions.x",
        &["--nmagic", "-Tlink.x", "-Tdefmt.x"],
    );
}
