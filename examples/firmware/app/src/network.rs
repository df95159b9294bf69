//! The device on embassy-net: one function for each way to the broker, all with the same arguments.
//!
//! Each has its memory in statics of its own, so a firmware pays for the one that it calls. Call it once.

use core::{cell::RefCell, convert::Infallible, fmt};

use embassy_net::Stack;
use mqtt_embassy::{
    PublishError, Storage, TcpConnector, TlsConnector, TlsOptions, TopicError, WsConnector,
    mqtt_core::client::Connect,
    rand_core::{self, CryptoRng, CryptoRngCore, RngCore},
};
use static_cell::ConstStaticCell;

use crate::{Light, Sensor, Settings, Topics};

/// Where the broker is.
#[derive(Clone, Copy, Debug)]
pub struct Broker<'a> {
    /// A DNS name or an IP address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Of a WebSocket: the path.
    pub path: &'a str,
    /// Of a WebSocket: the host, with `:port` unless it is 80 or, over TLS, 443.
    pub host_header: &'a str,
    /// With TLS: the DNS name in the broker's certificate.
    pub server_name: &'a str,
    /// With TLS: the certificate authority that signed that certificate, in DER.
    pub authority: &'a [u8],
}

/// What the board brings.
pub struct Board<S, L, R> {
    /// The network, configured or soon to be.
    pub stack: Stack<'static>,
    /// What is reported.
    pub sensor: S,
    /// What shows the state of the link.
    pub light: L,
    /// A generator fit for keys.
    pub random: R,
}

impl<S, L, R> fmt::Debug for Board<S, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

/// The settings cannot work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// The topic is too long, or is none.
    Topic(TopicError),
    /// Client identifier and credentials do not fit into the memory.
    Options(PublishError),
}

/// Bytes of a received message, at most: a command has some dozens.
const RECEIVE: usize = 512;
/// Bytes of reports that wait for the broker: about ten.
const TRANSMIT: usize = 2_048;
/// Bytes of each buffer of the TCP socket.
const SOCKET: usize = 1_024;

/// Bytes of the longest record that a broker may send: no broker needs to be asked for shorter ones.
const READ_RECORD: usize = 16_640;
/// Bytes of the longest record of ours.
const WRITE_RECORD: usize = 1_024;

/// Runs the device over TCP, unencrypted.
///
/// # Errors
///
/// The settings cannot work. Otherwise it runs for ever.
pub async fn run_tcp<S: Sensor, L: Light, R>(
    board: Board<S, L, R>,
    broker: &Broker<'static>,
    settings: &Settings<'static>,
) -> Result<Infallible, SetupError> {
    let mut connector = tcp(board.stack, broker);
    run(&mut connector, settings, board.sensor, board.light).await
}

/// Runs the device over TLS 1.3. The broker is verified.
///
/// # Errors
///
/// As [`run_tcp`].
pub async fn run_tls<S: Sensor, L: Light, R: CryptoRngCore>(
    board: Board<S, L, R>,
    broker: &Broker<'static>,
    settings: &Settings<'static>,
) -> Result<Infallible, SetupError> {
    let mut connector = tls(board.stack, broker, board.random);
    run(&mut connector, settings, board.sensor, board.light).await
}

/// Runs the device over WebSocket, unencrypted.
///
/// # Errors
///
/// As [`run_tcp`].
pub async fn run_web_socket<S: Sensor, L: Light, R: CryptoRngCore>(
    board: Board<S, L, R>,
    broker: &Broker<'static>,
    settings: &Settings<'static>,
) -> Result<Infallible, SetupError> {
    let tcp = tcp(board.stack, broker);
    let mut connector = WsConnector::new(tcp, broker.host_header, broker.path, board.random);
    run(&mut connector, settings, board.sensor, board.light).await
}

/// Runs the device over WebSocket over TLS 1.3. The broker is verified.
///
/// # Errors
///
/// As [`run_tcp`].
pub async fn run_secure_web_socket<S: Sensor, L: Light, R: CryptoRngCore>(
    board: Board<S, L, R>,
    broker: &Broker<'static>,
    settings: &Settings<'static>,
) -> Result<Infallible, SetupError> {
    let random = RefCell::new(board.random);
    let tls = tls(board.stack, broker, Random(&random));
    let mut connector = WsConnector::new(tls, broker.host_header, broker.path, Random(&random));
    run(&mut connector, settings, board.sensor, board.light).await
}

/// The way to a broker over TCP.
#[must_use]
pub fn tcp(stack: Stack<'static>, broker: &Broker<'static>) -> TcpConnector<'static> {
    static RX: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);
    static TX: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);
    TcpConnector::new(stack, broker.host, broker.port, RX.take(), TX.take())
}

/// The way to a broker over TLS 1.3; it is verified.
pub fn tls<R: CryptoRngCore>(
    stack: Stack<'static>,
    broker: &Broker<'static>,
    random: R,
) -> TlsConnector<'static, TcpConnector<'static>, R> {
    static READ: ConstStaticCell<[u8; READ_RECORD]> = ConstStaticCell::new([0; READ_RECORD]);
    static WRITE: ConstStaticCell<[u8; WRITE_RECORD]> = ConstStaticCell::new([0; WRITE_RECORD]);
    let options = TlsOptions::new(broker.server_name, broker.authority);
    let tcp = tcp(stack, broker);
    TlsConnector::new(tcp, options, random, READ.take(), WRITE.take())
}

/// One generator for two who need one.
struct Random<'a, R>(&'a RefCell<R>);

impl<R: RngCore> RngCore for Random<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.borrow_mut().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.borrow_mut().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.borrow_mut().try_fill_bytes(bytes)
    }
}

impl<R: CryptoRng> CryptoRng for Random<'_, R> {}

async fn run<C: Connect, S: Sensor, L: Light>(
    connector: &mut C,
    settings: &Settings<'static>,
    sensor: S,
    light: L,
) -> Result<Infallible, SetupError> {
    static STORAGE: ConstStaticCell<Storage<RECEIVE, TRANSMIT>> =
        ConstStaticCell::new(Storage::new());
    let topics = Topics::new(settings.topic)?;
    let subscriptions = topics.subscriptions()?;
    let options = settings.options(&topics, &subscriptions)?;
    let handles = mqtt_embassy::new(STORAGE.take(), &options)?;
    Ok(crate::run(
        handles, connector, &options, settings, &topics, sensor, light,
    )
    .await)
}

impl From<TopicError> for SetupError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}

impl From<PublishError> for SetupError {
    fn from(error: PublishError) -> Self {
        Self::Options(error)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => error.fmt(f),
            Self::Options(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetupError {}
