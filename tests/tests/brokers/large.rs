//! Messages larger than the buffers.

use mqtt_core::codec::QoS;
use mqtt_std::{Message, Oversize};
use mqtt_tests::device::Device;
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};

use super::{VERSIONS, options};

#[test]
fn a_hundred_kilobytes_come_in_chunks() {
    transfers(100_000);
}

#[test]
fn a_megabyte_is_published_from_a_reader() {
    transfers(1_000_000);
}

/// Both clients have buffers of 4 KiB.
fn transfers(len: usize) {
    let broker = Mosquitto::start(Setup::default());
    let content: Vec<u8> = (0_u8..=250).cycle().take(len).collect();
    for version in VERSIONS {
        let options = || {
            options(&broker, Listener::Plain)
                .version(version)
                .tx_buffer(4096)
        };
        let receiver = options().rx_buffer(4096).oversize(Oversize::Stream);
        let mut receiver = Device::connect(receiver);
        let subscribe = receiver.client.subscribe("large", QoS::AtLeastOnce);
        receiver.wait(subscribe).expect("subscribed");
        let sender = Device::connect(options());
        let head = Message::new("large", b"").at_least_once();
        let total = u32::try_from(len).expect("32 bits");
        let mut reader = &content[..];
        let stream = sender.client.publish_stream(&head, total, &mut reader);
        let mut delivery = sender.wait(stream).expect("streamed");
        sender.wait(delivery.acknowledged()).expect("acknowledged");

        let mut message = receiver
            .executor
            .wait(receiver.inbox.next())
            .expect("a message");
        assert_eq!(
            (message.topic().as_str(), message.total_len()),
            ("large", total)
        );
        let mut arrived = Vec::new();
        while let Some(chunk) = receiver.executor.wait(message.chunk()).expect("a link") {
            arrived.extend_from_slice(chunk);
        }
        assert!(arrived == content, "{} bytes differ", arrived.len());
    }
}
