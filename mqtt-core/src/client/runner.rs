//! Keeps the link: connects, pumps bytes both ways, watches the clock, connects again.

use core::{
    fmt,
    future::{pending, poll_fn},
    task::Poll,
};

use embassy_futures::select::{Either, Either3, select, select3};
use embedded_io_async::{Error, ErrorKind, Read, Write};

use crate::{
    receive::ReceiveBuffer,
    session::{Options, SessionError},
    time::Instant,
};

use super::{
    Close, Connect, ConnectError, Inner, Kind, LinkEnd, LinkState, Shared, Wakers,
    backoff::Backoff, process::Turn, register, wake,
};

/// How long the last bytes of a link may take, in milliseconds.
const GOODBYE_MS: u32 = 3_000;

/// Runs the connection. Nothing happens on the link unless somebody polls [`run`](Self::run).
pub struct Runner<K: Kind> {
    shared: K::Pointer,
}

impl<K: Kind> Runner<K> {
    pub(super) fn new(shared: K::Pointer) -> Self {
        Self { shared }
    }

    /// Connects, and connects again as [`Options::reconnect`] says, until there is a reason to end.
    ///
    /// Returns when the user disconnected, the server refused the credentials, or reconnecting was given up. It may
    /// be called again then, with other options if need be: queued and unacknowledged messages are kept.
    ///
    /// Dropping the future drops the link without DISCONNECT; the session is kept.
    pub async fn run<C: Connect>(&mut self, connector: &mut C, options: &Options<'_>) -> LinkEnd {
        let Some(mut running) = Running::begin(&*self.shared, options) else {
            return LinkEnd::Io;
        };
        let mut backoff = Backoff::new(options.client_id, K::now());
        loop {
            let end = running.link(connector, options).await;
            let lasted = running.link_ended(end);
            if lasted.is_some_and(|ms| ms >= options.reconnect.stable_after_ms) {
                backoff.reset();
            }
            let stop = self.shared.with(|inner| inner.stop);
            if stop {
                return running.stop(LinkEnd::Disconnected);
            }
            let now = K::now();
            let pause = backoff
                .next(&options.reconnect, now)
                .filter(|_| !end.is_final());
            let Some(retry_in_ms) = pause else {
                return running.stop(end);
            };
            let waiting = LinkState::Waiting { retry_in_ms, end };
            self.shared.with(|inner| inner.set_state(waiting));
            let pause = K::sleep_until(now.plus(retry_in_ms));
            if let Either::Second(()) = select(pause, stopped(&self.shared)).await {
                return running.stop(LinkEnd::Disconnected);
            }
        }
    }
}

impl<K: Kind> fmt::Debug for Runner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// Waits until the user wants to end.
async fn stopped<K: Kind>(shared: &Shared<K>) {
    poll_fn(|cx| {
        shared.with(|inner| {
            if inner.stop {
                return Poll::Ready(());
            }
            register(&mut inner.watch_waker, cx.waker());
            Poll::Pending
        })
    })
    .await;
}

/// One run: has the wire buffer, and the receive buffer while the pump needs it. Gives both back when dropped.
struct Running<'r, K: Kind> {
    shared: &'r Shared<K>,
    wire: Option<K::Buffer>,
    /// When CONNACK came, on the present link.
    connected: Option<Instant>,
}

impl<'r, K: Kind> Running<'r, K> {
    fn begin(shared: &'r Shared<K>, options: &Options<'_>) -> Option<Self> {
        shared.with(|inner| {
            inner.stop = false;
            inner.oversize = options.oversize;
            Some(Self {
                shared,
                wire: Some(inner.wire.take()?),
                connected: None,
            })
        })
    }

    fn stop(self, end: LinkEnd) -> LinkEnd {
        self.shared
            .with(|inner| inner.set_state(LinkState::Stopped(end)));
        end
    }

    /// One link from its making to its end.
    async fn link<C: Connect>(&mut self, connector: &mut C, options: &Options<'_>) -> LinkEnd {
        let shared = self.shared;
        shared.with(|inner| {
            inner.report.attempts = inner.report.attempts.saturating_add(1);
            inner.set_state(LinkState::Connecting);
        });
        let mut lease = match select(Lease::take(shared), stopped(shared)).await {
            Either::First(lease) => lease,
            Either::Second(()) => return LinkEnd::Disconnected,
        };
        let timeout = K::sleep_until(K::now().plus(options.connect_timeout_ms));
        let connecting = select3(connector.connect(), timeout, stopped(shared)).await;
        let (mut reader, mut writer) = match connecting {
            Either3::First(Ok(halves)) => halves,
            Either3::First(Err(error)) => return LinkEnd::Connect(error),
            Either3::Second(()) => return LinkEnd::Connect(ConnectError::TimedOut),
            Either3::Third(()) => return LinkEnd::Disconnected,
        };
        if let Err(end) = self.begin_session(&mut lease, options) {
            return end;
        }
        let Some(wire) = &mut self.wire else {
            return LinkEnd::Io;
        };
        let connected = &mut self.connected;
        let pumps = select3(
            receive(shared, &mut reader, &mut lease, connected, options),
            transmit(shared, &mut writer, wire.as_mut()),
            watch(shared),
        );
        let end = match pumps.await {
            Either3::First(end) | Either3::Second(end) | Either3::Third(end) => end,
        };
        let end = shared.with(|inner| inner.ending.take()).unwrap_or(end);
        let deadline = K::sleep_until(K::now().plus(GOODBYE_MS));
        select(writer.close(), deadline).await;
        end
    }

    fn begin_session(
        &mut self,
        lease: &mut Lease<'_, K>,
        options: &Options<'_>,
    ) -> Result<(), LinkEnd> {
        self.connected = None;
        if let Some(rx) = &mut lease.rx {
            rx.reset(options);
        }
        self.shared.with(|inner| {
            if inner.stop {
                return Err(LinkEnd::Disconnected);
            }
            inner.now = K::now();
            inner.ending = None;
            inner.discard = None;
            inner.skip = false;
            inner.session.set_receive_blocked(false, inner.now);
            let begun = inner.session.connect(options, inner.now);
            begun.map_err(LinkEnd::Options)
        })
    }

    /// Tidies up, and says how long the link was in use.
    fn link_ended(&mut self, end: LinkEnd) -> Option<u32> {
        let now = K::now();
        self.shared.with(|inner| {
            inner.report.last_end = Some(end);
            inner.session.link_lost(end.is_by_peer());
            inner.ending = None;
            inner.notify();
            wake(&mut inner.inbox_waker);
        });
        self.connected.take().map(|since| now.since(since))
    }
}

impl<K: Kind> Drop for Running<'_, K> {
    fn drop(&mut self) {
        self.shared.with(|inner| {
            inner.wire = self.wire.take();
            inner.session.link_lost(false);
            inner.ending = None;
            if !matches!(inner.state, LinkState::Stopped(_)) {
                inner.set_state(LinkState::Idle);
            }
            inner.notify();
        });
    }
}

/// The receive buffer on loan to the receive pump.
struct Lease<'r, K: Kind> {
    shared: &'r Shared<K>,
    rx: Option<ReceiveBuffer<K::Buffer>>,
}

impl<'r, K: Kind> Lease<'r, K> {
    /// Waits until the inbox does not need the buffer.
    async fn take(shared: &'r Shared<K>) -> Self {
        let mut lease = Self { shared, rx: None };
        lease.wait().await;
        lease
    }

    async fn wait(&mut self) {
        poll_fn(|cx| {
            self.shared.with(|inner| {
                if inner.ready.is_none() && self.rx.is_none() {
                    self.rx = inner.rx.take();
                }
                if self.rx.is_some() {
                    return Poll::Ready(());
                }
                register(&mut inner.receive_waker, cx.waker());
                Poll::Pending
            })
        })
        .await;
    }

    fn give(&mut self, inner: &mut Inner<K>) {
        if self.rx.is_some() {
            inner.rx = self.rx.take();
        }
    }
}

impl<K: Kind> Drop for Lease<'_, K> {
    fn drop(&mut self) {
        let shared = self.shared;
        shared.with(|inner| self.give(inner));
    }
}

/// The receive pump: its socket future is dropped only with the link.
async fn receive<K: Kind, R: Read>(
    shared: &Shared<K>,
    reader: &mut R,
    lease: &mut Lease<'_, K>,
    connected: &mut Option<Instant>,
    options: &Options<'_>,
) -> LinkEnd {
    loop {
        let Some(rx) = &mut lease.rx else {
            lease.wait().await;
            continue;
        };
        let turn = shared.with(|inner| inner.process(rx, true));
        match turn {
            Turn::Receive => match reader.read(rx.space()).await {
                Ok(0) => return LinkEnd::PeerClosed,
                Ok(len) => {
                    rx.filled(len);
                    shared.with(|inner| inner.now = K::now());
                }
                Err(error) => return end_of(&error),
            },
            Turn::Deliver => {
                shared.with(|inner| {
                    lease.give(inner);
                    wake(&mut inner.inbox_waker);
                    if !inner.inbox_waits {
                        Wakers::wake(&mut inner.progress);
                    }
                });
                lease.wait().await;
                shared.with(|inner| {
                    inner.now = K::now();
                    inner.session.set_receive_blocked(false, inner.now);
                });
            }
            Turn::Connected => {
                *connected = Some(K::now());
                #[cfg(feature = "v5")]
                authenticate(shared, rx, options);
            }
            #[cfg(feature = "v5")]
            Turn::Authenticate => authenticate(shared, rx, options),
            // The other pump says goodbye.
            Turn::End => return pending().await,
        }
        let _ = options;
    }
}

/// Lets the method of the options judge and answer what the server has just sent.
#[cfg(feature = "v5")]
fn authenticate<K: Kind>(
    shared: &Shared<K>,
    rx: &mut ReceiveBuffer<K::Buffer>,
    options: &Options<'_>,
) {
    use crate::{
        codec::{Packet, ReasonCode},
        receive::Received,
    };

    let Some(method) = options.v5.authentication else {
        return;
    };
    rx.put_back();
    let (properties, code) = match rx.next() {
        Ok(Some(Received::Packet(Packet::ConnAck(connack)))) => {
            (connack.properties, ReasonCode::SUCCESS)
        }
        Ok(Some(Received::Packet(Packet::Auth(auth)))) => (auth.properties, auth.code),
        _ => return,
    };
    let data = properties.authentication_data().unwrap_or_default();
    let finished = code == ReasonCode::SUCCESS;
    shared.with(|inner| {
        let answered = if finished {
            method.finish(data).is_ok()
        } else {
            let answer = &mut |out: &mut crate::codec::Writer<'_>| method.respond(data, out);
            let code = ReasonCode::CONTINUE_AUTHENTICATION;
            inner.session.authenticate(code, answer).is_ok()
        };
        if !answered {
            inner.fail(SessionError::AuthenticationFailed);
        }
        inner.notify();
    });
}

/// The transmit pump: many packets per write, and a flush when there is nothing more to write.
async fn transmit<K: Kind, W: Write>(
    shared: &Shared<K>,
    writer: &mut W,
    wire: &mut [u8],
) -> LinkEnd {
    let mut flushed = true;
    loop {
        let (len, closed) = shared.with(|inner| {
            inner.transmit_wanted = false;
            let len = inner.session.transmit(wire, K::now());
            inner.notify_others();
            (len, inner.session.is_closed())
        });
        let bytes = wire.get(..len).unwrap_or_default();
        if !bytes.is_empty() {
            if let Err(error) = writer.write_all(bytes).await {
                return end_of(&error);
            }
            flushed = false;
        } else if !flushed {
            if let Err(error) = writer.flush().await {
                return end_of(&error);
            }
            flushed = true;
        } else if closed {
            return LinkEnd::Disconnected;
        } else {
            output(shared).await;
        }
    }
}

/// Waits until the session may have something to send.
async fn output<K: Kind>(shared: &Shared<K>) {
    poll_fn(|cx| {
        shared.with(|inner| {
            if inner.transmit_wanted {
                return Poll::Ready(());
            }
            register(&mut inner.transmit_waker, cx.waker());
            Poll::Pending
        })
    })
    .await;
}

/// Watches the session's deadlines.
async fn watch<K: Kind>(shared: &Shared<K>) -> LinkEnd {
    let mut goodbye = None;
    loop {
        let (mut deadline, ending) = match shared.with(Inner::look_at_the_clock) {
            Ok(next) => next,
            Err(error) => return LinkEnd::Session(error),
        };
        if ending.is_some() {
            // The first one counts, however often the end is asked for.
            goodbye = goodbye.or(deadline);
            deadline = goodbye;
        }
        let Some(deadline) = deadline else {
            sooner(shared).await;
            continue;
        };
        let slept = select(K::sleep_until(deadline), sooner(shared)).await;
        if let (Either::First(()), Some(end)) = (slept, ending) {
            return end;
        }
    }
}

/// Waits until the runner must look at the clock before the time it sleeps for.
async fn sooner<K: Kind>(shared: &Shared<K>) {
    poll_fn(|cx| {
        shared.with(|inner| {
            if inner.watch_wanted {
                return Poll::Ready(());
            }
            register(&mut inner.watch_waker, cx.waker());
            Poll::Pending
        })
    })
    .await;
}

impl<K: Kind> Inner<K> {
    /// Lets the session do what time demands. The next deadline, and why the link is about to end, if it is.
    fn look_at_the_clock(&mut self) -> Result<(Option<Instant>, Option<LinkEnd>), SessionError> {
        self.now = K::now();
        self.watch_wanted = false;
        if self.ending.is_some() {
            // The last bytes have this long.
            return Ok((Some(self.now.plus(GOODBYE_MS)), self.ending));
        }
        self.session.tick(self.now)?;
        self.armed = self.session.next_deadline();
        self.notify();
        Ok((self.armed, None))
    }

    /// As [`Inner::notify`], for the transmit pump, which need not wake itself.
    pub(super) fn notify_others(&mut self) {
        let progress = self.session.counters().progress;
        if progress != self.seen_progress {
            self.seen_progress = progress;
            Wakers::wake(&mut self.progress);
        }
        let sooner = match (self.session.next_deadline(), self.armed) {
            (Some(deadline), Some(armed)) => !deadline.has_reached(armed),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if sooner {
            self.armed = self.session.next_deadline();
            self.wake_watch();
        }
    }
}

fn end_of(error: &impl Error) -> LinkEnd {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            LinkEnd::PeerClosed
        }
        _ => LinkEnd::Io,
    }
}
