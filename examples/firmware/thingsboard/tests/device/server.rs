//! A server at the other end of a pipe: it lets the device in, and takes and sends messages.

use mqtt_core::codec::{Packet, Publish, TopicName, Version};

use crate::pipe::{Links, Stream};

/// One link of the device.
pub(crate) struct Link(Stream);

/// A message of the device.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
}

/// Takes a link whose device shows the token `token`, and grants its subscriptions; they are returned too.
pub(crate) async fn accept(links: &mut Links) -> (Link, Vec<String>) {
    let mut stream = links.next().await;
    stream.next(expect_connect).await;
    stream.send(&[0x20, 2, 0, 0]).await;
    let (identifier, filters) = stream
        .next(|packet| match packet {
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters.iter();
                (
                    subscribe.packet_identifier.get(),
                    filters
                        .map(|filter| filter.filter.as_str().to_owned())
                        .collect::<Vec<_>>(),
                )
            }
            other => panic!("{other:?} before SUBSCRIBE"),
        })
        .await;
    let [high, low] = identifier.to_be_bytes();
    let granted = vec![1; filters.len()];
    let len = u8::try_from(2 + granted.len()).unwrap();
    stream
        .send(&[&[0x90, len, high, low][..], &granted].concat())
        .await;
    (Link(stream), filters)
}

/// Takes a link and refuses the device: not authorised.
pub(crate) async fn refuse(links: &mut Links) {
    let mut stream = links.next().await;
    stream.next(expect_connect).await;
    stream.send(&[0x20, 2, 0, 5]).await;
}

fn expect_connect(packet: Packet<'_>) {
    match packet {
        Packet::Connect(connect) => assert_eq!(connect.user_name, Some("token")),
        other => panic!("{other:?} before CONNECT"),
    }
}

impl Link {
    /// The next message on this topic. Messages are acknowledged, PINGREQ is answered.
    pub(crate) async fn message(&mut self, topic: &str) -> Message {
        loop {
            let message = self.any_message().await.expect("a link");
            if message.topic == topic {
                return message;
            }
        }
    }

    /// The next message; `None` when the device has taken its leave.
    pub(crate) async fn any_message(&mut self) -> Option<Message> {
        loop {
            let next = self.0.next(|packet| match packet {
                Packet::Publish(publish) => {
                    let message = Message {
                        topic: publish.topic.as_str().to_owned(),
                        payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
                    };
                    Some((publish.packet_identifier, Some(message)))
                }
                Packet::Disconnect(_) => Some((None, None)),
                Packet::PingReq => None,
                other => panic!("unexpected {other:?}"),
            });
            let Some((identifier, message)) = next.await else {
                self.0.send(&[0xd0, 0]).await;
                continue;
            };
            if let Some(identifier) = identifier {
                let [high, low] = identifier.get().to_be_bytes();
                self.0.send(&[0x40, 2, high, low]).await;
            }
            return message;
        }
    }

    /// Sends a message at QoS 0.
    pub(crate) async fn send(&mut self, topic: &str, payload: &[u8]) {
        let mut bytes = vec![0; 4096];
        let publish = Publish::new(TopicName::new(topic).unwrap(), payload);
        let len = publish.encode(Version::V3_1_1, &mut bytes).unwrap();
        self.0.send(&bytes[..len]).await;
    }
}
