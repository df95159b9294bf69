//! The example firmware: gets an address, and connects to the broker.
//!
//! Arguments: `port` of the broker on the host, 1883 unless given.
#![no_std]
#![no_main]

use board::Network;
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Address, Runner, Stack, StackResources, tcp::TcpSocket};
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

/// QEMU's user network answers for the host under this address.
const HOST: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const NOT_CONNECTED: u8 = 1;

#[cortex_m_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::set_time_limit_s(60);
    board::run(|spawner| spawner.spawn(start(spawner, network).expect("the task is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner, network: Network) {
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    static RECEIVE: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    static TRANSMIT: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    let resources = RESOURCES.init(StackResources::new());
    let seed = board::Random::new().next_u64();
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(embassy_net::DhcpConfig::default()),
        resources,
        seed,
    );
    spawner.spawn(run_network(runner).expect("the task is started once"));
    board::exit(connect(stack, RECEIVE.take(), TRANSMIT.take()).await);
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) -> ! {
    runner.run().await
}

async fn connect(
    stack: Stack<'static>,
    receive: &'static mut [u8],
    transmit: &'static mut [u8],
) -> u8 {
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        defmt::info!("address {}", config.address);
    }
    let port = board::argument_number("port")
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(1883);
    let mut socket = TcpSocket::new(stack, receive, transmit);
    match socket.connect((HOST, port)).await {
        Ok(()) => {
            defmt::info!("connected to {}:{=u16}", HOST, port);
            0
        }
        Err(error) => {
            defmt::error!("not connected to {}:{=u16}: {}", HOST, port, error);
            NOT_CONNECTED
        }
    }
}
