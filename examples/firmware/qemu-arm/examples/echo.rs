//! Checks the board alone: sends 100 KB to an echo server on the host, and compares what comes back.
//!
//! Arguments: `port` of the server; `idle`, seconds to do nothing before; `status`, to exit with when all is well;
//! `fail=panic|fault|hang` to see those reported.
#![no_std]
#![no_main]

use board::Network;
use embassy_executor::Spawner;
use embassy_net::{
    Config, Ipv4Address, Runner, StackResources,
    tcp::{TcpReader, TcpSocket, TcpWriter},
};
use embassy_time::{Instant, Timer};
use embedded_io_async::Write;
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

const HOST: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const LENGTH: usize = 100 * 1024;
const CHUNK: usize = 64;
const NOT_CONNECTED: u8 = 1;
const WRONG: u8 = 2;

#[cortex_m_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::set_time_limit_s(10);
    board::run(|spawner| spawner.spawn(start(spawner, network).expect("the task is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner, network: Network) {
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    fail_if_told();
    let resources = RESOURCES.init(StackResources::new());
    let seed = board::Random::new().next_u64();
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(embassy_net::DhcpConfig::default()),
        resources,
        seed,
    );
    spawner.spawn(run_network(runner).expect("the task is started once"));
    stack.wait_config_up().await;
    defmt::info!("address after {=u64} us", Instant::now().as_micros());
    Timer::after_secs(board::argument_number("idle").unwrap_or(0).into()).await;
    defmt::info!(
        "{=u64} us since the start, {=u64} s since 1970",
        Instant::now().as_micros(),
        board::unix_time_s()
    );
    let status = echo(stack).await;
    defmt::info!(
        "{=u64} us; stack {=usize} of {=usize}",
        Instant::now().as_micros(),
        board::stack::high_water(),
        board::stack::size()
    );
    board::exit(status);
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) -> ! {
    runner.run().await
}

/// Ways to end that a test must notice.
fn fail_if_told() {
    match board::argument("fail") {
        Some("panic") => panic!("told to"),
        // SAFETY: reading there is the fault that is asked for; nothing follows it.
        Some("fault") => unsafe {
            core::ptr::with_exposed_provenance::<u32>(0xFFFF_FFF0).read_volatile();
        },
        Some("hang") => loop {
            core::hint::spin_loop();
        },
        _ => (),
    }
}

async fn echo(stack: embassy_net::Stack<'static>) -> u8 {
    static RECEIVE: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
    static TRANSMIT: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
    let port = board::argument_number("port")
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(7);
    let mut socket = TcpSocket::new(stack, RECEIVE.take(), TRANSMIT.take());
    if let Err(error) = socket.connect((HOST, port)).await {
        defmt::error!("not connected: {}", error);
        return NOT_CONNECTED;
    }
    let (mut reader, mut writer) = socket.split();
    let ((), same) = embassy_futures::join::join(send(&mut writer), compare(&mut reader)).await;
    if !same {
        return WRONG;
    }
    board::argument_number("status")
        .and_then(|status| u8::try_from(status).ok())
        .unwrap_or(0)
}

async fn send(writer: &mut TcpWriter<'_>) {
    for start in (0..LENGTH).step_by(CHUNK) {
        let bytes: [u8; CHUNK] = core::array::from_fn(|index| pattern(start + index));
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn compare(reader: &mut TcpReader<'_>) -> bool {
    let mut position = 0;
    while position < LENGTH {
        let mut bytes = [0; CHUNK];
        let Ok(length @ 1..) = reader.read(&mut bytes).await else {
            return false;
        };
        if !bytes[..length]
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == pattern(position + index))
        {
            return false;
        }
        position += length;
    }
    true
}

/// No short period, so that a lost or doubled frame is seen.
fn pattern(position: usize) -> u8 {
    (position ^ position >> 8).to_le_bytes()[0]
}
