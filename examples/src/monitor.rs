//! A device that is this machine: what it reads, how it reports, and what it can be told. Shared by the programs that
//! report to a broker and to platforms.

pub mod commands;
pub mod report;
mod reporter;
mod round_trips;
mod screen;
pub mod sensors;

pub use self::reporter::{Due, Reporter};

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The system of this machine, as `Linux 6.1.0`.
#[must_use]
pub fn system_name() -> String {
    let system = rustix::system::uname();
    let (name, release) = (system.sysname(), system.release());
    format!("{} {}", name.to_string_lossy(), release.to_string_lossy())
}
