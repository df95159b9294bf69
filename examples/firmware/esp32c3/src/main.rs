//! The example device on an ESP32-C3.
#![no_std]
#![no_main]

mod config {
    //! Written by the build script from `config.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}
mod thermometer;
mod wifi;

use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_time::Timer;
use esp_backtrace as _;
use esp_hal::{
    clock::CpuClock,
    gpio::{Level, Output, OutputConfig},
    peripherals::TIMG0,
    ram,
    rng::Trng,
    time::Duration,
    timer::timg::{MwdtStage, TimerGroup, Wdt},
};
use esp_println as _;
use esp_radio::wifi::{Interface, WifiController};
use firmware_app::{Light, network::Board};
use rand_core::RngCore as _;
use static_cell::ConstStaticCell;

use thermometer::Thermometer;

esp_bootloader_esp_idf::esp_app_desc!();

/// DHCP, DNS and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    // For the radio only: first the memory that the boot loader has left behind.
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 24 * 1024);
    let timers = TimerGroup::new(p.TIMG0);
    esp_rtos::start(timers.timer0, p.FROM_CPU_INTR0);
    spawner.spawn(defmt::unwrap!(watch(timers.wdt)));

    let controller = wifi::start(p.WIFI, config::WIFI_NAME, config::WIFI_PASSWORD);
    let controller = defmt::unwrap!(controller);
    // The radio is its source of noise, so it comes second.
    let mut random = defmt::unwrap!(Trng::try_new());
    spawner.spawn(defmt::unwrap!(stay_joined(controller)));

    let (stack, network) = embassy_net::new(
        Interface::station(),
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        random.next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(network)));

    let led = Output::new(p.GPIO8, Level::High, OutputConfig::default());
    let Ok(sensor) = Thermometer::new(p.TSENS) else {
        defmt::panic!("no thermometer");
    };
    let board = Board {
        stack,
        sensor,
        light: Led(led),
        random,
    };
    let Err(error) = config::run(board, &config::BROKER, &config::SETTINGS).await;
    defmt::panic!("config.toml: {}", error);
}

/// Between the pin and the supply, as on most small boards.
struct Led(Output<'static>);

impl Light for Led {
    async fn set(&mut self, on: bool) {
        self.0.set_level(if on { Level::Low } else { Level::High });
    }
}

/// A firmware that hangs or has panicked starts anew after 8 seconds.
#[embassy_executor::task]
async fn watch(mut watchdog: Wdt<TIMG0<'static>>) {
    watchdog.set_timeout(MwdtStage::Stage0, Duration::from_secs(8));
    watchdog.enable();
    loop {
        watchdog.feed();
        Timer::after_secs(2).await;
    }
}

#[embassy_executor::task]
async fn stay_joined(controller: WifiController<'static>) {
    wifi::stay_joined(controller).await;
}

#[embassy_executor::task]
async fn run_network(mut network: embassy_net::Runner<'static, Interface>) {
    network.run().await;
}
