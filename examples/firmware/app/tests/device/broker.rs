//! A broker at the other end of a pipe, made of the codec.

use mqtt_core::codec::{Packet, Publish, QoS, TopicName, Version};

use crate::pipe::{Links, Pipes, Stream, pipes};

/// Takes the links of the device.
pub(crate) struct Broker(Links);

/// A broker and the way to it.
pub(crate) fn broker() -> (Broker, Pipes) {
    let (links, pipes) = pipes();
    (Broker(links), pipes)
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
pub(crate) struct Link(Stream);

impl Broker {
    /// Takes a link and what comes first on it.
    pub(crate) async fn accept(&mut self) -> (Link, Hello) {
        let mut link = Link(self.0.next().await);
        let hello = link
            .0
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
        self.0.forget();
    }

    /// Takes a link, accepts the device and grants it its subscription.
    pub(crate) async fn accept_session(&mut self) -> Link {
        let (mut link, _) = self.accept().await;
        link.0.send(&[0x20, 2, 0, 0]).await;
        let (identifier, filter) = link
            .0
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
        link.0.send(&[0x90, 3, high, low, 1]).await;
        link
    }
}

impl Link {
    /// Refuses the device: not authorised.
    pub(crate) async fn refuse(mut self) {
        self.0.send(&[0x20, 2, 0, 5]).await;
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
            let next = self.0.next(|packet| match packet {
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
                self.0.send(&[0xd0, 0]).await;
                continue;
            };
            let [high, low] = identifier.to_be_bytes();
            self.0.send(&[0x40, 2, high, low]).await;
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
        self.0.send(&bytes[..len]).await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
