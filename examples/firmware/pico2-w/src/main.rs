//! The example device on a Raspberry Pi Pico 2 W: RP2350, and Wi-Fi by the CYW43439 behind a PIO.
#![no_std]
#![no_main]

mod config {
    //! Written by the build script from `config.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}

use cyw43::{Aligned, NetDriver, State};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Stack, StackResources};
use embassy_rp::{
    Peri, adc, bind_interrupts, dma,
    gpio::{Level, Output},
    peripherals::{DMA_CH0, PIO0, TRNG, WATCHDOG},
    pio::{self, Pio},
    trng::{self, Trng},
};
use firmware_app::network::Board;
use firmware_rp::{
    Thermometer,
    wifi::{self, Led, Radio},
};
use panic_probe as _;
use rand_core::RngCore as _;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Interrupts {
    ADC_IRQ_FIFO => adc::InterruptHandler;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

/// What runs on the radio, loaded at each start. The build script has found it.
static FIRMWARE: &Aligned<cyw43::A4, [u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/43439A0.bin")));
static NVRAM: &Aligned<cyw43::A4, [u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/nvram_rp2040.bin"
)));
static CLM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/43439A0_clm.bin"));

/// Packets that the driver holds.
static PACKETS: StaticCell<State> = StaticCell::new();
static RADIO: StaticCell<Radio> = StaticCell::new();

/// DHCP, DNS and one connection; one to spare.
static SOCKETS: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    spawner.spawn(defmt::unwrap!(watch(p.WATCHDOG)));

    let mut random = Trng::new(p.TRNG, Interrupts, trng::Config::default());
    let power = Output::new(p.PIN_23, Level::Low);
    let select = Output::new(p.PIN_25, Level::High);
    let mut pio = Pio::new(p.PIO0, Interrupts);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        select,
        p.PIN_24,
        p.PIN_29,
        dma::Channel::new(p.DMA_CH0, Interrupts),
    );
    let state = PACKETS.init_with(State::new);
    let (device, control, chip) = cyw43::new(state, power, spi, FIRMWARE, NVRAM).await;
    spawner.spawn(defmt::unwrap!(run_radio(chip)));
    let radio: &Radio = RADIO.init(Radio::start(control, CLM).await);

    let (stack, network) = embassy_net::new(
        device,
        Config::dhcpv4(DhcpConfig::default()),
        SOCKETS.take(),
        random.next_u64(),
    );
    spawner.spawn(defmt::unwrap!(run_network(network)));
    spawner.spawn(defmt::unwrap!(stay_joined(radio, stack)));

    let board = Board {
        stack,
        sensor: Thermometer::new(p.ADC, p.ADC_TEMP_SENSOR, Interrupts),
        light: Led(radio),
        random,
    };
    let Err(error) = config::run(board, &config::BROKER, &config::SETTINGS).await;
    defmt::panic!("config.toml: {}", error);
}

#[embassy_executor::task]
async fn watch(watchdog: Peri<'static, WATCHDOG>) {
    firmware_rp::watch(watchdog).await;
}

#[embassy_executor::task]
async fn run_radio(chip: wifi::Runner) {
    chip.run().await;
}

#[embassy_executor::task]
async fn run_network(mut network: embassy_net::Runner<'static, NetDriver<'static>>) {
    network.run().await;
}

#[embassy_executor::task]
async fn stay_joined(radio: &'static Radio, stack: Stack<'static>) {
    radio
        .stay_joined(stack, config::WIFI_NAME, config::WIFI_PASSWORD)
        .await;
}
