//! The update with a store.

use core::fmt;

use crate::{
    Instant,
    platform::{
        ApplicationMessage,
        thingsboard::Device,
        update::{AnyChecksum, Checksum, MAX_RECORD_LEN, UpdateStore},
    },
};

#[cfg(feature = "client")]
use crate::client::{Client, Kind, LinkState, Received};

use super::{Action, Chunk, Update, UpdateMessage, UpdateOptions, machine::READ_LEN};

/// When what could not be published is tried again, in milliseconds.
const RETRY_MS: u32 = 250;

/// After so many steps the caller has its turn: some 8 KB of checking.
const STEPS: u32 = 64;

/// How often [`Updater::advance`] wants to see the client, in milliseconds.
#[cfg(feature = "client")]
const LOOK_MS: u32 = 2_000;

/// An [`Update`] together with the store that it fills.
///
/// It is driven by two calls: [`advance_with`](Self::advance_with) (or `advance`, on a client) does what is due, [`receive`](Self::receive) takes what has
/// come. It never fails: what goes wrong is in [`phase`](Update::phase), and is reported to the server.
pub struct Updater<'a, S: UpdateStore, C = AnyChecksum> {
    update: Update<'a, C>,
    store: S,
    error: Option<S::Error>,
    /// A future of the store was dropped, so it is not known what the store holds.
    is_left: bool,
    /// The link that is in use, by the number of the attempt that made it.
    #[cfg(feature = "client")]
    link: Option<u32>,
}

impl<'a, S: UpdateStore, C: Checksum> Updater<'a, S, C> {
    /// Goes on with what the store remembers, or begins. One `Updater` for each package, with a store of its own.
    ///
    /// Dropping the future does nothing.
    pub async fn open(device: Device, options: UpdateOptions<'a>, store: S) -> Self {
        let (capacity, block_len) = (store.capacity(), store.block_len());
        let mut updater = Self {
            update: Update::new(device, options, capacity, block_len, &[]),
            store,
            error: None,
            is_left: true,
            #[cfg(feature = "client")]
            link: None,
        };
        updater.recover().await;
        updater
    }

    /// Does what is due, but never for long; gives the instant at which to call it again, or `None` for when something has
    /// come in or the link has changed. `publish` says whether there was room.
    ///
    /// [`Update::connected`] and [`Update::link_lost`] are to be called when they happen.
    ///
    /// Dropping the future while it works on the store costs what was received since the record was saved, no more.
    pub async fn advance_with(
        &mut self,
        now: Instant,
        mut publish: impl FnMut(&UpdateMessage<'_>) -> bool,
    ) -> Option<Instant> {
        self.recover().await;
        // Of a chunk that nobody goes on with.
        self.update.end_chunk();
        for _ in 0..STEPS {
            let action = self.update.next(now);
            let is_done = match &action {
                Action::Wait(until) => return *until,
                Action::Publish(message) if !publish(message) => return Some(now.plus(RETRY_MS)),
                Action::Publish(_) => true,
                Action::Save(record) => {
                    self.is_left = true;
                    let result = self.store.save(record.as_bytes()).await;
                    self.is_ok(result)
                }
                Action::Flush => {
                    self.is_left = true;
                    let result = self.store.flush().await;
                    self.is_ok(result)
                }
                Action::Read { offset, len } => self.read_back(*offset, *len).await,
                Action::Activate { len } => {
                    self.is_left = true;
                    let result = self.store.activate(*len).await;
                    self.is_ok(result)
                }
            };
            if is_done {
                self.update.done(&action, now);
            }
        }
        Some(now)
    }

    /// Takes a message that was received whole. False if the application should look at it too: changes of attributes
    /// are never only ours.
    ///
    /// Dropping the future is as in [`advance_with`](Self::advance_with).
    pub async fn receive<'m>(
        &mut self,
        message: impl ApplicationMessage<'m>,
        now: Instant,
    ) -> bool {
        let (topic, payload) = message.topic_and_payload();
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        match self.update.begin_chunk_of(topic, len, now) {
            Chunk::NotOurs => self.take_other(Raw(topic, payload)),
            Chunk::Unwanted => true,
            Chunk::Wanted => {
                self.piece(payload).await;
                self.update.end_chunk();
                true
            }
        }
    }

    /// Takes the next bytes of a chunk that [`Update::begin_chunk`] has said to be wanted; then call
    /// [`Update::end_chunk`].
    ///
    /// Dropping the future is as in [`advance_with`](Self::advance_with).
    pub async fn piece(&mut self, bytes: &[u8]) {
        let (offset, bytes) = self.update.piece(bytes);
        if !bytes.is_empty() {
            self.is_left = true;
            let result = self.store.write(offset, bytes).await;
            self.is_ok(result);
        }
    }

    /// The state machine: where it stands, and to tell it of the link.
    pub const fn update(&mut self) -> &mut Update<'a, C> {
        &mut self.update
    }

    /// The store.
    pub const fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// What the store said when it failed last; forgotten by asking.
    pub const fn take_store_error(&mut self) -> Option<S::Error> {
        self.error.take()
    }

    fn take_other(&mut self, message: Raw<'_>) -> bool {
        if self.update.refusal(message) {
            return true;
        }
        let device = self.update.device();
        if let Ok(Some(update)) = device.attribute_update(message) {
            self.update.attribute_update(&update);
            return false;
        }
        match device.attribute_response(message) {
            Ok(Some(response)) => self.update.attribute_response(&response),
            _ => false,
        }
    }

    async fn read_back(&mut self, offset: u32, len: u32) -> bool {
        let mut buffer = [0; READ_LEN as usize];
        let bytes = buffer.get_mut(..len as usize).unwrap_or_default();
        let result = self.store.read(offset, bytes).await;
        if self.is_ok(result) {
            self.update
                .check(buffer.get(..len as usize).unwrap_or_default());
            return true;
        }
        false
    }

    /// Keeps an error of the store, which ends the update.
    fn is_ok(&mut self, result: Result<(), S::Error>) -> bool {
        self.is_left = false;
        let error = result.err();
        let is_ok = error.is_none();
        if !is_ok {
            self.error = error;
            self.update.store_failed();
        }
        is_ok
    }

    /// Goes back to the record if the store was left in the middle of something.
    async fn recover(&mut self) {
        if !self.is_left {
            return;
        }
        let mut record = [0; MAX_RECORD_LEN];
        let len = match self.store.load(&mut record).await {
            Ok(len) => len,
            Err(error) => {
                self.error = Some(error);
                0
            }
        };
        self.is_left = false;
        self.update.restore(record.get(..len).unwrap_or_default());
    }
}

#[cfg(feature = "client")]
impl<S: UpdateStore, C: Checksum> Updater<'_, S, C> {
    /// [`advance_with`](Self::advance_with) a client; it also sees to the link. Gives the instant at which to call it
    /// again: at least every two seconds, to notice a new link.
    pub async fn advance<K: Kind>(&mut self, client: &Client<K>) -> Instant {
        let link =
            matches!(client.state(), LinkState::Connected { .. }).then(|| client.report().attempts);
        if link != self.link {
            self.link = link;
            if link.is_some() {
                self.update.connected();
            } else {
                self.update.link_lost();
            }
        }
        let now = K::now();
        let publish = |message: &UpdateMessage<'_>| client.try_publish(message).is_ok();
        let next = self.advance_with(now, publish).await;
        let look = now.plus(LOOK_MS);
        next.map_or(look, |next| next.min(look))
    }

    /// [`receive`](Self::receive)s a message of the inbox, also one that is streamed piece by piece.
    pub async fn receive_from<K: Kind>(&mut self, message: &mut Received<'_, K>) -> bool {
        let now = K::now();
        if message.is_whole() {
            return self.receive(&*message, now).await;
        }
        match self
            .update
            .begin_chunk(message.topic(), message.total_len(), now)
        {
            Chunk::NotOurs => false,
            Chunk::Unwanted => true,
            Chunk::Wanted => {
                while let Ok(Some(piece)) = message.chunk().await {
                    self.piece(piece).await;
                }
                self.update.end_chunk();
                true
            }
        }
    }
}

/// Topic and payload.
#[derive(Clone, Copy)]
struct Raw<'m>(&'m [u8], &'m [u8]);

impl<'m> ApplicationMessage<'m> for Raw<'m> {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.0, self.1)
    }
}

impl<S: UpdateStore, C: fmt::Debug> fmt::Debug for Updater<'_, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updater")
            .field("update", &self.update)
            .finish_non_exhaustive()
    }
}
