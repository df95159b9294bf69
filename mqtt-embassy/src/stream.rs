//! Streams of bytes that connectors are built on.

use embedded_io_async::Read;
use mqtt_core::client::{Close, ConnectError, Sender};

/// Opens streams of bytes to the broker, one after the other.
///
/// [`TcpConnector`](crate::TcpConnector) is one. Implement it for a modem or another network stack to run TLS and
/// WebSocket over that.
pub trait Transport {
    /// A stream; dropped before the next one is opened.
    type Stream<'a>: Stream
    where
        Self: 'a;

    /// Opens a stream. The future may be dropped.
    ///
    /// # Errors
    ///
    /// The kind of failure.
    fn open(&mut self) -> impl Future<Output = Result<Self::Stream<'_>, ConnectError>>;
}

/// A handle of an open stream of bytes. Copies share the stream: one is read from while another is written to.
///
/// - A pending read and a pending write do not disturb each other.
/// - `flush` hands over to the transport; it does not wait for the peer.
pub trait Stream: Read + Sender + Close + Copy {
    /// Ends the stream at once, unless it was closed. Called when the link is dropped.
    fn abort(&self);
}

/// Aborts the stream when it is dropped.
#[derive(Debug)]
pub(crate) struct Guard<S: Stream>(S);

impl<S: Stream> Guard<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    pub(crate) fn stream(&self) -> S {
        self.0
    }
}

impl<S: Stream> Drop for Guard<S> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
