//! The end-to-end table: our client, rumqttc and a hand-written writer, each in a process of its own, against a broker
//! in this process that acknowledges as fast as it can. All are pinned to one core; runs are interleaved and
//! medians compared. Exits with 1 when a red line is crossed.
//!
//! Run by `cargo xtask bench`, or alone: `cargo run --release -p bench-e2e`.

mod broker;
mod client;
mod harness;
mod measure;
mod packets;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::client::{Kind, Task};

#[derive(Parser)]
#[command(about, disable_version_flag = true)]
struct Arguments {
    /// Interleaved runs, of which the median is taken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// One client doing one task; started by the harness
    #[command(hide = true)]
    Client {
        kind: Kind,
        task: Task,
        port: u16,
        count: u32,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every red line holds.
fn run(arguments: &Arguments) -> Result<bool> {
    match arguments.role {
        Some(Role::Client {
            kind,
            task,
            port,
            count,
        }) => client::run(kind, task, port, count).map(|()| true),
        None => table::print(&harness::run(arguments.runs)?),
    }
}
