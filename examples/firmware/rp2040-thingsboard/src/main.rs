//! A device of ThingsBoard with firmware updates on a W5500-EVB-Pico: RP2040, and Ethernet by the W5500 at SPI0.
//!
//! New firmware goes into the partition `DFU`; the boot loader beside this package swaps it in at the restart. It stays if
//! the server lets it in.
#![no_std]
#![no_main]

mod boot;
mod config {
    //! Written by the build script from `config.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}
mod token;

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_net_wiznet::{Device, Runner, State, chip::W5500};
use embassy_rp::{
    Peri, adc, bind_interrupts, dma,
    flash::Flash,
    gpio::{Input, Level, Output, Pull},
    peripherals::{DMA_CH0, DMA_CH1, SPI0, WATCHDOG},
    spi::{self, Spi},
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use firmware_rp::Thermometer;
use firmware_thingsboard::{Settings, network::Board};
use mqtt_embassy::mqtt_core::platform::thingsboard::update::{Package, UpdateOptions};
use panic_probe as _;
use rand_core::RngCore as _;
use static_cell::ConstStaticCell;

use boot::BoardFlash;

bind_interrupts!(struct Interrupts {
    ADC_IRQ_FIFO => adc::InterruptHandler;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

/// SPI0 with the chip select of the W5500.
type Bus = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;

/// The W5500 is guaranteed to follow up to 33.3 MHz. The RP2040 makes 31.25 MHz of this.
const SPI_HZ: u32 = 32_000_000;

/// The title under which packages for this program are assigned.
const TITLE: &str = "thermometer-w5500";

/// Of the firmware that runs; raise it in `Cargo.toml` before an image is uploaded.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Asks for the reset.
static RESTART: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// Packets that the driver holds in each direction.
static PACKETS: ConstStaticCell<State<8, 8>> = ConstStaticCell::new(State::new());

/// DHCP, DNS and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    spawner.spawn(defmt::unwrap!(watch(p.WATCHDOG)));

    let mut random = firmware_rp::random();
    let mut spi_config = spi::Config::default();
    spi_config.frequency = SPI_HZ;
    let spi = Spi::new(
        p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Interrupts, spi_config,
    );
    let bus = defmt::unwrap!(ExclusiveDevice::new(
        spi,
        Output::new(p.PIN_17, Level::High),
        Delay
    ));
    let interrupt = Input::new(p.PIN_21, Pull::Up);
    let reset = Output::new(p.PIN_20, Level::High);

    let mut flash: BoardFlash = Flash::new_blocking(p.FLASH);
    let address = mac_address(&mut flash);
    let made = embassy_net_wiznet::new(address, PACKETS.take(), bus, interrupt, reset);
    let Ok((device, chip)) = made.await else {
        defmt::panic!("the W5500 does not answer at SPI0");
    };
    spawner.spawn(defmt::unwrap!(ethernet(chip)));

    let (stack, network) = embassy_net::new(
        device,
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        random.next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(network)));

    defmt::info!("running {=str} {=str}", TITLE, VERSION);
    let Ok((store, trial, own)) = boot::partitions(flash).await else {
        defmt::panic!("partitions.x: not suitable");
    };
    let board = Board {
        stack,
        sensor: Thermometer::new(p.ADC, p.ADC_TEMP_SENSOR, Interrupts),
        random,
        store,
        trial,
    };
    let settings = Settings {
        update: UpdateOptions::new(Package::Firmware, TITLE, VERSION),
        interval_s: config::INTERVAL_S,
    };
    let token = token::of_board(own, config::TOKEN).await;
    if let Err(error) = config::run(board, &config::BROKER, token, &settings).await {
        defmt::panic!("config.toml: {}", error);
    }
    defmt::info!("restarting");
    RESTART.signal(());
}

/// The W5500 has no address of its own: this one is made of the number of the flash chip, so it stays the same. The
/// first byte says that no manufacturer has assigned it.
fn mac_address(flash: &mut BoardFlash) -> [u8; 6] {
    let mut number = [0; 8];
    defmt::unwrap!(flash.blocking_unique_id(&mut number));
    let [_, _, _, last @ ..] = number;
    let mut address = [0x02; 6];
    address[1..].copy_from_slice(&last);
    address
}

#[embassy_executor::task]
async fn watch(watchdog: Peri<'static, WATCHDOG>) {
    firmware_rp::watch_until(watchdog, RESTART.wait()).await;
}

#[embassy_executor::task]
async fn ethernet(chip: Runner<'static, W5500, Bus, Input<'static>, Output<'static>>) {
    chip.run().await;
}

#[embassy_executor::task]
async fn run_network(mut network: embassy_net::Runner<'static, Device<'static>>) {
    network.run().await;
}
