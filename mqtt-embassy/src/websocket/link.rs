//! MQTT in binary frames (MQTT 3.1.1 §6, RFC 6455 §5).

use core::{cell::RefCell, fmt, mem::swap};

use edge_ws::{Error as FrameError, FrameHeader, FrameType};
use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};
use mqtt_core::client::{Link, Sender};
use rand_core::RngCore;

/// Payload of a control frame, at most (RFC 6455 §5.5).
const CONTROL_MAX: usize = 125;
/// The code of a Close frame (RFC 6455 §7.4.1).
const NORMAL_CLOSURE: u16 = 1000;
/// Bytes that are masked at once, header included.
const CHUNK: usize = 128;

/// A link over WebSocket.
pub struct WsLink<'s, L, R> {
    pub(super) link: L,
    pub(super) random: &'s mut R,
    pub(super) incoming: Incoming,
    pub(super) pong: RefCell<Pong>,
}

/// Where in the frames the receiving half stands.
#[derive(Default)]
pub(super) struct Incoming {
    /// Bytes of the present binary frame that are to come.
    rest: u64,
    /// More frames of the same message follow.
    fragmented: bool,
}

/// The answer to the last ping.
pub(super) struct Pong {
    /// `None` if it was sent.
    len: Option<usize>,
    payload: [u8; CONTROL_MAX],
}

impl Pong {
    pub(super) const NONE: Self = Self {
        len: None,
        payload: [0; CONTROL_MAX],
    };
}

impl<L: Link, R: RngCore> Link for WsLink<'_, L, R> {
    type Reader<'l>
        = WsReader<'l, L::Reader<'l>>
    where
        Self: 'l;
    type Writer<'l>
        = WsWriter<'l, L::Writer<'l>, R>
    where
        Self: 'l;

    fn split(&mut self) -> (WsReader<'_, L::Reader<'_>>, WsWriter<'_, L::Writer<'_>, R>) {
        let (reader, writer) = self.link.split();
        let reader = WsReader {
            reader,
            incoming: &mut self.incoming,
            pong: &self.pong,
        };
        let writer = WsWriter {
            writer,
            random: self.random,
            pong: &self.pong,
        };
        (reader, writer)
    }

    async fn close(mut self) {
        {
            let (_, mut writer) = self.split();
            let code = NORMAL_CLOSURE.to_be_bytes();
            if writer.frame(FrameType::Close, &code).await.is_ok() {
                let _ = writer.writer.flush().await;
            }
        }
        self.link.close().await;
    }
}

impl<L, R> fmt::Debug for WsLink<'_, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsLink").finish_non_exhaustive()
    }
}

/// The receiving half: the stream of bytes inside the binary frames, whose borders mean nothing [MQTT-6.0.0-2].
pub struct WsReader<'l, R> {
    reader: R,
    incoming: &'l mut Incoming,
    pong: &'l RefCell<Pong>,
}

impl<R: Read> ErrorType for WsReader<'_, R> {
    type Error = ErrorKind;
}

impl<R: Read> Read for WsReader<'_, R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        while self.incoming.rest == 0 {
            let Some(header) = self.header().await? else {
                return Ok(0);
            };
            match header.frame_type {
                FrameType::Binary(fragmented) if !self.incoming.fragmented => {
                    self.begin(header.payload_len, fragmented);
                }
                FrameType::Continue(last) if self.incoming.fragmented => {
                    self.begin(header.payload_len, !last);
                }
                FrameType::Ping => {
                    let (payload, len) = self.control(&header).await?;
                    *self.pong.borrow_mut() = Pong {
                        len: Some(len),
                        payload,
                    };
                }
                FrameType::Pong => {
                    self.control(&header).await?;
                }
                FrameType::Close => {
                    let (payload, len) = self.control(&header).await?;
                    let code = payload.first_chunk().filter(|_| len >= 2);
                    debug!(
                        "websocket: closed by the server, code {}",
                        code.map_or(0, |code| u16::from_be_bytes(*code))
                    );
                    return Ok(0);
                }
                // [MQTT-6.0.0-1]
                FrameType::Text(_) => return Err(violation("a text frame")),
                FrameType::Binary(_) | FrameType::Continue(_) => {
                    return Err(violation("a frame out of sequence"));
                }
            }
        }
        let rest = usize::try_from(self.incoming.rest).unwrap_or(usize::MAX);
        let len = buffer.len().min(rest);
        let part = buffer.get_mut(..len).unwrap_or_default();
        let len = self.reader.read(part).await.map_err(|error| error.kind())?;
        self.incoming.rest = self.incoming.rest.saturating_sub(len as u64);
        Ok(len)
    }
}

impl<R: Read> WsReader<'_, R> {
    fn begin(&mut self, len: u64, fragmented: bool) {
        self.incoming.rest = len;
        self.incoming.fragmented = fragmented;
    }

    /// The next header; `None` if the stream has ended.
    async fn header(&mut self) -> Result<Option<FrameHeader>, ErrorKind> {
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let mut wanted = FrameHeader::MIN_LEN;
        let mut len = 0;
        loop {
            let part = bytes.get_mut(len..wanted).unwrap_or_default();
            if !fill(&mut self.reader, part).await? {
                return Ok(None);
            }
            len = wanted;
            match FrameHeader::deserialize(bytes.get(..len).unwrap_or_default()) {
                Ok((header, _)) if header.mask_key.is_some() => {
                    return Err(violation("a masked frame"));
                }
                // FIN is bit 7, and control frames have bit 3 of the opcode set: they come whole (RFC 6455 §5.5).
                Ok(_) if bytes[0] & 0x88 == 0x08 => {
                    return Err(violation("a fragmented control frame"));
                }
                Ok((header, _)) => return Ok(Some(header)),
                Err(FrameError::Incomplete(more)) if more <= bytes.len() - len => wanted += more,
                Err(_) => return Err(violation("a malformed frame")),
            }
        }
    }

    /// The payload of a control frame, and its length.
    async fn control(
        &mut self,
        header: &FrameHeader,
    ) -> Result<([u8; CONTROL_MAX], usize), ErrorKind> {
        let mut payload = [0; CONTROL_MAX];
        let len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        let Some(part) = payload.get_mut(..len) else {
            return Err(violation("a long control frame"));
        };
        if !fill(&mut self.reader, part).await? {
            return Err(ErrorKind::ConnectionAborted);
        }
        Ok((payload, len))
    }
}

/// Reads until `buffer` is full. False if the stream ended before.
async fn fill<R: Read>(reader: &mut R, mut buffer: &mut [u8]) -> Result<bool, ErrorKind> {
    while !buffer.is_empty() {
        let len = reader.read(buffer).await.map_err(|error| error.kind())?;
        if len == 0 {
            return Ok(false);
        }
        buffer = buffer.get_mut(len..).unwrap_or_default();
    }
    Ok(true)
}

fn violation(what: &'static str) -> ErrorKind {
    warning!("websocket: the server sent {}", what);
    ErrorKind::InvalidData
}

impl<R> fmt::Debug for WsReader<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsReader").finish_non_exhaustive()
    }
}

/// The sending half: each write becomes one binary frame.
pub struct WsWriter<'l, W, R> {
    writer: W,
    random: &'l mut R,
    pong: &'l RefCell<Pong>,
}

impl<W: Write, R> ErrorType for WsWriter<'_, W, R> {
    type Error = ErrorKind;
}

impl<W: Write, R: RngCore> Write for WsWriter<'_, W, R> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if !bytes.is_empty() {
            self.frame(FrameType::Binary(false), bytes).await?;
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.answer_ping().await?;
        self.writer.flush().await.map_err(|error| error.kind())
    }
}

impl<W: Write, R: RngCore> WsWriter<'_, W, R> {
    async fn answer_ping(&mut self) -> Result<(), ErrorKind> {
        let mut pong = Pong::NONE;
        swap(&mut pong, &mut self.pong.borrow_mut());
        if let Some(payload) = pong.len.and_then(|len| pong.payload.get(..len)) {
            self.frame(FrameType::Pong, payload).await?;
        }
        Ok(())
    }

    /// Sends one frame, masked as those of a client are (RFC 6455 §5.3).
    async fn frame(&mut self, frame_type: FrameType, payload: &[u8]) -> Result<(), ErrorKind> {
        let header = FrameHeader {
            frame_type,
            payload_len: payload.len() as u64,
            mask_key: Some(self.random.next_u32()),
        };
        let mut chunk = [0; CHUNK];
        let mut begin = header.serialize(&mut chunk).unwrap_or_default();
        let mut rest = payload;
        let mut done = 0;
        loop {
            let room = chunk.get_mut(begin..).unwrap_or_default();
            let len = room.len().min(rest.len());
            let (part, later) = rest.split_at(len);
            let room = room.get_mut(..len).unwrap_or_default();
            room.copy_from_slice(part);
            header.mask(room, done);
            let bytes = chunk.get(..begin + len).unwrap_or_default();
            self.writer
                .write_all(bytes)
                .await
                .map_err(|error| error.kind())?;
            if later.is_empty() {
                return Ok(());
            }
            (rest, done, begin) = (later, done + len, 0);
        }
    }
}

impl<W: Write, R: RngCore> Sender for WsWriter<'_, W, R> {
    fn has_output(&self) -> bool {
        self.pong.borrow().len.is_some()
    }
}

impl<W, R> fmt::Debug for WsWriter<'_, W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsWriter").finish_non_exhaustive()
    }
}
