//! Link arguments of the two machines. The board's library brings `memory.x`.

use std::env;

fn main() {
    let arm = ["-Tlink.x", "-Tdefmt.x", "--nmagic"];
    let riscv = ["-Tmemory.x", "-Tlink.x", "-Tdefmt.x"];
    let is_arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    for argument in if is_arm { arm } else { riscv } {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
