//! Brings the network up and connects to the broker at 10.0.2.2, the loopback address of the host, port `port`.

#![no_std]
#![no_main]

use board::{Network, Random};
use defmt::{info, unwrap};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Ipv4Address, Runner, Stack, StackResources, tcp::TcpSocket};
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

const HOST: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const TIME_LIMIT_S: u32 = 10;
const CONNECTED: u8 = 0;
const NOT_CONNECTED: u8 = 1;

#[riscv_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::set_time_limit_s(TIME_LIMIT_S);
    board::run(|spawner| start(spawner, network))
}

fn start(spawner: Spawner, network: Network) {
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(DhcpConfig::default()),
        resources,
        Random::new().next_u64(),
    );
    spawner.spawn(unwrap!(run_network(runner)));
    spawner.spawn(unwrap!(connect(stack)));
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn connect(stack: Stack<'static>) {
    static RECEIVE: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    static TRANSMIT: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);

    stack.wait_config_up().await;
    info!(
        "network up, {}",
        stack.config_v4().map(|config| config.address)
    );
    let port = unwrap!(board::argument_number("port"), "argument `port` missing") as u16;
    let mut socket = TcpSocket::new(stack, RECEIVE.take(), TRANSMIT.take());
    let result = socket.connect((HOST, port)).await;
    info!("connection to {}:{=u16}: {}", HOST, port, result);
    info!(
        "stack used {=usize} of {=usize} bytes",
        board::stack::high_water(),
        board::stack::size()
    );
    board::exit(if result.is_ok() {
        CONNECTED
    } else {
        NOT_CONNECTED
    })
}
