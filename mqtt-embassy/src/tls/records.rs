//! Looks at the borders of TLS records before embedded-tls does.

use core::cell::Cell;

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use crate::Stream;

const HEADER_LEN: usize = 5;
const APPLICATION_DATA: u8 = 23;
/// An encrypted record is the content, one byte of type, and 16 bytes of authentication.
const ENCRYPTED_MIN: usize = 1 + 16;

/// A stream that refuses what embedded-tls 0.19 panics on, and anybody on the way may send: an encrypted record without
/// any content, and records in the clear after the handshake.
#[derive(Clone)]
pub(super) struct Records<'s, S> {
    stream: S,
    /// The handshake is over.
    established: &'s Cell<bool>,
    header: [u8; HEADER_LEN],
    /// Bytes of the header that have come.
    filled: usize,
    /// Bytes of the record that are to come.
    content: usize,
}

impl<'s, S: Stream> Records<'s, S> {
    pub(super) fn new(stream: S, established: &'s Cell<bool>) -> Self {
        Self {
            stream,
            established,
            header: [0; HEADER_LEN],
            filled: 0,
            content: 0,
        }
    }

    fn inspect(&mut self, mut bytes: &[u8]) -> Result<(), ErrorKind> {
        while let [first, rest @ ..] = bytes {
            if self.content > 0 {
                let len = self.content.min(bytes.len());
                self.content -= len;
                bytes = bytes.get(len..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            if let Some(byte) = self.header.get_mut(self.filled) {
                *byte = *first;
                self.filled += 1;
            }
            if self.filled == HEADER_LEN {
                self.filled = 0;
                self.begin_record()?;
            }
        }
        Ok(())
    }

    fn begin_record(&mut self) -> Result<(), ErrorKind> {
        let [kind, _, _, high, low] = self.header;
        self.content = usize::from(u16::from_be_bytes([high, low]));
        let is_good = match kind {
            APPLICATION_DATA => self.content >= ENCRYPTED_MIN,
            _ => !self.established.get(),
        };
        if is_good {
            return Ok(());
        }
        warning!(
            "tls: a record of type {} and length {} cannot be",
            kind,
            self.content
        );
        Err(ErrorKind::InvalidData)
    }
}

impl<S: Stream> ErrorType for Records<'_, S> {
    type Error = ErrorKind;
}

impl<S: Stream> Read for Records<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = self
            .stream
            .read(buffer)
            .await
            .map_err(|error| error.kind())?;
        self.inspect(buffer.get(..len).unwrap_or_default())?;
        Ok(len)
    }
}

impl<S: Stream> Write for Records<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let written = self.stream.write(bytes).await;
        written.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| error.kind())
    }
}
