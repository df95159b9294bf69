//! Sets up the linker.

fn main() {
    firmware_build::link_into(
        "BOOT_LOADER",
        "../partitions.x",
        &["--nmagic", "-Tlink.x", "-Tlink-rp.x"],
    );
}
