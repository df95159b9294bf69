//! Reads the configuration, and puts the memory layout where the linker looks for it.

use std::{env, fs, path::Path};

use firmware_build::configure_emulated;

fn main() {
    configure_emulated("QEMU virt (riscv32)");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("memory.x"), include_str!("memory.x"))
        .expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", Path::new(&out).display());
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=build.rs");
}
