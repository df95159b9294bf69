//! A link over TLS.

use core::fmt;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, TlsConnection, TlsError, TlsReader as InnerReader, TlsWriter as InnerWriter,
};
use mqtt_core::client::{Link, Sender};

use super::records::Records;
use crate::{Stream, stream::Guard};

pub(super) type Connection<'s, S> = TlsConnection<'s, Records<'s, S>, Aes128GcmSha256>;

/// A link over TLS. Dropping it ends the stream below, unless it was closed.
pub struct TlsLink<'s, S: Stream> {
    pub(super) connection: Connection<'s, S>,
    pub(super) guard: Guard<S>,
}

impl<'s, S: Stream + 's> Link for TlsLink<'s, S> {
    type Reader<'l>
        = TlsReader<'l, S>
    where
        Self: 'l;
    type Writer<'l>
        = TlsWriter<'l, S>
    where
        Self: 'l;

    fn split(&mut self) -> (TlsReader<'_, S>, TlsWriter<'_, S>) {
        let (reader, writer) = self.connection.split();
        (TlsReader(reader), TlsWriter(writer))
    }

    async fn close(self) {
        let _ = self.connection.close().await;
        self.guard.stream().close().await;
    }
}

impl<S: Stream> fmt::Debug for TlsLink<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLink").finish_non_exhaustive()
    }
}

/// The receiving half.
pub struct TlsReader<'l, S: Stream>(InnerReader<'l, Records<'l, S>, Aes128GcmSha256>);

impl<'l, S: Stream + 'l> ErrorType for TlsReader<'l, S> {
    type Error = ErrorKind;
}

impl<'l, S: Stream + 'l> Read for TlsReader<'l, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.0.read(buffer).await {
            Ok(len) => Ok(len),
            // With or without `close_notify`: packets of MQTT carry their length, nothing is cut off unnoticed.
            Err(TlsError::ConnectionClosed | TlsError::IoError) => Ok(0),
            Err(TlsError::Io(kind)) => Err(kind),
            Err(TlsError::InternalError) => {
                warning!("tls: the broker has ended the link; does it want a client certificate?");
                Err(ErrorKind::ConnectionAborted)
            }
            Err(TlsError::InsufficientSpace) => {
                warning!("tls: a record is longer than the read buffer");
                Err(ErrorKind::OutOfMemory)
            }
            Err(error) => {
                warning!("tls: {:?}", error);
                Err(ErrorKind::InvalidData)
            }
        }
    }
}

impl<S: Stream> fmt::Debug for TlsReader<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReader").finish_non_exhaustive()
    }
}

/// The sending half.
pub struct TlsWriter<'l, S: Stream>(InnerWriter<'l, Records<'l, S>, Aes128GcmSha256>);

impl<'l, S: Stream + 'l> ErrorType for TlsWriter<'l, S> {
    type Error = ErrorKind;
}

impl<'l, S: Stream + 'l> Write for TlsWriter<'l, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).await.map_err(sort)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await.map_err(sort)
    }
}

impl<'l, S: Stream + 'l> Sender for TlsWriter<'l, S> {}

impl<S: Stream> fmt::Debug for TlsWriter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsWriter").finish_non_exhaustive()
    }
}

fn sort(error: TlsError) -> ErrorKind {
    match error {
        TlsError::Io(kind) => kind,
        // The other half has read `close_notify`.
        TlsError::MissingHandshake => ErrorKind::BrokenPipe,
        error => {
            warning!("tls: {:?}", error);
            ErrorKind::Other
        }
    }
}
