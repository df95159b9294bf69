//! A broker of a few lines on a port of its own: one closure per connection says what it does.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use mqtt_core::codec::{FixedHeader, Packet, PacketIdentifier, Publish, QoS, Version};

/// Everything here takes milliseconds; what hangs must fail.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Accepts one connection for each of `scripts`, in turn.
    pub(crate) fn start(scripts: Vec<Box<dyn FnOnce(Link) + Send>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            for script in scripts {
                let stream = listener.accept().unwrap().0;
                script(Link::new(stream));
            }
        });
        Self {
            address,
            thread: Some(thread),
        }
    }

    /// One connection.
    pub(crate) fn once(script: impl FnOnce(Link) + Send + 'static) -> Self {
        Self::start(vec![Box::new(script)])
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}/client", self.address)
    }

    /// Waits for the scripts to end, and fails if one of them did.
    pub(crate) fn finish(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A port on which nobody listens.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The broker's end of a connection.
pub(crate) struct Link {
    stream: TcpStream,
    body: Vec<u8>,
    /// What the client speaks.
    pub(crate) version: Version,
}

impl Link {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            body: Vec::new(),
            version: Version::V3_1_1,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// The next packet; `None` when the client has closed the connection.
    pub(crate) fn packet(&mut self) -> Option<Packet<'_>> {
        let header = self.header()?;
        self.body.resize(header.remaining_length as usize, 0);
        self.stream.read_exact(&mut self.body).unwrap();
        Some(Packet::decode(header, &self.body, self.version).unwrap())
    }

    fn header(&mut self) -> Option<FixedHeader> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the client said nothing more: {error}"),
            }
            if let Some((header, _)) = FixedHeader::decode(&bytes, self.version).unwrap() {
                return Some(header);
            }
        }
    }

    /// Takes `Connect` and accepts it.
    pub(crate) fn accept(&mut self) {
        assert!(matches!(self.packet(), Some(Packet::Connect(_))));
        match self.version {
            Version::V3_1_1 => self.send(&[0x20, 2, 0, 0]),
            Version::V5 => self.send(&[0x20, 3, 0, 0, 0]),
        }
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], packet_identifier: u16) {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_identifier: PacketIdentifier::new(packet_identifier),
            ..Publish::new(mqtt_core::codec::TopicName::new(topic).unwrap(), payload)
        };
        let mut bytes = vec![0; payload.len() + topic.len() + 20];
        let len = publish.encode(self.version, &mut bytes).unwrap();
        self.send(&bytes[..len]);
    }

    /// Acknowledges, grants, and sends every message at QoS 1 back, until the client goes. `true`: it took leave.
    pub(crate) fn echo(&mut self) -> bool {
        loop {
            let Some(packet) = self.packet() else {
                return false;
            };
            let (answer, back) = match packet {
                Packet::Disconnect(_) => return true,
                Packet::PingReq => (vec![0xD0, 0], None),
                Packet::Subscribe(subscribe) => {
                    let [high, low] = subscribe.packet_identifier.get().to_be_bytes();
                    let mut answer = vec![0x90, 2, high, low];
                    answer.extend(subscribe.filters.iter().map(|filter| filter.qos as u8));
                    answer[1] = u8::try_from(answer.len() - 2).unwrap();
                    (answer, None)
                }
                Packet::Publish(publish) => {
                    let answer = publish.packet_identifier.map(|id| {
                        let [high, low] = id.get().to_be_bytes();
                        vec![0x40, 2, high, low]
                    });
                    let back = (publish.topic.as_str().to_owned(), publish.payload.to_vec());
                    (answer.unwrap_or_default(), Some(back))
                }
                Packet::PubAck(_) => (Vec::new(), None),
                other => panic!("not expected here: {other:?}"),
            };
            self.send(&answer);
            if let Some((topic, payload)) = back {
                self.publish(&topic, &payload, 1);
            }
        }
    }
}

/// A script that tells through a channel what it saw.
pub(crate) fn reporting<T: Send + 'static>(
    script: impl FnOnce(Link) -> T + Send + 'static,
) -> (Broker, mpsc::Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    (
        Broker::once(move |link| drop(sender.send(script(link)))),
        receiver,
    )
}
