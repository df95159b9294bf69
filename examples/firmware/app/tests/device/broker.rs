//! A broker at the other end of a pipe, made of the codec.

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::{
    client::{Close, Connect, ConnectError},
    codec::{FixedHeader, Packet, Publish, QoS, TopicName, Version},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// Takes the links of the device.
pub(crate) struct Broker(UnboundedReceiver<DuplexStream>);

/// Makes links to the broker; refused once that is gone.
pub(crate) struct Pipes(UnboundedSender<DuplexStream>);

/// A broker and the way to it.
pub(crate) fn broker() -> (Broker, Pipes) {
    let (sender, receiver) = unbounded_channel();
    (Broker(receiver), Pipes(sender))
}

/// A message of the device.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retain: bool,
}

/// What the device said in CONNECT.
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) will: Message,
}

/// One link of the device.
pub(crate) struct Link {
    stream: DuplexStream,
    received: Vec<u8>,
}

impl Broker {
    /// Takes a link and what comes first on it.
    pub(crate) async fn accept(&mut self) -> (Link, Hello) {
        let stream = self.0.recv().await.unwrap();
        let mut link = Link {
            stream,
            received: Vec::new(),
        };
        let hello = link
            .next(|packet| match packet {
                Packet::Connect(connect) => {
                    let will = connect.will.unwrap();
                    Hello {
                        client_id: connect.client_id.to_owned(),
                        credentials: connect
                            .user_name
                            .zip(connect.password)
                            .map(|(name, password)| (name.to_owned(), text(password))),
                        will: Message {
                            topic: will.topic.as_str().to_owned(),
                            payload: text(will.payload),
                            retain: will.retain,
                        },
                    }
                }
                other => panic!("{other:?} before CONNECT"),
            })
            .await;
        (link, hello)
    }

    /// The device has given up those links long ago.
    pub(crate) fn forget_missed_links(&mut self) {
        while self.0.try_recv().is_ok() {}
    }

    /// Takes a link, accepts the device and grants it its subscription.
    pub(crate) async fn accept_session(&mut self) -> Link {
        let (mut link, _) = self.accept().await;
        link.send(&[0x20, 2, 0, 0]).await;
        let (identifier, filter) = link
            .next(|packet| match packet {
                Packet::Subscribe(subscribe) => (
                    subscribe.packet_identifier.get(),
                    subscribe
                        .filters
                        .iter()
                        .next()
                        .unwrap()
                        .filter
                        .as_str()
                        .to_owned(),
                ),
                other => panic!("{other:?} before SUBSCRIBE"),
            })
            .await;
        assert_eq!(filter, "plant/7/command");
        let [high, low] = identifier.to_be_bytes();
        link.send(&[0x90, 3, high, low, 1]).await;
        link
    }
}

impl Link {
    /// Refuses the device: not authorised.
    pub(crate) async fn refuse(mut self) {
        self.send(&[0x20, 2, 0, 5]).await;
    }

    /// The next message on a topic that ends so. Messages are acknowledged, PINGREQ is answered.
    pub(crate) async fn message(&mut self, leaf: &str) -> Message {
        loop {
            let message = self.any_message().await;
            if message.topic.ends_with(leaf) {
                return message;
            }
        }
    }

    async fn any_message(&mut self) -> Message {
        loop {
            let next = self.next(|packet| match packet {
                Packet::Publish(publish) => {
                    assert_eq!(publish.qos, QoS::AtLeastOnce);
                    let message = Message {
                        topic: publish.topic.as_str().to_owned(),
                        payload: text(publish.payload),
                        retain: publish.retain,
                    };
                    Some((publish.packet_identifier.unwrap().get(), message))
                }
                Packet::PingReq => None,
                other => panic!("unexpected {other:?}"),
            });
            let Some((identifier, message)) = next.await else {
                self.send(&[0xd0, 0]).await;
                continue;
            };
            let [high, low] = identifier.to_be_bytes();
            self.send(&[0x40, 2, high, low]).await;
            return message;
        }
    }

    /// Sends a command at QoS 0.
    pub(crate) async fn command(&mut self, payload: &str) {
        self.publish(payload, false).await;
    }

    /// Sends a command that the broker had retained.
    pub(crate) async fn retained_command(&mut self, payload: &str) {
        self.publish(payload, true).await;
    }

    async fn publish(&mut self, payload: &str, retain: bool) {
        let mut bytes = vec![0; 4096];
        let topic = TopicName::new("plant/7/command").unwrap();
        let mut publish = Publish::new(topic, payload.as_bytes());
        publish.retain = retain;
        let len = publish.encode(Version::V3_1_1, &mut bytes).unwrap();
        self.send(&bytes[..len]).await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn next<T>(&mut self, read: impl FnOnce(Packet<'_>) -> T) -> T {
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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
