//! What the build scripts of all boards share.
//!
//! ```no_run
//! use firmware_build::{Network, configure, link};
//!
//! configure("My board", Network::Wired);
//! link("memory.x", &["--nmagic", "-Tlink.x", "-Tdefmt.x"]);
//! ```
//!
//! Whatever is wrong ends the build with one line that says what to do.

mod broker;
mod configuration;
mod radio;
mod source;

use std::{env, fmt::Display, fs, path::PathBuf, process::exit};

use configuration::Configuration;
use source::Source;

pub use radio::radio_firmware;

/// How the board reaches the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// By cable: nothing to configure.
    Wired,
    /// By Wi-Fi, which has a name and a password.
    WiFi,
}

/// Writes `config.rs`, which `src/main.rs` includes: `SETTINGS`, `BROKER`, `run` and, for Wi-Fi, `WIFI_NAME` and
/// `WIFI_PASSWORD`.
///
/// The values come from `config.toml` beside the manifest, or the file that the variable `FIRMWARE_CONFIG` names. A
/// variable `FIRMWARE_BROKER`, `FIRMWARE_CLIENT_ID` and so on takes precedence over the file.
pub fn configure(board: &str, network: Network) {
    configure_from("config.toml", board, network);
}

/// As [`configure`] for a board that is emulated: without a `config.toml` the example will do.
pub fn configure_emulated(board: &str) {
    let own = "config.toml";
    println!("cargo::rerun-if-changed={own}");
    let is_there = manifest_dir().join(own).exists();
    let file = if is_there { own } else { "config.example.toml" };
    configure_from(file, board, Network::Wired);
}

fn configure_from(file: &str, board: &str, network: Network) {
    let written = Source::of_environment(&manifest_dir(), file)
        .and_then(|source| Configuration::read(&source, network))
        .and_then(|configuration| configuration.to_rust(board));
    let text = written.unwrap_or_else(|error| fail(&error));
    write("config.rs", text.as_bytes());
}

/// Puts the linker script where the linker looks for it, and passes `arguments` to the linker.
pub fn link(memory: &str, arguments: &[&str]) {
    println!("cargo::rerun-if-changed={memory}");
    println!("cargo::rustc-link-search={}", out_dir().display());
    let script = fs::read(manifest_dir().join(memory));
    let script = script.unwrap_or_else(|error| fail(&format!("cannot read {memory}: {error}")));
    write("memory.x", &script);
    link_arguments(arguments);
}

/// Passes `arguments` to the linker, for boards whose linker script comes from elsewhere.
pub fn link_arguments(arguments: &[&str]) {
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

fn write(name: &str, bytes: &[u8]) {
    let path = out_dir().join(name);
    if let Err(error) = fs::write(&path, bytes) {
        fail(&format!("cannot write {}: {error}", path.display()));
    }
}

fn manifest_dir() -> PathBuf {
    directory("CARGO_MANIFEST_DIR")
}

fn out_dir() -> PathBuf {
    directory("OUT_DIR")
}

fn directory(variable: &str) -> PathBuf {
    env::var_os(variable).map_or_else(
        || fail(&format!("{variable} is set by cargo for build scripts")),
        PathBuf::from,
    )
}

fn fail(error: &impl Display) -> ! {
    println!("cargo::error={error}");
    exit(1)
}
