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
mod server;
mod source;
mod thingsboard;

use std::{env, fmt::Display, fs, path::PathBuf, process::exit};

use configuration::Configuration;
use source::Source;
use thingsboard::ThingsBoard;

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
    write_configuration(file, |source| {
        Configuration::read(source, network)?.to_rust(board)
    });
}

/// Writes `config.rs` for a device of ThingsBoard on a wired network: `BROKER`, `TOKEN`, `INTERVAL_S` and `run`. The values
/// come as in [`configure`].
pub fn configure_thingsboard() {
    write_configuration("config.toml", |source| ThingsBoard::read(source)?.to_rust());
}

fn write_configuration(file: &str, to_rust: impl FnOnce(&Source) -> Result<String, String>) {
    let written = Source::of_environment(&manifest_dir(), file).and_then(|source| to_rust(&source));
    let text = written.unwrap_or_else(|error| fail(&error));
    write("config.rs", text.as_bytes());
}

/// Puts the linker script where the linker looks for it, and passes `arguments` to the linker.
pub fn link(memory: &str, arguments: &[&str]) {
    link_script(memory, "", arguments);
}

/// As [`link`], for an image that lies in one partition of the flash: `partition` is the region of the linker script which
/// is `FLASH` for it.
pub fn link_into(partition: &str, memory: &str, arguments: &[&str]) {
    let alias = format!("\nREGION_ALIAS(\"FLASH\", {partition});\n");
    link_script(memory, &alias, arguments);
}

fn link_script(memory: &str, more: &str, arguments: &[&str]) {
    println!("cargo::rerun-if-changed={memory}");
    println!("cargo::rustc-link-search={}", out_dir().display());
    let script = fs::read_to_string(manifest_dir().join(memory));
    let script = script.unwrap_or_else(|error| fail(&format!("cannot read {memory}: {error}")));
    write("memory.x", (script + more).as_bytes());
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
