//! Links that a test holds the other end of.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_core::{
    Version,
    client::{Close, Connect, ConnectError},
};

use super::{clock, executor::yield_now, wire};

const READ: usize = 0;
const WRITE: usize = 1;

/// How a link treats bytes.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Bytes per read and per write at most.
    pub read: usize,
    pub write: usize,
    /// Every other poll of a read, write or flush is pending.
    pub lazy: bool,
    /// The link breaks when the client has read, or written, so many bytes.
    pub cut_read: Option<usize>,
    pub cut_write: Option<usize>,
}

impl Profile {
    pub const SMOOTH: Self = Self {
        read: usize::MAX,
        write: usize::MAX,
        lazy: false,
        cut_read: None,
        cut_write: None,
    };

    /// As awkward as a link may be.
    pub const ROUGH: Self = Self {
        read: 3,
        write: 2,
        lazy: true,
        ..Self::SMOOTH
    };
}

/// What happens at one attempt to connect.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    Link(Profile),
    Fail(ConnectError),
    /// Neither success nor failure.
    Hang,
}

/// The network: what will happen, and what did.
#[derive(Clone)]
pub struct Net(Arc<Mutex<NetState>>);

pub struct NetState {
    pub version: Version,
    /// For the next attempts; when it is empty, `profile` makes the links.
    pub plan: VecDeque<Plan>,
    pub profile: Profile,
    /// When attempts were begun, in milliseconds since the test began.
    pub attempts: Vec<u32>,
    pub links: Vec<Link>,
    /// Packet identifiers of the client in the order of their first appearance.
    ids: Arc<Mutex<Vec<u16>>>,
}

impl Net {
    pub fn new(version: Version) -> Self {
        Self(Arc::new(Mutex::new(NetState {
            version,
            plan: VecDeque::new(),
            profile: Profile::SMOOTH,
            attempts: Vec::new(),
            links: Vec::new(),
            ids: Arc::default(),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, NetState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connect for Net {
    type Link<'a> = (Reader, Writer);

    async fn connect(&mut self) -> Result<(Reader, Writer), ConnectError> {
        let plan = {
            let mut net = self.lock();
            net.attempts.push(clock::elapsed());
            let profile = net.profile;
            net.plan.pop_front().unwrap_or(Plan::Link(profile))
        };
        yield_now().await;
        match plan {
            Plan::Link(profile) => {
                let mut net = self.lock();
                let link = Link::new(profile, net.version, net.ids.clone());
                net.links.push(link.clone());
                Ok((Reader(link.clone()), Writer(link)))
            }
            Plan::Fail(error) => Err(error),
            Plan::Hang => std::future::pending().await,
        }
    }
}

/// One link, as the peer and the wire see it.
#[derive(Clone)]
pub struct Link(Arc<Mutex<LinkState>>);

pub struct LinkState {
    profile: Profile,
    version: Version,
    to_client: VecDeque<u8>,
    /// Once `to_client` is empty.
    end: Option<Result<(), ErrorKind>>,
    write_error: Option<ErrorKind>,
    /// All that the client has written.
    pub written: Vec<u8>,
    /// Bytes of `written` that were flushed.
    pub flushed: usize,
    /// Bytes of `written` that the peer has decoded.
    decoded: usize,
    pub read: usize,
    stalled: bool,
    close_stalled: bool,
    pub close_begun: bool,
    pub closed: bool,
    pub reader_dropped: bool,
    pub writer_dropped: bool,
    /// Whether the last read, and the last write, was pending.
    lazy: [bool; 2],
    ids: Arc<Mutex<Vec<u16>>>,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

impl Link {
    fn new(profile: Profile, version: Version, ids: Arc<Mutex<Vec<u16>>>) -> Self {
        Self(Arc::new(Mutex::new(LinkState {
            profile,
            version,
            to_client: VecDeque::new(),
            end: None,
            write_error: None,
            written: Vec::new(),
            flushed: 0,
            decoded: 0,
            read: 0,
            stalled: false,
            close_stalled: false,
            close_begun: false,
            closed: false,
            reader_dropped: false,
            writer_dropped: false,
            lazy: [false; 2],
            ids,
            read_waker: None,
            write_waker: None,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer sends bytes.
    pub fn sends(&self, bytes: impl AsRef<[u8]>) {
        let mut link = self.lock();
        link.to_client.extend(bytes.as_ref());
        wake(&mut link.read_waker);
    }

    /// Bytes that the client has not read yet.
    pub fn unread(&self) -> usize {
        self.lock().to_client.len()
    }

    /// The peer closes; the client may still write.
    pub fn hangs_up(&self) {
        let mut link = self.lock();
        link.end = Some(Ok(()));
        wake(&mut link.read_waker);
    }

    /// The link breaks.
    pub fn breaks(&self, error: ErrorKind) {
        let mut link = self.lock();
        link.break_off(error);
    }

    /// The transport takes no more bytes.
    pub fn stalls(&self) {
        self.lock().stalled = true;
    }

    pub fn recovers(&self) {
        let mut link = self.lock();
        link.stalled = false;
        wake(&mut link.write_waker);
    }

    /// Closing the link never completes.
    pub fn stalls_close(&self) {
        self.lock().close_stalled = true;
    }

    /// The packets that came since the last call, in the words of [`wire::describe`]. Panics on bytes that are none.
    ///
    /// Packet identifiers of the client stand there as 1, 2, 3, in the order of their appearance: how it chooses
    /// them is its own business.
    #[track_caller]
    pub fn got(&self) -> Vec<String> {
        let ids = self.lock().ids.clone();
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        self.packets(|packet| wire::describe(packet, &mut ids))
    }

    /// The packet identifier that [`got`](Self::got) calls `number`.
    #[track_caller]
    pub fn id(&self, number: usize) -> u16 {
        let ids = self.lock().ids.clone();
        let ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids[number - 1]
    }

    /// As [`got`](Self::got), by `f`.
    #[track_caller]
    pub fn packets<T>(&self, f: impl FnMut(&mqtt_core::codec::Packet<'_>) -> T) -> Vec<T> {
        let mut link = self.lock();
        let (packets, used) = wire::decode_all(&link.written[link.decoded..], link.version, f);
        link.decoded += used;
        packets
    }

    /// Bytes of a packet that has not come in full.
    pub fn partial(&self) -> usize {
        let link = self.lock();
        link.written.len() - link.decoded
    }

    pub fn is_gone(&self) -> bool {
        let link = self.lock();
        link.reader_dropped && link.writer_dropped
    }
}

impl LinkState {
    fn break_off(&mut self, error: ErrorKind) {
        self.end = Some(Err(error));
        self.write_error = Some(error);
        wake(&mut self.read_waker);
        wake(&mut self.write_waker);
    }

    /// Whether to be pending this time.
    fn is_lazy(&mut self, direction: usize, cx: &Context<'_>) -> bool {
        let turn = &mut self.lazy[direction];
        *turn = self.profile.lazy && !*turn;
        if *turn {
            cx.waker().wake_by_ref();
        }
        *turn
    }

    fn poll_read(&mut self, buffer: &mut [u8], cx: &Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        assert!(!buffer.is_empty(), "read into nothing");
        if self.profile.cut_read.is_some_and(|cut| self.read >= cut) {
            self.break_off(ErrorKind::ConnectionReset);
            return Poll::Ready(Err(ErrorKind::ConnectionReset));
        }
        if self.to_client.is_empty() {
            if let Some(end) = self.end {
                return Poll::Ready(end.map(|()| 0));
            }
            self.read_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.is_lazy(READ, cx) {
            return Poll::Pending;
        }
        let left = self
            .profile
            .cut_read
            .map_or(usize::MAX, |cut| cut - self.read);
        let most = self.profile.read.min(left).min(buffer.len());
        let len = most.min(self.to_client.len());
        for (to, from) in buffer.iter_mut().zip(self.to_client.drain(..len)) {
            *to = from;
        }
        self.read += len;
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        assert!(!self.close_begun, "written behind the end");
        if let Some(error) = self.write_error {
            return Poll::Ready(Err(error));
        }
        let written = self.written.len();
        if self.profile.cut_write.is_some_and(|cut| written >= cut) {
            self.break_off(ErrorKind::ConnectionReset);
            return Poll::Ready(Err(ErrorKind::ConnectionReset));
        }
        if self.stalled {
            self.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.is_lazy(WRITE, cx) {
            return Poll::Pending;
        }
        let left = self
            .profile
            .cut_write
            .map_or(usize::MAX, |cut| cut - written);
        let len = self.profile.write.min(left).min(bytes.len());
        self.written.extend(&bytes[..len]);
        Poll::Ready(Ok(len))
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

pub struct Reader(Link);

impl ErrorType for Reader {
    type Error = ErrorKind;
}

impl Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| self.0.lock().poll_read(buffer, cx)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.lock().reader_dropped = true;
    }
}

pub struct Writer(Link);

impl ErrorType for Writer {
    type Error = ErrorKind;
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| self.0.lock().poll_write(bytes, cx)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        poll_fn(|cx| {
            let mut link = self.0.lock();
            if let Some(error) = link.write_error {
                return Poll::Ready(Err(error));
            }
            if link.is_lazy(WRITE, cx) {
                return Poll::Pending;
            }
            link.flushed = link.written.len();
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl Close for Writer {
    async fn close(&mut self) {
        let stalled = {
            let mut link = self.0.lock();
            link.close_begun = true;
            link.close_stalled
        };
        if stalled {
            std::future::pending::<()>().await;
        }
        self.0.lock().closed = true;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().writer_dropped = true;
    }
}
