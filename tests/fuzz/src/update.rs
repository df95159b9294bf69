//! A firmware update on ThingsBoard: wrong, late and missing chunks, lost links, restarts, a store that fails or rots.
//!
//! What has to hold: what is activated is an image that was offered, whole and unaltered; the store is written in order;
//! and once server and store are good again, a new offer is installed.

use std::{
    collections::VecDeque,
    pin::pin,
    task::{Context, Poll, Waker},
};

use arbitrary::{Arbitrary, Unstructured};
use mqtt_core::{
    Instant, Publication,
    codec::{TopicName, Writer},
    platform::{
        thingsboard::{
            Device,
            update::{Chunk, Package, UpdateOptions, UpdatePhase, Updater},
        },
        update::{Algorithm, AnyChecksum, Checksum, UpdateStore},
    },
};

#[derive(Arbitrary, Debug)]
struct Story {
    block_len: u8,
    chunk_len: u8,
    save_every: u8,
    by_hand: bool,
    first: Offer,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Offer {
    algorithm: u8,
    len: u16,
    seed: u8,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The server answers what was asked for first.
    Answer(Answer),
    Answers(u8),
    Offer(Offer),
    /// The same with one member of it wrong.
    BadOffer(Offer, u8),
    Withdraw,
    Message(u8, Vec<u8>),
    Wait(u16),
    LinkLost,
    Restart,
    Install,
    Fail(u8),
    Rot(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Answer {
    Right,
    Pieces(u8),
    Cut(u8),
    Twice,
    Empty,
    Short(u8),
    Long(u8),
    OtherIndex(u8),
    OtherNumber(u8),
    Corrupt(u16),
    Refused(u8),
    Lost,
}

/// Operations as [`arbitrary`] makes them of the input.
pub fn run(input: &[u8]) {
    if let Ok(story) = Story::arbitrary_take_rest(Unstructured::new(input)) {
        World::new(&story).plays(&story);
    }
}

const DEVICE: Device = Device::new();
const TITLE: &str = "thermostat";
const CAPACITY: usize = 4096;
const NAMES: [&str; 7] = [
    "MD5",
    "SHA256",
    "SHA384",
    "SHA512",
    "CRC32",
    "MURMUR3_32",
    "MURMUR3_128",
];
const MOST_STEPS: usize = 80;

/// Flash: erased block by block, and each byte is written once.
struct Flash {
    bytes: Vec<Option<u8>>,
    block_len: usize,
    record: Vec<u8>,
    /// So many operations succeed before one fails.
    until_failure: usize,
    /// All images that were offered.
    offered: Vec<Vec<u8>>,
    activated: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Broken;

impl Flash {
    fn may_fail(&mut self) -> Result<(), Broken> {
        match self.until_failure {
            usize::MAX => Ok(()),
            0 => {
                self.until_failure = usize::MAX;
                Err(Broken)
            }
            _ => {
                self.until_failure -= 1;
                Ok(())
            }
        }
    }
}

impl UpdateStore for &mut Flash {
    type Error = Broken;

    fn capacity(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap()
    }

    fn block_len(&self) -> u32 {
        u32::try_from(self.block_len).unwrap()
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        for (at, byte) in (offset as usize..).zip(bytes) {
            if at.is_multiple_of(self.block_len) {
                let end = self.bytes.len().min(at + self.block_len);
                self.bytes[at..end].fill(None);
            }
            assert_eq!(self.bytes[at], None, "byte {at} is written twice");
            let gap = at % self.block_len != 0 && self.bytes[at - 1].is_none();
            assert!(!gap, "a gap before byte {at}");
            self.bytes[at] = Some(*byte);
        }
        self.may_fail()
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        self.may_fail()
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        assert!(bytes.len() <= 128);
        for (at, byte) in (offset as usize..).zip(bytes) {
            *byte = self.bytes[at].expect("what was written is read");
        }
        self.may_fail()
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Broken> {
        self.may_fail()?;
        self.record = record.to_vec();
        Ok(())
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Broken> {
        self.may_fail()?;
        record[..self.record.len()].copy_from_slice(&self.record);
        Ok(self.record.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Broken> {
        self.may_fail()?;
        let image: Option<Vec<u8>> = self.bytes[..len as usize].iter().copied().collect();
        let image = image.expect("a part of the image is missing");
        assert!(
            self.offered.contains(&image),
            "another image than was offered is installed"
        );
        self.activated = Some(image);
        Ok(())
    }
}

/// The server.
#[derive(Default)]
struct Server {
    attributes: String,
    image: Vec<u8>,
    /// Requests that are not answered: number, index and length.
    asked: VecDeque<(u32, usize, usize)>,
    offers: u32,
}

impl Server {
    fn offer(&mut self, offer: Offer) {
        self.offers += 1;
        let len = usize::from(offer.len) % CAPACITY;
        self.image = (0..len.max(1))
            .map(|at| at.to_le_bytes()[0].wrapping_mul(31) ^ offer.seed)
            .collect();
        let version = format!("2.{}", self.offers);
        self.attributes = attributes(&self.image, &version, offer.algorithm);
    }

    /// Answers a request of attributes, and notes what else was asked for.
    fn hears(&mut self, topic: &str, payload: &[u8]) -> Option<(String, Vec<u8>)> {
        if let Some(id) = topic.strip_prefix("v1/devices/me/attributes/request/") {
            let topic = format!("v1/devices/me/attributes/response/{id}");
            let answer = format!("{{\"shared\":{}}}", self.attributes);
            return Some((topic, answer.into_bytes()));
        }
        if topic == "v1/devices/me/telemetry" {
            serde_json::from_slice::<serde_json::Value>(payload).expect("a report is JSON");
            return None;
        }
        let request = topic.strip_prefix("v2/fw/request/").expect("no such topic");
        let (id, index) = request.split_once("/chunk/").expect("a chunk");
        let len = std::str::from_utf8(payload).unwrap().parse().unwrap();
        let request = (id.parse().unwrap(), index.parse().unwrap(), len);
        self.asked.push_back(request);
        None
    }

    fn chunk(&self, index: usize, len: usize) -> Vec<u8> {
        let start = self.image.len().min(index.saturating_mul(len));
        let end = self.image.len().min(start.saturating_add(len));
        self.image[start..end].to_vec()
    }
}

fn attributes(image: &[u8], version: &str, algorithm: u8) -> String {
    let index = usize::from(algorithm) % NAMES.len();
    let mut checksum = AnyChecksum::begin(Algorithm::ALL[index]).expect("any");
    checksum.update(image);
    let checksum = checksum.finish();
    let (len, name) = (image.len(), NAMES[index]);
    format!(
        r#"{{"fw_title":"{TITLE}","fw_version":"{version}","fw_size":{len},"fw_checksum":"{checksum}","fw_checksum_algorithm":"{name}"}}"#
    )
}

struct World {
    server: Server,
    options: UpdateOptions<'static>,
    now: Instant,
    flash: Flash,
}

impl World {
    fn new(story: &Story) -> Self {
        let block_len = [1, 64, 256, 1000][usize::from(story.block_len) % 4];
        Self {
            server: Server::default(),
            options: UpdateOptions {
                chunk_len: 16 + 8 * u32::from(story.chunk_len),
                save_every: 1 + 16 * u32::from(story.save_every),
                automatic: !story.by_hand,
                attempts: 4,
                ..UpdateOptions::new(Package::Firmware, TITLE, "1.0")
            },
            now: Instant::from_millis(u32::MAX - 20_000),
            flash: Flash {
                bytes: vec![Some(0x55); CAPACITY],
                block_len,
                record: Vec::new(),
                until_failure: usize::MAX,
                offered: Vec::new(),
                activated: None,
            },
        }
    }

    fn plays(mut self, story: &Story) {
        self.server.offer(story.first);
        self.flash.offered.push(self.server.image.clone());
        let mut steps = story.steps.iter().take(MOST_STEPS).peekable();
        while steps.peek().is_some() {
            let mut run = Run::new(&mut self);
            run.advance();
            for step in steps.by_ref() {
                if let Step::Restart = step {
                    break;
                }
                run.does(step);
                run.advance();
            }
        }
        self.ends();
    }

    /// Everything is good from now on.
    fn ends(mut self) {
        self.flash.until_failure = usize::MAX;
        self.options.automatic = true;
        self.flash.activated = None;
        let image = vec![0x77; 700];
        self.flash.offered.push(image.clone());
        self.server.image.clone_from(&image);
        self.server.attributes = attributes(&image, "final", 1);
        let mut run = Run::new(&mut self);
        for _ in 0..1_000 {
            run.advance();
            if run.updater.update().phase() == UpdatePhase::Installed {
                break;
            }
            if run.server.asked.is_empty() {
                *run.now = run.now.plus(1_000);
            } else {
                run.answers(Answer::Right);
            }
        }
        assert_eq!(run.updater.update().phase(), UpdatePhase::Installed);
        assert_eq!(self.flash.activated, Some(image));
    }
}

/// From one start of the device to the next.
struct Run<'w> {
    server: &'w mut Server,
    now: &'w mut Instant,
    updater: Updater<'static, &'w mut Flash>,
}

impl<'w> Run<'w> {
    fn new(world: &'w mut World) -> Self {
        world.server.asked.clear();
        let mut updater = now_or_never(Updater::open(DEVICE, world.options, &mut world.flash));
        updater.update().connected();
        Self {
            server: &mut world.server,
            now: &mut world.now,
            updater,
        }
    }

    /// Lets the device do what is due, and the server answer what needs no chunk.
    fn advance(&mut self) {
        for _ in 0..200 {
            let mut out = Vec::new();
            let next = now_or_never(self.updater.advance_with(*self.now, |message| {
                out.push(bytes_of(message));
                true
            }));
            if out.is_empty() && next != Some(*self.now) {
                return;
            }
            for (topic, payload) in out {
                if let Some((topic, answer)) = self.server.hears(&topic, &payload) {
                    self.receives(&topic, &answer);
                }
            }
        }
        panic!("the device is busy without end");
    }

    fn does(&mut self, step: &Step) {
        match step {
            Step::Answer(answer) => self.answers(*answer),
            Step::Answers(count) => {
                for _ in 0..count % 64 {
                    self.answers(Answer::Right);
                    self.advance();
                }
            }
            Step::Offer(offer) => {
                self.server.offer(*offer);
                let image = self.server.image.clone();
                self.updater.store().offered.push(image);
                self.tells();
            }
            Step::BadOffer(offer, how) => {
                self.server.offer(*offer);
                self.spoil(*how);
                self.tells();
            }
            Step::Withdraw => {
                let deleted = br#"{"deleted":["fw_title","fw_version"]}"#;
                self.receives("v1/devices/me/attributes", deleted);
            }
            Step::Message(topic, payload) => {
                let topic = [
                    "v1/devices/me/attributes/response/1",
                    "v2/fw/error",
                    "v2/fw/response/1/chunk/0",
                    "v2/sw/response/1/chunk/0",
                    "v2/fw/response/99999999999/chunk/0",
                ][usize::from(*topic) % 5];
                // Whatever lies in such a chunk may be stored, but not be installed.
                self.receives(topic, payload);
            }
            Step::Wait(ms) => *self.now = self.now.plus((*ms).into()),
            Step::LinkLost => self.reconnects(),
            Step::Install => self.updater.update().install(),
            Step::Fail(after) => self.updater.store().until_failure = usize::from(*after),
            Step::Rot(at) => {
                let at = usize::from(*at) % CAPACITY;
                let byte = &mut self.updater.store().bytes[at];
                *byte = byte.map(|byte| byte ^ 4);
            }
            Step::Restart => {}
        }
    }

    /// One thing about the offer is not as it should be.
    fn spoil(&mut self, how: u8) {
        let (from, to) = [
            ("fw_size\":", "fw_size\":1"),
            ("fw_size\":", "fw_size\":-"),
            ("fw_checksum\":\"", "fw_checksum\":\"0"),
            ("fw_checksum\":\"", "fw_checksum\":null,\"x\":\""),
            ("_algorithm\":\"", "_algorithm\":\"X"),
            ("fw_title", "fw_name"),
            ("fw_version", "fw_url"),
            ("\"}", "\",\"fw_url\":\"http://h/f\"}"),
        ][usize::from(how) % 8];
        self.server.attributes = self.server.attributes.replacen(from, to, 1);
    }

    fn tells(&mut self) {
        let attributes = self.server.attributes.clone();
        self.receives("v1/devices/me/attributes", attributes.as_bytes());
    }

    fn answers(&mut self, answer: Answer) {
        let Some((id, index, len)) = self.server.asked.pop_front() else {
            return;
        };
        let mut bytes = self.server.chunk(index, len);
        let topic = |id: u32, index: usize| format!("v2/fw/response/{id}/chunk/{index}");
        let right = topic(id, index);
        match answer {
            Answer::Right => self.receives(&right, &bytes),
            Answer::Pieces(len) => self.receives_pieces(&right, &bytes, len, bytes.len()),
            Answer::Cut(len) => {
                let arriving = bytes.len() / 3;
                self.receives_pieces(&right, &bytes, len, arriving);
                self.reconnects();
            }
            Answer::Twice => {
                self.receives(&right, &bytes);
                self.receives(&right, &bytes);
            }
            Answer::Empty => self.receives(&right, b""),
            Answer::Short(less) => {
                bytes.truncate(bytes.len().saturating_sub(usize::from(less)));
                self.receives(&right, &bytes);
            }
            Answer::Long(more) => {
                bytes.resize(bytes.len() + usize::from(more), 0);
                self.receives(&right, &bytes);
            }
            Answer::OtherIndex(by) => {
                bytes.reverse();
                self.receives(&topic(id, index + usize::from(by)), &bytes);
            }
            Answer::OtherNumber(by) => {
                bytes.reverse();
                self.receives(&topic(id.wrapping_sub(by.into()), index), &bytes);
            }
            Answer::Corrupt(at) => {
                let at = usize::from(at) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                self.receives(&right, &bytes);
            }
            Answer::Refused(why) => {
                let why = ["NOT_FOUND", "PAYLOAD_TOO_LARGE", "FAILURE"][usize::from(why) % 3];
                self.receives("v2/fw/error", why.as_bytes());
                self.reconnects();
            }
            Answer::Lost => {}
        }
    }

    fn reconnects(&mut self) {
        self.server.asked.clear();
        self.updater.update().link_lost();
        *self.now = self.now.plus(500);
        self.updater.update().connected();
    }

    fn receives(&mut self, topic: &str, payload: &[u8]) {
        now_or_never(self.updater.receive((topic, payload), *self.now));
    }

    /// In pieces of `len` bytes, of which so many bytes arrive.
    fn receives_pieces(&mut self, topic: &str, payload: &[u8], len: u8, arriving: usize) {
        let topic = TopicName::new(topic).expect("a topic");
        let payload_len = u32::try_from(payload.len()).unwrap();
        let update = self.updater.update();
        if update.begin_chunk(topic, payload_len, *self.now) == Chunk::Wanted {
            for piece in payload[..arriving].chunks(usize::from(len).max(1)) {
                now_or_never(self.updater.piece(piece));
            }
            self.updater.update().end_chunk();
        }
    }
}

fn bytes_of(publication: &impl Publication) -> (String, Vec<u8>) {
    let (mut topic, mut payload) = ([0; 128], [0; 512]);
    let mut writer = Writer::new(&mut topic);
    publication.write_topic(&mut writer).expect("a topic");
    let topic_len = writer.len();
    let mut writer = Writer::new(&mut payload);
    publication.write_payload(&mut writer).expect("a payload");
    let len = writer.len();
    let topic = std::str::from_utf8(&topic[..topic_len]).expect("UTF-8");
    (topic.to_owned(), payload[..len].to_vec())
}

/// Nothing here waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store waits"),
    }
}
