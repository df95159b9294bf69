//! Two network stacks whose devices are tied together by a cable.

use std::{cell::Cell, future::poll_fn, rc::Rc};

use embassy_futures::join::{join, join4};
use embassy_net::{
    Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4, tcp::TcpSocket,
};
use embassy_net_driver_channel::{
    self as channel, Device, RxRunner, State, TxRunner,
    driver::{HardwareAddress, LinkState},
};

use super::leak;

const MTU: usize = 1514;
type Driver = Device<'static, MTU>;

pub const DEVICE: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub const BROKER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);

/// Both ends of the cable.
pub struct Network {
    pub device: Stack<'static>,
    pub broker: Stack<'static>,
    /// Nothing passes while it is cut.
    pub cut: Rc<Cell<bool>>,
    runners: (Runner<'static, Driver>, Runner<'static, Driver>),
    cables: (
        (RxRunner<'static, MTU>, TxRunner<'static, MTU>),
        (RxRunner<'static, MTU>, TxRunner<'static, MTU>),
    ),
}

impl Network {
    pub fn new() -> Self {
        let (device, device_runner, device_cable) = end(DEVICE);
        let (broker, broker_runner, broker_cable) = end(BROKER);
        Self {
            device,
            broker,
            cut: Rc::default(),
            runners: (device_runner, broker_runner),
            cables: (device_cable, broker_cable),
        }
    }

    /// Runs until `test` is over.
    pub fn run<T>(self, test: impl Future<Output = T>) -> T {
        let Self {
            cut,
            runners: (mut device, mut broker),
            cables: ((device_rx, device_tx), (broker_rx, broker_tx)),
            ..
        } = self;
        let network = join4(
            async { device.run().await },
            async { broker.run().await },
            carry(device_tx, broker_rx, &cut),
            carry(broker_tx, device_rx, &cut),
        );
        super::block_on(async {
            match embassy_futures::select::select(test, network).await {
                embassy_futures::select::Either::First(output) => output,
                embassy_futures::select::Either::Second(_) => unreachable!("it runs for ever"),
            }
        })
    }
}

/// A socket of the broker.
pub fn socket(stack: Stack<'static>) -> TcpSocket<'static> {
    TcpSocket::new(stack, leak(4096), leak(4096))
}

fn end(
    address: Ipv4Address,
) -> (
    Stack<'static>,
    Runner<'static, Driver>,
    (RxRunner<'static, MTU>, TxRunner<'static, MTU>),
) {
    let state = Box::leak(Box::new(State::<MTU, 4, 4>::new()));
    let last = address.octets()[3];
    let hardware = HardwareAddress::Ethernet([2, 0, 0, 0, 0, last]);
    let (mut cable, device) = channel::new(state, hardware);
    cable.set_link_state(LinkState::Up);
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: [BROKER].into_iter().collect(),
    });
    let resources = Box::leak(Box::new(StackResources::<6>::new()));
    let (stack, runner) = embassy_net::new(device, config, resources, u64::from(last));
    let (_, rx, tx) = cable.split();
    (stack, runner, (rx, tx))
}

async fn carry(mut from: TxRunner<'static, MTU>, mut to: RxRunner<'static, MTU>, cut: &Cell<bool>) {
    loop {
        let mut packet = Vec::new();
        poll_fn(|cx| from.poll_tx_buf(cx).map(|bytes| packet = bytes.to_vec())).await;
        from.tx_done();
        if cut.get() {
            continue;
        }
        poll_fn(|cx| {
            to.poll_rx_buf(cx)
                .map(|room| room[..packet.len()].copy_from_slice(&packet))
        })
        .await;
        to.rx_done(packet.len());
    }
}

/// Both to their ends.
pub async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    join(a, b).await
}
