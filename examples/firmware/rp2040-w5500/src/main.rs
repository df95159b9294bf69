//! The example device on a W5500-EVB-Pico: RP2040, and Ethernet by the W5500 at SPI0.
#![no_std]
#![no_main]

mod config {
    //! Written by the build script from `config.toml`.
    include!(concat!(env!("OUT_DIR"), "/config.rs"));
}

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_net_wiznet::{Device, Runner, State, chip::W5500};
use embassy_rp::{
    Peri, adc, bind_interrupts, dma,
    flash::{Blocking, Flash},
    gpio::{Input, Level, Output, Pull},
    peripherals::{DMA_CH0, DMA_CH1, FLASH, SPI0, WATCHDOG},
    spi::{self, Spi},
};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use firmware_app::{Light, network::Board};
use firmware_rp::Thermometer;
use panic_probe as _;
use rand_core::RngCore as _;
use static_cell::ConstStaticCell;

bind_interrupts!(struct Interrupts {
    ADC_IRQ_FIFO => adc::InterruptHandler;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

/// SPI0 with the chip select of the W5500.
type Bus = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;

/// The W5500 is guaranteed to follow up to 33.3 MHz. The RP2040 makes 31.25 MHz of this.
const SPI_HZ: u32 = 32_000_000;

/// Bytes of the flash on the board.
const FLASH_SIZE: usize = 2 * 1024 * 1024;

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

    let made = embassy_net_wiznet::new(mac_address(p.FLASH), PACKETS.take(), bus, interrupt, reset);
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

    let board = Board {
        stack,
        sensor: Thermometer::new(p.ADC, p.ADC_TEMP_SENSOR, Interrupts),
        light: Led(Output::new(p.PIN_25, Level::Low)),
        random,
    };
    let Err(error) = config::run(board, &config::BROKER, &config::SETTINGS).await;
    defmt::panic!("config.toml: {}", error);
}

/// The W5500 has no address of its own: this one is made of the number of the flash chip, so it stays the same. The
/// first byte says that no manufacturer has assigned it.
fn mac_address(flash: Peri<'static, FLASH>) -> [u8; 6] {
    let mut number = [0; 8];
    let mut flash = Flash::<_, Blocking, FLASH_SIZE>::new_blocking(flash);
    defmt::unwrap!(flash.blocking_unique_id(&mut number));
    let [_, _, _, last @ ..] = number;
    let mut address = [0x02; 6];
    address[1..].copy_from_slice(&last);
    address
}

struct Led(Output<'static>);

impl Light for Led {
    async fn set(&mut self, on: bool) {
        self.0.set_level(on.into());
    }
}

#[embassy_executor::task]
async fn watch(watchdog: Peri<'static, WATCHDOG>) {
    firmware_rp::watch(watchdog).await;
}

#[embassy_executor::task]
async fn ethernet(chip: Runner<'static, W5500, Bus, Input<'static>, Output<'static>>) {
    chip.run().await;
}

#[embassy_executor::task]
async fn run_network(mut network: embassy_net::Runner<'static, Device<'static>>) {
    network.run().await;
}
