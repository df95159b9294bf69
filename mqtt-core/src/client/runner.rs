//! Keeps the link: connects, pumps bytes both ways, watches the clock, connects again.

use core::{
    fmt,
    future::poll_fn,
    pin::pin,
    task::{Poll, Waker},
};

use embedded_io_async::{Error, ErrorKind, Read};

use crate::{
    session::{Options, Reconnect},
    time::Instant,
};

use super::{
    Connect, ConnectError, Inner, Kind, Link, LinkEnd, LinkState, Rx, Sender, Shared, Wakers,
    backoff::Backoff, process::Turn, register,
};

/// How long the last bytes of a link may take, in milliseconds.
const GOODBYE_MS: u32 = 3_000;

/// What the runner is about. Each step has its own [`Inner::limit`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub(super) enum Step {
    /// Between two links.
    Pausing,
    /// A link is being made.
    Making,
    /// Bytes are pumped. Limited only when the link is about to end.
    Pumping,
    /// The link is being closed.
    Closing,
}

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
        let shared = &*self.shared;
        let mut running = Running {
            shared,
            wire: shared.with(|inner| inner.begin(options)),
            rx: Rx::<K>::away(),
        };
        let mut backoff = Backoff::new(options.client_id, K::now());
        loop {
            let mut link = pin!(running.link(connector, options));
            let mut sleep = pin!(None);
            let mut alarm = None;
            // The clock is looked at last, when the pumps have done what they can. It drops nothing less than a link.
            poll_fn(|cx| {
                if link.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                loop {
                    match shared.with(|inner| inner.look(cx.waker(), &mut alarm)) {
                        Look::Over => return Poll::Ready(()),
                        Look::Set(deadline) => sleep.set(Some(K::sleep_until(deadline))),
                        Look::Sleep => {}
                    }
                    let Some(sleep) = sleep.as_mut().as_pin_mut() else {
                        return Poll::Pending;
                    };
                    if alarm.is_none() || sleep.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    alarm = None;
                }
            })
            .await;
            let ended = shared.with(|inner| inner.link_ended(&options.reconnect, &mut backoff));
            if let Some(end) = ended {
                return end;
            }
        }
    }
}

impl<K: Kind> fmt::Debug for Runner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// One run: has the wire buffer, and the receive buffer while the pump needs it. Gives both back when dropped.
struct Running<'r, K: Kind> {
    shared: &'r Shared<K>,
    wire: Option<K::Buffer>,
    rx: Rx<K>,
}

impl<K: Kind> Running<'_, K> {
    /// One link from its making to its end. Its end is told by [`Inner::ending`].
    async fn link<C: Connect>(&mut self, connector: &mut C, options: &Options<'_>) {
        let Self { shared, wire, rx } = self;
        poll_fn(|_| shared.with(|inner| inner.poll_begin(rx, options))).await;
        let mut link = match connector.connect().await {
            Ok(link) => link,
            Err(error) => return shared.with(|inner| inner.end(LinkEnd::Connect(error))),
        };
        let Some(wire) = wire else {
            return;
        };
        if !shared.with(|inner| inner.begin_session(rx, options)) {
            return;
        }
        let wire = wire.as_mut();
        {
            let (reader, writer) = link.split();
            let mut receive = pin!(receive(shared, reader, rx, options));
            let mut transmit = pin!(transmit(shared, writer, wire));
            // Only the first of them to end is polled no more: then the other one is dropped too.
            poll_fn(|cx| {
                let mut end = receive.as_mut().poll(cx);
                if end.is_pending() {
                    end = transmit.as_mut().poll(cx);
                }
                shared.with(|inner| inner.poll_pumped(end))
            })
            .await;
        }
        link.close().await;
    }
}

impl<K: Kind> Drop for Running<'_, K> {
    fn drop(&mut self) {
        self.shared.with(|inner| {
            inner.wire = self.wire.take();
            if self.rx.is_here() {
                self.rx.pass(&mut inner.rx);
            }
            inner.runner_waker = None;
            inner.session.link_lost(false);
            inner.ending = None;
            if !matches!(inner.state, LinkState::Stopped(_)) {
                inner.set_state(LinkState::Idle);
            }
            inner.notify();
        });
    }
}

/// The receive pump: its socket future is dropped only with the link.
async fn receive<K: Kind, R: Read>(
    shared: &Shared<K>,
    mut reader: R,
    rx: &mut Rx<K>,
    options: &Options<'_>,
) -> LinkEnd {
    loop {
        poll_fn(|_| shared.with(|inner| inner.poll_receive(rx, options))).await;
        match reader.read(rx.space()).await {
            Ok(0) => return LinkEnd::PeerClosed,
            Ok(len) => rx.filled(len),
            Err(error) => return end_of(&error),
        }
    }
}

/// The transmit pump: many packets per write, and a flush when there is nothing more to write.
async fn transmit<K: Kind, W: Sender>(
    shared: &Shared<K>,
    mut writer: W,
    wire: &mut [u8],
) -> LinkEnd {
    let (mut sent, mut end) = (0, 0);
    let mut flushed = true;
    loop {
        let rest = wire.get(sent..end).unwrap_or_default();
        let result = if rest.is_empty() {
            sent = 0;
            let output = poll_fn(|_| {
                let flushed = flushed && !writer.has_output();
                shared.with(|inner| inner.poll_transmit(wire, flushed))
            });
            match output.await {
                Output::Closed => return LinkEnd::Disconnected,
                Output::Bytes(len) => {
                    end = len;
                    flushed = false;
                    continue;
                }
                Output::Flush => {
                    end = 0;
                    flushed = true;
                    writer.flush().await
                }
            }
        } else {
            match writer.write(rest).await {
                Ok(0) => return LinkEnd::Io,
                Ok(len) => {
                    sent = sent.saturating_add(len);
                    continue;
                }
                Err(error) => Err(error),
            }
        };
        if let Err(error) = result {
            return end_of(&error);
        }
    }
}

/// What the transmit pump does next.
enum Output {
    /// Write so many bytes.
    Bytes(usize),
    Flush,
    Closed,
}

/// What the clock says.
enum Look {
    /// Nothing new.
    Sleep,
    /// Sleep until then.
    Set(Instant),
    /// The link is over.
    Over,
}

impl<K: Kind> Inner<K> {
    fn begin(&mut self, options: &Options<'_>) -> Option<K::Buffer> {
        self.stop = false;
        self.oversize = options.oversize;
        self.begin_attempt();
        self.wire.take()
    }

    fn begin_attempt(&mut self) {
        self.attempts = self.attempts.wrapping_add(1);
        self.step = Step::Making;
        self.limit = None;
        self.ending = None;
        self.set_state(LinkState::Connecting);
    }

    /// Waits for the end of the pause, and until the inbox does not need the buffer.
    fn poll_begin(&mut self, rx: &mut Rx<K>, options: &Options<'_>) -> Poll<()> {
        if self.step == Step::Pausing || !self.lend(rx) {
            return Poll::Pending;
        }
        self.limit = Some(K::now().plus(options.connect_timeout_ms));
        Poll::Ready(())
    }

    /// Gives the receive buffer to the runner if nobody else needs it; whether the runner has it.
    fn lend(&mut self, rx: &mut Rx<K>) -> bool {
        if !rx.is_here() && self.ready.is_none() {
            self.rx.pass(rx);
        }
        rx.is_here()
    }

    /// The bytes can flow. False if there is no more need.
    fn begin_session(&mut self, rx: &mut Rx<K>, options: &Options<'_>) -> bool {
        if self.stop {
            return false;
        }
        rx.reset(options);
        self.now = K::now();
        self.step = Step::Pumping;
        self.limit = None;
        self.ending = None;
        self.connected = None;
        self.discard = false;
        self.skip = false;
        self.session.set_receive_blocked(false, self.now);
        if let Err(error) = self.session.connect(options, self.now) {
            self.ending = Some(LinkEnd::Options(error));
            return false;
        }
        true
    }

    /// Handles what was received, then waits until bytes can be received into the buffer.
    fn poll_receive(&mut self, rx: &mut Rx<K>, options: &Options<'_>) -> Poll<()> {
        self.now = K::now();
        if !rx.is_here() && self.lend(rx) {
            self.session.set_receive_blocked(false, self.now);
        }
        if !rx.is_here() {
            return Poll::Pending;
        }
        match self.process(rx, Some(options)) {
            Turn::Receive => return Poll::Ready(()),
            Turn::Deliver => {
                rx.pass(&mut self.rx);
                self.wake_inbox();
                if !self.inbox_waits {
                    self.waiters.wake();
                }
            }
            // The other pump says goodbye.
            Turn::End => {}
        }
        Poll::Pending
    }

    /// Waits until there is something to send; `flushed`: and nothing to flush.
    fn poll_transmit(&mut self, wire: &mut [u8], flushed: bool) -> Poll<Output> {
        // After a write it is asked in any case, to learn that the bytes are with the transport.
        if !flushed || self.session.has_output() {
            let len = self.session.transmit(wire, K::now());
            self.notify_waiters();
            if len != 0 {
                return Poll::Ready(Output::Bytes(len));
            }
        }
        if !flushed {
            return Poll::Ready(Output::Flush);
        }
        if self.session.is_closed() {
            return Poll::Ready(Output::Closed);
        }
        Poll::Pending
    }

    /// Waits until a pump has ended, or has had time enough to do so.
    fn poll_pumped(&mut self, end: Poll<LinkEnd>) -> Poll<()> {
        if let Poll::Ready(end) = end {
            self.close(end);
        }
        if self.step == Step::Closing {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The link is to end; its last bytes may still go out.
    pub(super) fn end(&mut self, end: LinkEnd) {
        if self.ending.is_none() {
            self.ending = Some(end);
            if self.step == Step::Pumping {
                self.limit = Some(K::now().plus(GOODBYE_MS));
            }
        }
        self.wake_runner();
    }

    /// Nothing can be sent any more.
    fn close(&mut self, end: LinkEnd) {
        self.end(end);
        self.step = Step::Closing;
        self.limit = Some(K::now().plus(GOODBYE_MS));
    }

    /// Does what time demands. `alarm` is what the runner sleeps for.
    fn look(&mut self, waker: &Waker, alarm: &mut Option<Instant>) -> Look {
        if register(&mut self.runner_waker, waker) {
            // What has happened before is seen by looking again.
            self.wake_runner();
        }
        self.now = K::now();
        let Some(deadline) = self.next_limit() else {
            return Look::Over;
        };
        // Later deadlines are seen when the present one has come: they move with each packet.
        match (deadline, *alarm) {
            (Some(deadline), Some(alarm)) if deadline.has_reached(alarm) => Look::Sleep,
            (Some(deadline), _) => {
                *alarm = Some(deadline);
                Look::Set(deadline)
            }
            (None, _) => Look::Sleep,
        }
    }

    /// When the clock is to be looked at again; `None` if the link is over.
    #[allow(clippy::option_option, reason = "two questions")]
    fn next_limit(&mut self) -> Option<Option<Instant>> {
        if self.step == Step::Pumping && self.ending.is_none() {
            // What there was to send before, the transmit pump knows of.
            let idle = !self.session.has_output();
            let Err(error) = self.session.tick(self.now) else {
                if idle && self.session.has_output() {
                    self.wake_runner();
                }
                return Some(self.session.next_deadline());
            };
            // There is no hope for it.
            self.close(LinkEnd::Session(error));
        }
        if self.stop && self.step <= Step::Making {
            return None;
        }
        if self.limit.is_some_and(|limit| self.now.has_reached(limit)) {
            match self.step {
                Step::Pausing => {
                    self.begin_attempt();
                    self.wake_runner();
                }
                Step::Making => {
                    self.end(LinkEnd::Connect(ConnectError::TimedOut));
                    return None;
                }
                Step::Pumping => self.close(LinkEnd::Io),
                Step::Closing => return None,
            }
        }
        Some(self.limit)
    }

    /// Tidies up. `None` if there will be another link, after a pause.
    fn link_ended(&mut self, policy: &Reconnect, backoff: &mut Backoff) -> Option<LinkEnd> {
        let mut end = self.ending.take().unwrap_or(LinkEnd::Io);
        let now = K::now();
        self.last_end = Some(end);
        self.session.link_lost(end.is_by_peer());
        self.notify();
        let connected = self.connected.take();
        if connected.is_some_and(|since| now.since(since) >= policy.stable_after_ms) {
            backoff.reset();
        }
        if self.stop {
            end = LinkEnd::Disconnected;
        }
        if !end.is_final()
            && let Some(retry_in_ms) = backoff.next(policy, now)
        {
            self.step = Step::Pausing;
            self.limit = Some(now.plus(retry_in_ms));
            self.set_state(LinkState::Waiting { retry_in_ms, end });
            return None;
        }
        self.set_state(LinkState::Stopped(end));
        Some(end)
    }
}

#[inline(never)]
fn end_of(error: &impl Error) -> LinkEnd {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            LinkEnd::PeerClosed
        }
        _ => LinkEnd::Io,
    }
}
