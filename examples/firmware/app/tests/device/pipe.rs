//! Links in memory, and packets on them.

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::{
    client::{Close, Connect, ConnectError},
    codec::{FixedHeader, Packet, Version},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// The links that a device makes.
pub(crate) struct Links(UnboundedReceiver<DuplexStream>);

/// Makes links; refused once nobody takes them any more.
pub(crate) struct Pipes(UnboundedSender<DuplexStream>);

/// Both ends.
pub(crate) fn pipes() -> (Links, Pipes) {
    let (sender, receiver) = unbounded_channel();
    (Links(receiver), Pipes(sender))
}

/// The far end of one link.
pub(crate) struct Stream {
    stream: DuplexStream,
    received: Vec<u8>,
}

impl Links {
    pub(crate) async fn next(&mut self) -> Stream {
        Stream {
            stream: self.0.recv().await.unwrap(),
            received: Vec::new(),
        }
    }

    /// Those that the device has given up long ago.
    pub(crate) fn forget(&mut self) {
        while self.0.try_recv().is_ok() {}
    }
}

impl Stream {
    /// Sends bytes. The device may have closed the link already; that is seen by what it says.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads the next packet.
    pub(crate) async fn next<T>(&mut self, read: impl FnOnce(Packet<'_>) -> T) -> T {
        let (header, start, end) = loop {
            if let Some((header, start)) =
                FixedHeader::decode(&self.received, Version::V3_1_1).unwrap()
            {
                let end = start + usize::try_from(header.remaining_length).unwrap();
                if self.received.len() >= end {
                    break (header, start, end);
                }
            }
            let read = self.stream.read_buf(&mut self.received).await.unwrap();
            assert_ne!(read, 0, "the device has closed the link");
        };
        let body = &self.received[start..end];
        let answer = read(Packet::decode(header, body, Version::V3_1_1).unwrap());
        self.received.drain(..end);
        answer
    }
}

impl Connect for Pipes {
    type Link<'a> = (Reader, Writer);

    async fn connect(&mut self) -> Result<(Reader, Writer), ConnectError> {
        let (near, far) = duplex(4096);
        self.0.send(far).map_err(|_| ConnectError::Refused)?;
        let (reader, writer) = split(near);
        Ok((
            Reader(FromTokio::new(reader)),
            Writer(FromTokio::new(writer)),
        ))
    }
}

pub(crate) struct Reader(FromTokio<ReadHalf<DuplexStream>>);

impl ErrorType for Reader {
    type Error = std::io::Error;
}

impl Read for Reader {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(bytes).await
    }
}

pub(crate) struct Writer(FromTokio<WriteHalf<DuplexStream>>);

impl ErrorType for Writer {
    type Error = std::io::Error;
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.0.flush().await
    }
}

impl Close for Writer {
    async fn close(&mut self) {
        let _ = self.flush().await;
    }
}
