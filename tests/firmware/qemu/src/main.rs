//! One scenario as firmware in QEMU. The exit status is its verdict: see `firmware_scenarios::Status`.
//!
//! Arguments on the semihosting command line: those of `firmware_scenarios::Arguments`; `port=` of the broker on the
//! host; for TLS `ca=`, the path of the certificate of the authority in DER, and `name=` of the server.

#![no_std]
#![no_main]

#[cfg(feature = "tls")]
mod tls;
mod transport;

use board::{Network, Random, stack};
use embassy_executor::Spawner;
use embassy_net::{Config, Stack, StackResources};
use embassy_time::{Duration, with_timeout};
use firmware_scenarios::{Arguments, Status, report};
use rand_core::RngCore;
use static_cell::StaticCell;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

/// The host has a limit too, and it is longer.
const TIME_LIMIT_S: u32 = 120;

/// The network of QEMU needs some milliseconds.
const DHCP_LIMIT: Duration = Duration::from_secs(10);

#[entry]
fn main() -> ! {
    let network = board::init();
    board::set_time_limit_s(TIME_LIMIT_S);
    board::run(|spawner| spawner.spawn(job(spawner, network).expect("the first job")))
}

#[embassy_executor::task]
async fn job(spawner: Spawner, network: Network) {
    let status = match run(spawner, network).await {
        Ok(()) => Status::Good,
        Err(status) => status,
    };
    status.log();
    report::log((stack::high_water(), stack::size()));
    board::exit(status as u8)
}

async fn run(spawner: Spawner, network: Network) -> Result<(), Status> {
    let arguments = Arguments::read(board::argument)?;
    let stack = bring_up(spawner, network).await?;
    let port = board::argument_number("port").and_then(|port| u16::try_from(port).ok());
    let mut connector = transport::connector(stack, port.ok_or(Status::Arguments)?)?;
    firmware_scenarios::run(&arguments, spawner, stack::high_water, &mut connector).await
}

async fn bring_up(spawner: Spawner, network: Network) -> Result<Stack<'static>, Status> {
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        network,
        Config::dhcpv4(embassy_net::DhcpConfig::default()),
        RESOURCES.init(StackResources::new()),
        Random::new().next_u64(),
    );
    spawner.spawn(keep_network(runner).expect("the only task of its kind"));
    let up = with_timeout(DHCP_LIMIT, stack.wait_config_up()).await;
    up.map_err(|_| Status::NoAddress)?;
    Ok(stack)
}

#[embassy_executor::task]
async fn keep_network(mut runner: embassy_net::Runner<'static, Network>) -> ! {
    runner.run().await
}
