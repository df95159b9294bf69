//! TCP on embassy-net.

use core::{cell::RefCell, fmt, future::poll_fn, pin::pin, task::Context};

use embassy_net::{
    IpEndpoint, Stack,
    dns::{self, DnsQueryType, IpAddress},
    tcp::{self, State, TcpSocket},
};
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::client::{Close, Connect, ConnectError, Link, Sender};

use crate::{Stream, Transport, stream::Guard};

/// How long the end of the last connection may keep the next one waiting.
const RESET_TIME: Duration = Duration::from_millis(250);

/// Makes links over TCP.
///
/// It has one socket and uses it for link after link.
pub struct TcpConnector<'a> {
    stack: Stack<'a>,
    host: &'a str,
    port: u16,
    keep_alive: Option<Duration>,
    timeout: Option<Duration>,
    socket: RefCell<TcpSocket<'a>>,
}

impl<'a> TcpConnector<'a> {
    /// A connector to `host`, a DNS name or an IP address. Of the addresses of a name the first is taken; with the
    /// feature `ipv6` and an IPv6 address of our own, one of IPv6 before one of IPv4.
    ///
    /// The buffers are those of the socket. What the broker may send ahead is limited by `rx`, what may be on its way
    /// to the broker by `tx`: 1,024 bytes each will do, the throughput grows with them.
    pub fn new(
        stack: Stack<'a>,
        host: &'a str,
        port: u16,
        rx: &'a mut [u8],
        tx: &'a mut [u8],
    ) -> Self {
        let mut socket = TcpSocket::new(stack, rx, tx);
        // Packets are gathered before they are written; waiting for more of them only costs time.
        socket.set_nagle_enabled(false);
        Self {
            stack,
            host,
            port,
            keep_alive: None,
            timeout: None,
            socket: RefCell::new(socket),
        }
    }

    /// Sends a probe of TCP when nothing came for so many seconds; 0, the default, for none.
    ///
    /// MQTT has its own keep-alive, so this is for networks that forget connections sooner.
    #[must_use]
    pub fn with_keep_alive_s(mut self, seconds: u32) -> Self {
        self.keep_alive = duration(seconds);
        self
    }

    /// Ends the connection when the peer has not answered to what was sent for so many seconds; 0, the default, for
    /// never. Then the deadlines of MQTT do so.
    #[must_use]
    pub fn with_timeout_s(mut self, seconds: u32) -> Self {
        self.timeout = duration(seconds);
        self
    }

    async fn address(&self) -> Result<IpAddress, ConnectError> {
        if let Ok(address) = self.host.parse() {
            return Ok(IpAddress::Ipv4(address));
        }
        #[cfg(feature = "ipv6")]
        if let Ok(address) = self.host.parse() {
            return Ok(IpAddress::Ipv6(address));
        }
        #[cfg(feature = "ipv6")]
        if self.stack.config_v6().is_some()
            && let Ok(address) = self.query(DnsQueryType::Aaaa).await
        {
            return Ok(address);
        }
        self.query(DnsQueryType::A).await
    }

    async fn query(&self, kind: DnsQueryType) -> Result<IpAddress, ConnectError> {
        let answer = self.stack.dns_query(self.host, kind).await;
        let addresses = answer.map_err(|error: dns::Error| {
            warning!("tcp: no address of {}: {:?}", self.host, error);
            ConnectError::NameResolution
        })?;
        addresses
            .first()
            .copied()
            .ok_or(ConnectError::NameResolution)
    }

    /// Brings the socket back from whatever state the last link has left it in.
    async fn reset(&mut self) {
        let socket = self.socket.get_mut();
        socket.set_timeout(None);
        socket.set_keep_alive(None);
        if !matches!(socket.state(), State::Closed | State::TimeWait) {
            socket.abort();
        }
        // A peer that is gone never gets the RST.
        let _ = with_timeout(RESET_TIME, socket.flush()).await;
    }
}

impl<'a> Transport for TcpConnector<'a> {
    type Stream<'s>
        = TcpStream<'s, 'a>
    where
        Self: 's;

    async fn open(&mut self) -> Result<TcpStream<'_, 'a>, ConnectError> {
        self.reset().await;
        if !self.stack.is_config_up() {
            info!("tcp: waiting for an address of our own");
            self.stack.wait_config_up().await;
        }
        let endpoint = IpEndpoint::new(self.address().await?, self.port);
        debug!("tcp: connecting to {}", endpoint);
        let socket = self.socket.get_mut();
        // Without a time-out, which would look like a refusal.
        let attempt = Attempt {
            socket: &mut *socket,
            is_over: false,
        };
        attempt.run(endpoint).await?;
        socket.set_keep_alive(self.keep_alive);
        socket.set_timeout(self.timeout);
        Ok(TcpStream {
            socket: &self.socket,
        })
    }
}

impl<'a> Connect for TcpConnector<'a> {
    type Link<'s>
        = TcpLink<'s, 'a>
    where
        Self: 's;

    async fn connect(&mut self) -> Result<TcpLink<'_, 'a>, ConnectError> {
        Ok(TcpLink(Guard::new(self.open().await?)))
    }
}

impl fmt::Debug for TcpConnector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnector")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// An attempt to connect. When it is given up, the stack does not go on trying.
struct Attempt<'s, 'a> {
    socket: &'s mut TcpSocket<'a>,
    is_over: bool,
}

impl Attempt<'_, '_> {
    async fn run(mut self, endpoint: IpEndpoint) -> Result<(), ConnectError> {
        let result = self.socket.connect(endpoint).await;
        self.is_over = true;
        result.map_err(sort)
    }
}

impl Drop for Attempt<'_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.socket.abort();
        }
    }
}

fn duration(seconds: u32) -> Option<Duration> {
    (seconds != 0).then(|| Duration::from_secs(seconds.into()))
}

fn sort(error: tcp::ConnectError) -> ConnectError {
    warning!("tcp: {:?}", error);
    match error {
        tcp::ConnectError::ConnectionReset => ConnectError::Refused,
        tcp::ConnectError::TimedOut => ConnectError::TimedOut,
        tcp::ConnectError::NoRoute => ConnectError::Unreachable,
        tcp::ConnectError::InvalidState => ConnectError::Other,
    }
}

/// A link over TCP. Dropping it resets the connection, unless it was closed.
#[derive(Debug)]
pub struct TcpLink<'s, 'a>(Guard<TcpStream<'s, 'a>>);

impl<'s, 'a> Link for TcpLink<'s, 'a> {
    type Reader<'l>
        = TcpStream<'s, 'a>
    where
        Self: 'l;
    type Writer<'l>
        = TcpStream<'s, 'a>
    where
        Self: 'l;

    fn split(&mut self) -> (TcpStream<'s, 'a>, TcpStream<'s, 'a>) {
        (self.0.stream(), self.0.stream())
    }

    async fn close(self) {
        self.0.stream().close().await;
    }
}

/// An open connection of a [`TcpConnector`].
#[derive(Clone, Copy)]
pub struct TcpStream<'s, 'a> {
    /// Borrowed for the length of one poll.
    socket: &'s RefCell<TcpSocket<'a>>,
}

impl Stream for TcpStream<'_, '_> {
    fn abort(&self) {
        let mut socket = self.socket.borrow_mut();
        // A connection that was closed needs no RST; it could overtake what the peer has not read yet.
        if matches!(
            socket.state(),
            State::Established | State::CloseWait | State::FinWait1
        ) {
            socket.abort();
        }
    }
}

impl ErrorType for TcpStream<'_, '_> {
    type Error = tcp::Error;
}

// All state of these futures is in the socket, so each poll may make a new one.

impl Read for TcpStream<'_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| pin!(self.socket.borrow_mut().read(buffer)).poll(cx)).await
    }
}

impl Write for TcpStream<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| pin!(self.socket.borrow_mut().write(bytes)).poll(cx)).await
    }

    /// The stack sends what it has, and sends it again, by itself.
    async fn flush(&mut self) -> Result<(), tcp::Error> {
        Ok(())
    }
}

impl Sender for TcpStream<'_, '_> {}

impl Close for TcpStream<'_, '_> {
    /// Sends FIN, and waits until the peer has everything.
    async fn close(&mut self) {
        self.socket.borrow_mut().close();
        let flush = |cx: &mut Context<'_>| pin!(self.socket.borrow_mut().flush()).poll(cx);
        let _ = poll_fn(flush).await;
    }
}

impl fmt::Debug for TcpStream<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream").finish_non_exhaustive()
    }
}
