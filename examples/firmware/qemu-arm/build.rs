//! Reads the configuration, and hands `memory.x` to the linker, also that of packages which depend on the library.

use std::{env, fs, path::PathBuf};

use firmware_build::configure_emulated;

fn main() {
    configure_emulated("QEMU mps2-an385");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("memory.x", out.join("memory.x")).expect("memory.x can be copied");
    println!("cargo:rustc-link-search={}", out.display());
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo:rustc-link-arg-bins={argument}");
        println!("cargo:rustc-link-arg-examples={argument}");
    }
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=build.rs");
}
