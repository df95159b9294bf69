//! The example device on QEMU's RISC-V machine `virt`.
//!
//! Arguments, all optional: `port` of the broker, instead of that of the configuration; `seconds` to run, instead of for
//! ever.
#![no_std]
#![no_main]

mod config {
    //! Written by the build script from `config.toml` or `config.example.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}

use board::{Network, Random};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, StackResources};
use embassy_time::Timer;
use firmware_app::{NoLight, Sensor, network::Board};
use rand_core::RngCore as _;
use serde::Serialize;
use static_cell::ConstStaticCell;

/// The exit status when the configuration cannot work.
const BAD_CONFIGURATION: u8 = 1;

/// DHCP, DNS and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());

#[riscv_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::run(|spawner| spawner.spawn(defmt::unwrap!(start(spawner, network))))
}

#[embassy_executor::task]
async fn start(spawner: Spawner, network: Network) {
    let mut random = Random::new();
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        random.next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(runner)));
    if let Some(seconds) = board::argument_number("seconds") {
        spawner.spawn(defmt::unwrap!(end_after(seconds)));
    }
    let mut broker = config::BROKER;
    if let Some(port) = board::argument_number("port") {
        broker.port = defmt::unwrap!(u16::try_from(port).ok(), "port is above 65535");
    }
    let parts = Board {
        stack,
        sensor: StackGauge,
        light: NoLight,
        random,
    };
    let Err(error) = config::run(parts, &broker, &config::SETTINGS).await;
    defmt::error!("configuration: {}", error);
    board::exit(BAD_CONFIGURATION)
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn end_after(seconds: u32) {
    Timer::after_secs(seconds.into()).await;
    board::exit(0)
}

/// What there is to measure on a machine without thermometer.
struct StackGauge;

#[derive(Serialize)]
struct Reading {
    stack_used_bytes: usize,
    stack_size_bytes: usize,
}

impl Sensor for StackGauge {
    type Reading = Reading;

    async fn read(&mut self) -> Reading {
        Reading {
            stack_used_bytes: board::stack::high_water(),
            stack_size_bytes: board::stack::size(),
        }
    }
}
