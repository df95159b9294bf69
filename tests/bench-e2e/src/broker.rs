//! The other side: one connection, blocking, acknowledgements of one read in one write.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::packets::{CONNACK, Inbox, PINGRESP, publish};

/// A client that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks for the client; lies outside what is measured.
const POLL: Duration = Duration::from_millis(1);

/// Listens on a free port of 127.0.0.1.
pub(crate) struct Broker {
    listener: TcpListener,
}

impl Broker {
    pub(crate) fn bind() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { listener })
    }

    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves one client. A subscriber gets `count` messages as a flood, whoever publishes must publish `count`.
    /// Returns the time from the first message to the last (of a flood, to the client's DISCONNECT).
    pub(crate) fn serve(&self, count: u32) -> Result<Duration> {
        let stream = self.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Connection {
            stream,
            replies: Vec::new(),
            expected: count,
            published: 0,
            started: None,
            ended: None,
        };
        connection.serve()?;
        connection.elapsed()
    }

    /// A client that never comes must not hold us for ever.
    fn accept(&self) -> Result<TcpStream> {
        let deadline = Instant::now() + PATIENCE;
        self.listener.set_nonblocking(true)?;
        while Instant::now() < deadline {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(POLL),
                Err(error) => return Err(error.into()),
            }
        }
        bail!("no client came")
    }
}

struct Connection {
    stream: TcpStream,
    replies: Vec<u8>,
    expected: u32,
    published: u32,
    started: Option<Instant>,
    ended: Option<Instant>,
}

impl Connection {
    fn serve(&mut self) -> Result<()> {
        let mut inbox = Inbox::new();
        loop {
            let len = match self.stream.read(inbox.room()) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                len => len.context("the client fell silent")?,
            };
            inbox.filled(len);
            while let Some((first, body)) = inbox.next() {
                self.handle(first, body)?;
            }
            self.reply()?;
        }
    }

    #[inline]
    fn handle(&mut self, first: u8, body: &[u8]) -> Result<()> {
        match first {
            0x30 => self.count(),
            0x32 => {
                self.count();
                self.acknowledge(body)?;
            }
            0x10 => self.replies.extend_from_slice(CONNACK),
            0x82 => self.flood(body)?,
            0xc0 => self.replies.extend_from_slice(PINGRESP),
            0xe0 if self.published == 0 => self.ended = Some(Instant::now()),
            0xe0 => {}
            other => bail!("packet starting with {other:#04x}"),
        }
        Ok(())
    }

    fn count(&mut self) {
        if self.published == 0 {
            self.started = Some(Instant::now());
        }
        self.published += 1;
        if self.published == self.expected {
            self.ended = Some(Instant::now());
        }
    }

    fn acknowledge(&mut self, publish: &[u8]) -> Result<()> {
        let (topic_len, rest) = publish.split_first_chunk().context("topic length")?;
        let identifier = rest.get(usize::from(u16::from_be_bytes(*topic_len))..);
        let identifier = identifier.and_then(|rest| rest.first_chunk::<2>());
        let [high, low] = *identifier.context("packet identifier")?;
        self.replies.extend_from_slice(&[0x40, 2, high, low]);
        Ok(())
    }

    fn flood(&mut self, subscribe: &[u8]) -> Result<()> {
        let &[high, low] = subscribe.first_chunk().context("packet identifier")?;
        self.replies.extend_from_slice(&[0x90, 3, high, low, 0]);
        self.reply()?;
        self.started = Some(Instant::now());
        write_repeated(&mut self.stream, &publish(None), self.expected)
    }

    fn reply(&mut self) -> Result<()> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies)?;
            self.replies.clear();
        }
        Ok(())
    }

    fn elapsed(&self) -> Result<Duration> {
        let complete = self.published == 0 || self.published == self.expected;
        ensure!(complete, "{} of {} messages", self.published, self.expected);
        let (started, ended) = self.started.zip(self.ended).context("no message came")?;
        Ok(ended - started)
    }
}

/// Writes a packet `count` times, many in each call.
pub(crate) fn write_repeated(stream: &mut TcpStream, packet: &[u8], count: u32) -> Result<()> {
    const PER_WRITE: u32 = 800;
    let many = packet.repeat(PER_WRITE as usize);
    for _ in 0..count / PER_WRITE {
        stream.write_all(&many)?;
    }
    let rest = (count % PER_WRITE) as usize * packet.len();
    Ok(stream.write_all(&many[..rest])?)
}
