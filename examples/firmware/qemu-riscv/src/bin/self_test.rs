//! Tries out the board support itself. The argument `test` chooses:
//!
//! | `test=` | what happens | exit status |
//! | --- | --- | --- |
//! | `echo` | connects to 10.0.2.2, port `port`, and sends back what comes until the peer closes | 0 |
//! | `host` | looks at randomness, wall clock, and the stack's high-water mark | 0 |
//! | `idle` | sleeps `seconds` | 0 |
//! | `exit` | ends | `status` |
//! | `panic` | panics | 101 |
//! | `fault` | reads an address where nothing is | 102 |
//! | `hang` | never lets go of the processor; the time limit is 1 s | 103 |
//!
//! A check that does not hold panics.

#![no_std]
#![no_main]

use core::{hint::black_box, ptr};

use board::{Network, Random};
use defmt::{info, unwrap};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Ipv4Address, Runner, Stack, StackResources, tcp::TcpSocket};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

const HOST: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const TIME_LIMIT_S: u32 = 30;
/// 2020-09-13, in the past of every host.
const SOME_TIME_S: u64 = 1_600_000_000;
const NOWHERE: usize = 0x1800_0000;

#[riscv_rt::entry]
fn main() -> ! {
    let network = board::init();
    board::set_time_limit_s(TIME_LIMIT_S);
    board::run(
        |spawner| match unwrap!(board::argument("test"), "argument `test` missing") {
            "echo" => start_echo(spawner, network),
            "host" => spawner.spawn(unwrap!(look_at_host())),
            "idle" => spawner.spawn(unwrap!(idle(number("seconds")))),
            "exit" => board::exit(number("status") as u8),
            "panic" => panic!("as wanted, with {}", number("status")),
            "fault" => fault(),
            "hang" => hang(),
            name => panic!("no test `{name}`"),
        },
    )
}

fn number(name: &str) -> u32 {
    unwrap!(
        board::argument_number(name),
        "argument `{=str}` is missing, or no number",
        name
    )
}

fn start_echo(spawner: Spawner, network: Network) {
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(DhcpConfig::default()),
        resources,
        Random::new().next_u64(),
    );
    spawner.spawn(unwrap!(run_network(runner)));
    spawner.spawn(unwrap!(echo(stack)));
}

#[embassy_executor::task]
async fn run_network(mut runner: Runner<'static, Network>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn echo(stack: Stack<'static>) {
    static RECEIVE: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
    static TRANSMIT: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);

    stack.wait_config_up().await;
    info!("network up after {=u64} us", Instant::now().as_micros());
    let mut socket = TcpSocket::new(stack, RECEIVE.take(), TRANSMIT.take());
    unwrap!(socket.connect((HOST, number("port") as u16)).await);
    info!("connected after {=u64} us", Instant::now().as_micros());

    let mut buffer = [0; 1024];
    let mut total = 0;
    loop {
        let length = unwrap!(socket.read(&mut buffer).await);
        if length == 0 {
            break;
        }
        unwrap!(socket.write_all(&buffer[..length]).await);
        total += length;
    }
    socket.close();
    unwrap!(socket.flush().await);
    info!(
        "echoed {=usize} bytes in {=u64} us",
        total,
        Instant::now().as_micros()
    );
    log_stack();
    board::exit(0)
}

#[embassy_executor::task]
async fn look_at_host() {
    assert_ne!(Random::new().next_u64(), Random::new().next_u64());
    assert!(board::unix_time_s() > SOME_TIME_S);
    assert!(board::argument("tes").is_none() && board::argument_number("test").is_none());

    let before = Instant::now();
    Timer::after(Duration::from_millis(20)).await;
    assert!(before.elapsed() >= Duration::from_millis(20));

    let before = board::stack::high_water();
    use_stack();
    let after = board::stack::high_water();
    assert!(after >= before.max(STACK_USED) && after < board::stack::size());
    log_stack();
    board::exit(0)
}

const STACK_USED: usize = 16 * 1024;

#[inline(never)]
fn use_stack() {
    black_box(&mut [1_u8; STACK_USED]);
}

fn log_stack() {
    info!(
        "stack used {=usize} of {=usize} bytes",
        board::stack::high_water(),
        board::stack::size()
    );
}

#[embassy_executor::task]
async fn idle(seconds: u32) {
    Timer::after_secs(u64::from(seconds)).await;
    board::exit(0)
}

fn fault() {
    // SAFETY: no memory of Rust is there, and the load does not return.
    let value = unsafe { ptr::with_exposed_provenance::<u32>(NOWHERE).read_volatile() };
    info!("read {=u32:#x}", value);
}

fn hang() -> ! {
    board::set_time_limit_s(1);
    loop {
        core::hint::spin_loop();
    }
}
