//! A copy of the session, kept so that a restarted device goes on with it.

use core::fmt;

use embedded_io_async::{Error, ErrorKind, ErrorType, Write};

use crate::session::RestoreError;

use super::{Client, Connect, ConnectError, Kind, Link, Sender};

/// Where the copy of a session lies over a loss of power. One copy, replaced as a whole.
///
/// A future that is dropped before its end counts as a loss of power at that moment: the old copy is there or the new one.
pub trait SessionStore {
    /// Why the medium failed.
    type Error;

    /// Replaces the copy; returns when the new one is durable.
    ///
    /// # Errors
    ///
    /// It failed; the old copy may be there, or none.
    fn save(&mut self, copy: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Reads the copy into `buffer` and returns its length, 0 if there is none or a longer one.
    ///
    /// # Errors
    ///
    /// It failed.
    fn load(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Self::Error>>;
}

/// Keeps a copy of the session: takes over that of an earlier life, and saves it before bytes go to the server.
///
/// So a device that restarts in the middle of an exchange goes on with it, and QoS 2 is exactly once in both directions
/// over a restart, as long as the server keeps the session: connect with
/// [`clean_session`](crate::session::Options::clean_session) off and, on MQTT 5, with a session expiry interval. A
/// message that the application held when power was lost is delivered again.
///
/// Each write to the link costs a copy of the session in memory, and one in the store if the session has changed: with
/// messages at QoS 1 and 2 nearly always. Of flash that is much: a copy of 500 bytes in 16 blocks of 4 KB, once in 10
/// seconds, wears it out, at 100,000 erasures for each block, in four years. A larger wire buffer makes fewer writes. For
/// messages that must not be lost an [`Outbox`](crate::outbox::Outbox) is cheaper.
///
/// ```
/// # async fn example<K: mqtt_core::client::Kind, C: mqtt_core::client::Connect, S: mqtt_core::client::SessionStore>(
/// #     client: mqtt_core::client::Client<K>, mut runner: mqtt_core::client::Runner<K>, connector: C, store: S,
/// #     options: &mqtt_core::session::Options<'_>, buffer: K::Buffer,
/// # ) -> Result<(), S::Error> {
/// use mqtt_core::client::SessionKeeper;
///
/// // Before anything is published. The buffer is as long as the transmit buffer, and 8 bytes for each slot.
/// let mut keeper = SessionKeeper::open(client, store, buffer).await?;
/// runner.run(&mut keeper.around(connector), options).await;
/// # Ok(())
/// # }
/// ```
pub struct SessionKeeper<K: Kind, S, B> {
    client: Client<K>,
    store: S,
    buffer: B,
    /// Length and checksum of the copy in the store; `None` if they are not known.
    saved: Option<(usize, [u8; 4])>,
    restored: Result<bool, RestoreError>,
}

/// A connector whose links save the session first; see [`SessionKeeper`].
pub struct Kept<'k, K: Kind, C, S, B> {
    connector: C,
    keeper: &'k mut SessionKeeper<K, S, B>,
}

impl<K: Kind, S: SessionStore, B: AsMut<[u8]>> SessionKeeper<K, S, B> {
    /// Takes over what an earlier life has saved, if anything. To be called before anything is published or the runner
    /// is run.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn open(client: Client<K>, mut store: S, mut buffer: B) -> Result<Self, S::Error> {
        let len = store.load(buffer.as_mut()).await?;
        let copy = buffer.as_mut().get(..len).unwrap_or_default();
        let restored = if copy.is_empty() {
            Ok(false)
        } else {
            client.restore_session(copy).map(|()| true)
        };
        Ok(Self {
            client,
            store,
            buffer,
            saved: None,
            restored,
        })
    }

    /// The connector for [`Runner::run`](super::Runner::run), around that for the links.
    pub const fn around<C: Connect>(&mut self, connector: C) -> Kept<'_, K, C, S, B> {
        Kept {
            connector,
            keeper: self,
        }
    }

    /// Whether there was a session to take over.
    ///
    /// # Errors
    ///
    /// There was one, and it could not be used: the session starts as a new one.
    pub const fn restored(&self) -> Result<bool, RestoreError> {
        self.restored
    }

    /// Saves the session if it is not what was saved last.
    async fn save(&mut self) -> Result<(), KeptError> {
        let buffer = self.buffer.as_mut();
        let len = self.client.save_session(buffer);
        let len = len.map_err(|_| KeptError::BufferTooSmall)?;
        let copy = buffer.get(..len).unwrap_or_default();
        let checksum = copy.last_chunk().map(|checksum| (len, *checksum));
        if checksum.is_some() && checksum == self.saved {
            return Ok(());
        }
        self.saved = None;
        self.store.save(copy).await.map_err(|_| KeptError::Store)?;
        self.saved = checksum;
        Ok(())
    }
}

impl<K: Kind, S, B> fmt::Debug for SessionKeeper<K, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeeper")
            .field("restored", &self.restored)
            .finish_non_exhaustive()
    }
}

impl<K: Kind, C, S, B> fmt::Debug for Kept<'_, K, C, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<K, C, S, B> Connect for Kept<'_, K, C, S, B>
where
    K: Kind,
    C: Connect,
    S: SessionStore,
    B: AsMut<[u8]>,
{
    type Link<'a>
        = KeptLink<'a, K, C::Link<'a>, S, B>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<Self::Link<'_>, ConnectError> {
        Ok(KeptLink {
            link: self.connector.connect().await?,
            keeper: self.keeper,
        })
    }
}

/// A link of [`Kept`].
pub struct KeptLink<'a, K: Kind, L, S, B> {
    link: L,
    keeper: &'a mut SessionKeeper<K, S, B>,
}

impl<K: Kind, L, S, B> fmt::Debug for KeptLink<'_, K, L, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLink").finish_non_exhaustive()
    }
}

impl<K, L, S, B> Link for KeptLink<'_, K, L, S, B>
where
    K: Kind,
    L: Link,
    S: SessionStore,
    B: AsMut<[u8]>,
{
    type Reader<'l>
        = L::Reader<'l>
    where
        Self: 'l;
    type Writer<'l>
        = KeptWriter<'l, K, L::Writer<'l>, S, B>
    where
        Self: 'l;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = self.link.split();
        let keeper = &mut *self.keeper;
        (reader, KeptWriter { writer, keeper })
    }

    fn close(self) -> impl Future<Output = ()> {
        self.link.close()
    }
}

/// The sending half of a [`KeptLink`].
pub struct KeptWriter<'l, K: Kind, W, S, B> {
    writer: W,
    keeper: &'l mut SessionKeeper<K, S, B>,
}

impl<K: Kind, W, S, B> fmt::Debug for KeptWriter<'_, K, W, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptWriter").finish_non_exhaustive()
    }
}

/// Why a [`KeptWriter`] failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum KeptError {
    /// The link.
    Link(ErrorKind),
    /// The store: nothing was sent.
    Store,
    /// The buffer of the [`SessionKeeper`] is shorter than a copy of the session: nothing was sent.
    BufferTooSmall,
}

impl KeptError {
    fn of_link(error: &impl Error) -> Self {
        Self::Link(error.kind())
    }
}

impl fmt::Display for KeptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link(_) => "link failed",
            Self::Store => "store of the session failed",
            Self::BufferTooSmall => "buffer too small for the session",
        })
    }
}

impl core::error::Error for KeptError {}

impl Error for KeptError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Link(kind) => *kind,
            Self::Store | Self::BufferTooSmall => ErrorKind::Other,
        }
    }
}

impl<K: Kind, W, S, B> ErrorType for KeptWriter<'_, K, W, S, B> {
    type Error = KeptError;
}

impl<K, W, S, B> Write for KeptWriter<'_, K, W, S, B>
where
    K: Kind,
    W: Sender,
    S: SessionStore,
    B: AsMut<[u8]>,
{
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, KeptError> {
        self.keeper.save().await?;
        self.writer
            .write(bytes)
            .await
            .map_err(|error| KeptError::of_link(&error))
    }

    async fn flush(&mut self) -> Result<(), KeptError> {
        self.writer
            .flush()
            .await
            .map_err(|error| KeptError::of_link(&error))
    }
}

impl<K, W, S, B> Sender for KeptWriter<'_, K, W, S, B>
where
    K: Kind,
    W: Sender,
    S: SessionStore,
    B: AsMut<[u8]>,
{
    fn has_output(&self) -> bool {
        self.writer.has_output()
    }
}
