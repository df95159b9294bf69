//! A firmware update from ThingsBoard, into a stub of a store.

use core::future::ready;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_core::platform::thingsboard::Device;
use mqtt_core::platform::thingsboard::update::{Package, UpdateOptions, Updater, chunk_len_for};
use mqtt_core::platform::update::{Sha256, UpdateStore};
use mqtt_core::{Instant, codec::Publish, session::Event};

use crate::job::JobSession;
use crate::stubs::{BUFFER_LEN, now_ms, read, write};

/// The update with its store. SHA-256 is the server's default.
#[derive(Debug)]
pub struct Companion(Updater<'static, Store, Sha256>);

impl Companion {
    /// Goes on with what the store remembers.
    pub fn new() -> Option<Self> {
        let mut options = UpdateOptions::new(Package::Firmware, "thermostat", "1.0");
        options.chunk_len = chunk_len_for(BUFFER_LEN);
        now(Updater::open(Device::new(), options, Store)).map(Self)
    }

    /// Sees what has happened.
    pub fn see(&mut self, event: &Event<'_>) {
        if let Event::Connected(_) = event {
            self.0.update().connected();
        }
    }

    /// Does what is due.
    pub fn upkeep(&mut self, session: &mut JobSession) {
        let time = Instant::from_millis(now_ms());
        now(self.0.advance_with(time, |message| {
            session.publish(message, false, time).is_ok()
        }));
    }

    /// Takes a message.
    pub fn take(&mut self, _: &mut JobSession, publish: &Publish<'_>) {
        let time = Instant::from_millis(now_ms());
        now(self.0.receive(publish, time));
    }
}

/// The stubs never wait.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[derive(Debug)]
struct Store;

// Futures written by hand: an `async fn` here would add its own panic branch, for a poll after completion.
impl UpdateStore for Store {
    type Error = ();

    fn capacity(&self) -> u32 {
        0x10_0000
    }

    fn block_len(&self) -> u32 {
        4096
    }

    fn write(&mut self, _: u32, bytes: &[u8]) -> impl Future<Output = Result<(), ()>> {
        write(bytes);
        ready(Ok(()))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), ()>> {
        ready(Ok(()))
    }

    fn read(&mut self, _: u32, bytes: &mut [u8]) -> impl Future<Output = Result<(), ()>> {
        read(bytes);
        ready(Ok(()))
    }

    fn save(&mut self, record: &[u8]) -> impl Future<Output = Result<(), ()>> {
        write(record);
        ready(Ok(()))
    }

    fn load(&mut self, record: &mut [u8]) -> impl Future<Output = Result<usize, ()>> {
        ready(Ok(read(record)))
    }

    fn activate(&mut self, len: u32) -> impl Future<Output = Result<(), ()>> {
        write(&len.to_le_bytes());
        ready(Ok(()))
    }
}
