//! A stream in memory: asynchronous at the end of the client, blocking at that of the server.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Poll, Waker},
};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_embassy::{
    ConnectError, Stream, Transport,
    mqtt_core::client::{Close, Connect, Link, Sender},
};

/// One direction.
#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct State {
    to_server: Direction,
    to_client: Direction,
    aborted: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn notify(&self, mut state: MutexGuard<'_, State>) {
        let wakers = [state.to_client.waker.take(), state.to_server.waker.take()];
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The server's end. Dropping it closes the stream.
pub struct Server(Arc<Shared>);

impl Server {
    /// Whether the client has given up the stream without closing it.
    pub fn was_aborted(&self) -> bool {
        self.0.lock().aborted
    }
}

impl io::Read for Server {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while state.to_server.bytes.is_empty() && !state.to_server.closed && !state.aborted {
            state = self.0.changed.wait(state).unwrap();
        }
        let len = take(&mut state.to_server.bytes, buffer);
        self.0.notify(state);
        Ok(len)
    }
}

impl io::Write for Server {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while state.to_client.bytes.len() == state.to_client.capacity && !state.aborted {
            state = self.0.changed.wait(state).unwrap();
        }
        if state.aborted {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = put(&mut state.to_client, bytes);
        self.0.notify(state);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.to_client.closed = true;
        self.0.notify(state);
    }
}

/// Makes streams; each server's end goes to `serve`, which should start a thread.
pub struct Pipes<F> {
    serve: F,
    capacity: usize,
    current: Option<Arc<Shared>>,
}

impl<F: FnMut(Server)> Pipes<F> {
    /// `capacity` bytes fit into each direction.
    pub fn new(capacity: usize, serve: F) -> Self {
        Self {
            serve,
            capacity,
            current: None,
        }
    }
}

impl<F: FnMut(Server)> Transport for Pipes<F> {
    type Stream<'a>
        = Client<'a>
    where
        Self: 'a;

    async fn open(&mut self) -> Result<Client<'_>, ConnectError> {
        let shared = Arc::new(Shared::default());
        {
            let mut state = shared.lock();
            state.to_client.capacity = self.capacity;
            state.to_server.capacity = self.capacity;
        }
        (self.serve)(Server(shared.clone()));
        Ok(Client {
            shared: self.current.insert(shared),
        })
    }
}

impl<F: FnMut(Server)> Connect for Pipes<F> {
    type Link<'a>
        = Client<'a>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<Client<'_>, ConnectError> {
        self.open().await
    }
}

/// The client's end.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    shared: &'a Arc<Shared>,
}

impl Stream for Client<'_> {
    fn abort(&self) {
        let mut state = self.shared.lock();
        if !state.to_server.closed {
            state.aborted = true;
            self.shared.notify(state);
        }
    }
}

impl Link for Client<'_> {
    type Reader<'l>
        = Self
    where
        Self: 'l;
    type Writer<'l>
        = Self
    where
        Self: 'l;

    fn split(&mut self) -> (Self, Self) {
        (*self, *self)
    }

    async fn close(mut self) {
        Close::close(&mut self).await;
    }
}

impl ErrorType for Client<'_> {
    type Error = ErrorKind;
}

impl Read for Client<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.to_client.bytes.is_empty() && !state.to_client.closed {
                state.to_client.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let len = take(&mut state.to_client.bytes, buffer);
            self.shared.notify(state);
            Poll::Ready(Ok(len))
        })
        .await
    }
}

impl Write for Client<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.to_client.closed {
                return Poll::Ready(Err(ErrorKind::BrokenPipe));
            }
            if state.to_server.bytes.len() == state.to_server.capacity {
                state.to_server.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let len = put(&mut state.to_server, bytes);
            self.shared.notify(state);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Sender for Client<'_> {}

impl Close for Client<'_> {
    async fn close(&mut self) {
        let mut state = self.shared.lock();
        state.to_server.closed = true;
        self.shared.notify(state);
    }
}

fn take(bytes: &mut VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let len = buffer.len().min(bytes.len());
    for (place, byte) in buffer.iter_mut().zip(bytes.drain(..len)) {
        *place = byte;
    }
    len
}

fn put(direction: &mut Direction, bytes: &[u8]) -> usize {
    let room = direction.capacity - direction.bytes.len();
    let part = &bytes[..room.min(bytes.len())];
    direction.bytes.extend(part);
    part.len()
}
