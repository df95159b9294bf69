//! A device of ThingsBoard on QEMU's Arm machine, with firmware updates.
//!
//! The machine has no flash: a piece of RAM that outlives a reset behaves as if it were. An image that was installed is a
//! stand-in, too: after the reset this program runs again, under the version of the new one.
//!
//! Arguments, all optional: `port` of the server on the host; `token` of the device; `version` that runs at first and `next`
//! that runs after an update; `sha256` and `size` of the image that is to be installed: with them the program ends with a
//! verdict, when the new firmware is called to restart.
#![no_std]
#![no_main]

mod boot;
mod flash;

use board::{Network, Random};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, Stack, StackResources};
use firmware_app::Sensor;
use firmware_thingsboard::{NoTrial, Settings};
use mqtt_embassy::{
    FlashStore, Storage, TcpConnector,
    mqtt_core::platform::thingsboard::{
        PORT,
        update::{Package, UpdateOptions, chunk_len_for},
    },
};
use rand_core::RngCore as _;
use serde::Serialize;
use static_cell::ConstStaticCell;

use boot::BootLoader;

/// The host's own loopback.
const HOST: &str = "10.0.2.2";

/// The exit status when the token or the flash cannot work.
const BAD_CONFIGURATION: u8 = 1;

/// The title under which packages for this program are assigned.
const TITLE: &str = "thermostat";

/// For a verdict. The host has a limit too, and it is longer.
const TIME_LIMIT_S: u32 = 60;

const RECEIVE: usize = 2048;
const TRANSMIT: usize = 1024;
const SOCKET: usize = 2048;

/// DHCP and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<3>> = ConstStaticCell::new(StackResources::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::run(|spawner| spawner.spawn(defmt::unwrap!(start(spawner, network))))
}

#[embassy_executor::task]
async fn start(spawner: Spawner, network: Network) {
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        Random::new().next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(runner)));
    let (image, records, boot_loader) = flash::partitions();
    let expected = boot::expected();
    if expected.is_some() {
        board::set_time_limit_s(TIME_LIMIT_S);
    }
    let is_updated = boot_loader.boot(&image, expected.as_ref());
    let version = if is_updated {
        board::argument("next").unwrap_or("2.0")
    } else {
        board::argument("version").unwrap_or("1.0")
    };
    defmt::info!("running {=str} {=str}", TITLE, version);
    let Ok(store) = FlashStore::new(image, records, boot_loader) else {
        defmt::error!("flash: not suitable");
        board::exit(BAD_CONFIGURATION)
    };
    live(stack, version, store).await;
    if is_updated && expected.is_some() {
        defmt::info!("verdict: good");
        board::exit(0)
    }
    defmt::info!("restarting");
    cortex_m::peripheral::SCB::sys_reset()
}

/// One life of the device, from its start to its restart.
async fn live(
    stack: Stack<'static>,
    version: &'static str,
    store: FlashStore<flash::RamFlash, flash::RamFlash, BootLoader>,
) {
    static STORAGE: ConstStaticCell<Storage<RECEIVE, TRANSMIT>> =
        ConstStaticCell::new(Storage::new());
    static RX: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);
    static TX: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);
    let token = board::argument("token").unwrap_or("A1_TEST_TOKEN");
    let Ok(options) = firmware_thingsboard::options(token) else {
        defmt::error!("token: empty or reserved");
        board::exit(BAD_CONFIGURATION)
    };
    let port = board::argument_number("port").map_or(Some(PORT), |port| u16::try_from(port).ok());
    let port = defmt::unwrap!(port, "port is above 65535");
    let mut connector = TcpConnector::new(stack, HOST, port, RX.take(), TX.take());
    let handles = defmt::unwrap!(mqtt_embassy::new(STORAGE.take(), &options));
    let mut update = UpdateOptions::new(Package::Firmware, TITLE, version);
    update.chunk_len = chunk_len_for(RECEIVE);
    // The way to the host is short.
    update.chunk_timeout_ms = 2_000;
    let settings = Settings {
        update,
        interval_s: 5,
    };
    firmware_thingsboard::run(
        handles,
        &mut connector,
        &options,
        &settings,
        StackGauge,
        store,
        NoTrial,
    )
    .await;
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) {
    runner.run().await;
}

/// What there is to measure on a machine without thermometer.
struct StackGauge;

#[derive(Serialize)]
struct Reading {
    stack_used_bytes: usize,
}

impl Sensor for StackGauge {
    type Reading = Reading;

    async fn read(&mut self) -> Reading {
        Reading {
            stack_used_bytes: board::stack::high_water(),
        }
    }
}
