//! What the driver needs from the platform it runs on.

use core::{ops::Deref, task::Waker};

use embedded_io_async::{Read, Write};

use super::Shared;
use crate::{session::Slot, time::Instant};

/// One platform: how memory is owned, shared and locked.
///
/// The transport crates implement it once and hide it behind aliases; applications do not name it.
pub trait Kind: Sized + 'static {
    /// A byte buffer: `&'static mut [u8]` on a microcontroller, `Box<[u8]>` on Linux.
    type Buffer: AsRef<[u8]> + AsMut<[u8]>;
    /// A table of slots: `&'static mut [Slot]` or `Box<[Slot]>`.
    type Slots: AsMut<[Slot]>;
    /// A lock that is held for some microseconds only, never across an await.
    type Mutex<T>: Mutex<T>;
    /// The tasks that wait for room, for an outcome, or for another state of the link: one set, with room for as many
    /// as there are such tasks, or they wake each other in turn.
    type Wakers: Wakers;
    /// The pointer that handles share: `&'static Shared<_>` or `Arc<Shared<_>>`.
    type Pointer: Deref<Target = Shared<Self>> + Clone;

    /// The present moment.
    fn now() -> Instant;

    /// Waits until `deadline` has been reached. Safe to drop at any time.
    fn sleep_until(deadline: Instant) -> impl Future<Output = ()>;
}

/// A lock around a value.
pub trait Mutex<T> {
    /// Wraps `value`.
    fn new(value: T) -> Self;

    /// Runs `f` with the value. `f` never calls back into the same lock.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

/// A set of wakers.
pub trait Wakers {
    /// An empty set.
    const NEW: Self;

    /// Adds `waker`, unless it would wake a task that is in the set already.
    ///
    /// A full set may wake and forget its members to make room: they poll and register again.
    fn register(&mut self, waker: &Waker);

    /// Wakes every member and empties the set.
    fn wake(&mut self);
}

/// Makes links to the broker.
pub trait Connect {
    /// A link. A pair of halves that do not borrow from each other is one as it is: `(Reader, Writer)`.
    type Link<'a>: Link
    where
        Self: 'a;

    /// Opens a link: name resolution, TCP, TLS, WebSocket, whatever comes before the first byte of MQTT.
    ///
    /// The runner drops this future when [`Options::connect_timeout_ms`](crate::session::Options::connect_timeout_ms)
    /// is over.
    ///
    /// # Errors
    ///
    /// The kind of failure. Details belong in the log of the transport crate.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Link<'_>, ConnectError>>;
}

/// A stream of bytes both ways.
pub trait Link {
    /// The receiving half. Its futures are dropped only together with the link.
    type Reader<'l>: Read
    where
        Self: 'l;
    /// The sending half. Its futures are dropped only together with the link.
    type Writer<'l>: Sender
    where
        Self: 'l;

    /// The two halves, which the runner polls side by side. A half that waits must not keep the other one waiting.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// As [`Close::close`].
    fn close(self) -> impl Future<Output = ()>;
}

impl<R: Read, W: Write + Close> Link for (R, W) {
    type Reader<'l>
        = &'l mut R
    where
        Self: 'l;
    type Writer<'l>
        = &'l mut W
    where
        Self: 'l;

    fn split(&mut self) -> (&mut R, &mut W) {
        let (reader, writer) = self;
        (reader, writer)
    }

    async fn close(mut self) {
        self.1.close().await;
    }
}

/// The sending half of a link, as the runner sees it.
pub trait Sender: Write {
    /// The transport has something to send that is not MQTT, the answer to a ping of WebSocket for example. The
    /// runner, which asks whenever the receiving half was polled, then calls `flush`.
    fn has_output(&self) -> bool {
        false
    }
}

impl<W: Write + Close> Sender for &mut W {}

/// Ends the sending direction of a link in the way its transport asks for.
pub trait Close {
    /// Flushes, then says goodbye: TLS `close_notify`, WebSocket close frame, TCP FIN. Errors are of no interest any more.
    fn close(&mut self) -> impl Future<Output = ()>;
}

/// Why no link could be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum ConnectError {
    /// The host name is unknown, or no name server answered.
    NameResolution,
    /// The host answered that nothing listens on the port.
    Refused,
    /// No route to the host or network.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The server's certificate was not accepted, or ours was not.
    Certificate,
    /// The TLS handshake failed for another reason.
    Tls,
    /// The peer is not a WebSocket endpoint for MQTT.
    WebSocket,
    /// Anything else.
    Other,
}

impl ConnectError {
    /// A short text, lower case.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NameResolution => "host name not found",
            Self::Refused => "connection refused",
            Self::Unreachable => "host unreachable",
            Self::TimedOut => "connect timed out",
            Self::Certificate => "certificate not accepted",
            Self::Tls => "TLS handshake failed",
            Self::WebSocket => "not a WebSocket endpoint for MQTT",
            Self::Other => "connect failed",
        }
    }
}

impl core::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for ConnectError {}
