//! An update of firmware on the client: whole chunks, streamed ones, and a link that is lost inside one.
#![allow(
    clippy::large_futures,
    clippy::large_types_passed_by_value,
    reason = "memory is plentiful here"
)]

use std::{cell::RefCell, convert::Infallible, future::poll_fn, pin::pin, rc::Rc, task::Poll};

use crate::support::{Config, Link, Test, World, wire, world::Q1};
use mqtt_core::{
    Instant,
    client::{Client, Inbox, Kind},
    codec::{Packet, PacketIdentifier},
    platform::{
        thingsboard::{
            Device,
            update::{Package, UpdateOptions, UpdatePhase, Updater, chunk_len_for},
        },
        update::{Algorithm, AnyChecksum, Checksum, UpdateStore},
    },
    session::Oversize,
};

/// A store in memory.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Content>>);

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    record: Vec<u8>,
    writes: usize,
    activated: Option<Vec<u8>>,
}

impl UpdateStore for Memory {
    type Error = Infallible;

    fn capacity(&self) -> u32 {
        1 << 20
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let mut content = self.0.borrow_mut();
        content.bytes.truncate(offset as usize);
        assert_eq!(content.bytes.len(), offset as usize);
        content.bytes.extend(bytes);
        content.writes += 1;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let at = offset as usize;
        bytes.copy_from_slice(&self.0.borrow().bytes[at..at + bytes.len()]);
        Ok(())
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().record = record.to_vec();
        Ok(())
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Infallible> {
        let content = self.0.borrow();
        record[..content.record.len()].copy_from_slice(&content.record);
        Ok(content.record.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Infallible> {
        let mut content = self.0.borrow_mut();
        content.activated = Some(content.bytes[..len as usize].to_vec());
        Ok(())
    }
}

/// What a program does, with a `select` of its own.
async fn application(
    client: Client<Test>,
    mut inbox: Inbox<Test>,
    options: UpdateOptions<'static>,
    store: Memory,
) {
    let mut updater = Updater::<_, AnyChecksum>::open(Device::new(), options, store).await;
    while updater.update().phase() != UpdatePhase::Installed {
        let wake = updater.advance(&client).await;
        {
            let mut next = pin!(inbox.next());
            let mut sleep = pin!(Test::sleep_until(wake));
            let received = poll_fn(|cx| match next.as_mut().poll(cx) {
                Poll::Ready(message) => Poll::Ready(Some(message.expect("a message"))),
                Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
            });
            if let Some(mut message) = received.await {
                updater.receive_from(&mut message).await;
            }
        }
    }
}

fn image() -> Vec<u8> {
    (0..5_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

/// Answers what has come in on the link; `cut` says after how many bytes of which chunk the link ends.
fn answer(link: &Link, image: &[u8], cut: &mut Option<(usize, usize)>) {
    let requests = link.packets(|packet| match packet {
        Packet::Publish(publish) => {
            let identifier = publish.packet_identifier.map_or(0, PacketIdentifier::get);
            Some((
                publish.topic.to_string(),
                publish.payload.to_vec(),
                identifier,
            ))
        }
        _ => None,
    });
    for (topic, payload, identifier) in requests.into_iter().flatten() {
        if identifier != 0 {
            link.sends(wire::puback(identifier));
        }
        if let Some(id) = topic.strip_prefix("v1/devices/me/attributes/request/") {
            let mut checksum = AnyChecksum::begin(Algorithm::Crc32).unwrap();
            checksum.update(image);
            let text = format!(
                r#"{{"shared":{{"fw_title":"t","fw_version":"2","fw_size":5000,"fw_checksum_algorithm":"CRC32","fw_checksum":"{}"}}}}"#,
                checksum.finish()
            );
            let topic = format!("v1/devices/me/attributes/response/{id}");
            link.sends(wire::publish(Q1, 1, &topic, text));
        } else if let Some(request) = topic.strip_prefix("v2/fw/request/") {
            let index: usize = request.rsplit('/').next().unwrap().parse().unwrap();
            let len: usize = String::from_utf8(payload).unwrap().parse().unwrap();
            let bytes = &image[index * len..image.len().min(index * len + len)];
            let packet = wire::publish(Q1, 2, &topic.replace("request", "response"), bytes);
            match cut.take_if(|(chunk, _)| *chunk == index) {
                Some((_, after)) => {
                    link.sends(&packet[..after]);
                    link.hangs_up();
                    return;
                }
                None => link.sends(packet),
            }
        }
    }
}

/// Runs an update to its end; how long it took.
fn run(config: Config, chunk_len: u32, mut cut: Option<(usize, usize)>) -> (Memory, u32) {
    let store = Memory::default();
    let (mut world, inbox, link) = World::connected(config);
    let options = UpdateOptions {
        chunk_len,
        ..UpdateOptions::new(Package::Firmware, "t", "1")
    };
    let client = world.client.clone();
    let done = world.spawn(
        "application",
        application(client, inbox, options, store.clone()),
    );
    let mut link = link;
    let image = image();
    let start = crate::support::clock::now();
    for _ in 0..1_000 {
        world.run();
        if done.is_ready() {
            return (store, Instant::since(crate::support::clock::now(), start));
        }
        let is_cut = cut.is_some();
        answer(&link, &image, &mut cut);
        if is_cut && cut.is_none() {
            world.run();
            link = world.reconnect(false);
        }
        world.advance(10);
    }
    panic!("no end");
}

fn streaming() -> Config {
    let mut config = Config::new().options(|options| options.oversize = Oversize::Stream);
    config.rx = 256;
    config
}

#[test]
fn chunks_that_fit_the_receive_buffer_are_taken_whole() {
    let mut config = Config::new();
    config.rx = 600;
    let (store, _) = run(config, chunk_len_for(600), None);
    assert_eq!(store.0.borrow().activated, Some(image()));
    assert_eq!(store.0.borrow().writes, 5_000_usize.div_ceil(600 - 72));
}

#[test]
fn chunks_larger_than_the_receive_buffer_are_streamed_through_it() {
    let (store, _) = run(streaming(), 2_000, None);
    assert_eq!(store.0.borrow().activated, Some(image()));
    assert!(store.0.borrow().writes > 15);
}

#[test]
fn an_update_goes_on_at_the_byte_where_the_link_was_lost() {
    for after in [1, 40, 700, 1_500] {
        let (store, _) = run(streaming(), 2_000, Some((1, after)));
        assert_eq!(store.0.borrow().activated, Some(image()), "{after}");
    }
}

#[test]
fn a_new_link_is_noticed_while_nothing_else_happens() {
    let (store, elapsed) = run(
        Config {
            rx: 1_000,
            ..Config::new()
        },
        900,
        Some((3, 2)),
    );
    assert_eq!(store.0.borrow().activated, Some(image()));
    assert!(elapsed < 30_000, "{elapsed}");
}
