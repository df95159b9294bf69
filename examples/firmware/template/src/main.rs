//! The example device on a board of your own. The steps are those of README.md.
#![no_std]
#![no_main]

mod board;
mod config {
    //! Written by the build script from `config.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}
mod placeholder;

// Step 2: `use your_hal as _;`, which brings the interrupt vectors; an unused `cortex_m` brings the critical section.
use cortex_m as _;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, StackResources};
use firmware_app::network::Board;
use panic_probe as _;
use rand_core::RngCore as _;
use static_cell::ConstStaticCell;

use crate::{
    board::{Led, Thermometer},
    placeholder::{Network, Random},
};

/// DHCP, DNS and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    // Step 2: clocks and pins, such as `let p = your_hal::init(Default::default());`.

    // Step 3: a generator fit for keys.
    let mut random = Random;

    // Step 4: the driver of the network, and a task for its interrupts if it asks for one.
    let device = Network;
    let (stack, network) = embassy_net::new(
        device,
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        random.next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(network)));

    let board = Board {
        stack,
        sensor: Thermometer,
        light: Led,
        random,
    };
    let Err(error) = config::run(board, &config::BROKER, &config::SETTINGS).await;
    defmt::panic!("config.toml: {}", error);
}

#[embassy_executor::task]
async fn run_network(mut network: Runner<'static, Network>) {
    network.run().await;
}
