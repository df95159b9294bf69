//! Updates of firmware on bad links, with bad luck, and over restarts.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use mqtt_core::{
    Instant, Publication,
    codec::{TopicName, Writer},
    platform::{
        thingsboard::{
            Device,
            update::{
                Chunk, ChunkRefusal, Package, UpdateError, UpdateOptions, UpdatePhase, Updater,
            },
        },
        update::{Algorithm, AnyChecksum, Checksum, Sha256, UpdateStore},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

const DEVICE: Device = Device::new();
const TITLE: &str = "thermostat";

/// Nothing here waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store waits"),
    }
}

fn image(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn hexadecimal(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut checksum = AnyChecksum::begin(algorithm).unwrap();
    checksum.update(bytes);
    checksum.finish().to_string()
}

/// Flash: erased block by block, and each byte is written once.
#[derive(Clone)]
struct Flash {
    bytes: Vec<Option<u8>>,
    block_len: usize,
    record: Vec<u8>,
    activated: Option<Vec<u8>>,
    activations: usize,
    /// This many writes succeed.
    writes_left: usize,
    /// A bit of this byte flips when it is written.
    flips: Option<usize>,
}

impl Flash {
    fn new(capacity: usize, block_len: usize) -> Self {
        Self {
            bytes: vec![Some(0x55); capacity],
            block_len,
            record: Vec::new(),
            activated: None,
            activations: 0,
            writes_left: usize::MAX,
            flips: None,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Broken;

impl UpdateStore for &mut Flash {
    type Error = Broken;

    fn capacity(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap()
    }

    fn block_len(&self) -> u32 {
        u32::try_from(self.block_len).unwrap()
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        if self.writes_left == 0 {
            return Err(Broken);
        }
        self.writes_left -= 1;
        for (at, byte) in (offset as usize..).zip(bytes) {
            if at.is_multiple_of(self.block_len) {
                let end = self.bytes.len().min(at + self.block_len);
                self.bytes[at..end].fill(None);
            }
            assert_eq!(self.bytes[at], None, "byte {at} is written twice");
            let flipped = u8::from(self.flips == Some(at));
            self.bytes[at] = Some(*byte ^ flipped);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        for (at, byte) in (offset as usize..).zip(bytes) {
            *byte = self.bytes[at].unwrap();
        }
        Ok(())
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Broken> {
        self.record = record.to_vec();
        Ok(())
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Broken> {
        record[..self.record.len()].copy_from_slice(&self.record);
        Ok(self.record.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Broken> {
        let image = self.bytes[..len as usize].iter().map(|byte| byte.unwrap());
        self.activated = Some(image.collect());
        self.activations += 1;
        Ok(())
    }
}

/// What goes wrong with the answer to a request of a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// No answer.
    Lost,
    /// The answer comes after the time-out, beside that to the next request.
    Late,
    /// The answer comes twice.
    Twice,
    /// The answer comes again before the next one.
    Again,
    /// Something under an old number comes first.
    WrongNumber,
    /// The answer is empty, since the server has forgotten the package for this number.
    Forgotten,
    /// One byte is missing.
    Short,
    /// Another chunk comes first.
    WrongIndex,
    /// The link is lost instead of an answer.
    LinkLost,
    /// The link is lost in the middle of the answer.
    LinkLostInside,
    /// The device restarts instead of an answer.
    Restart,
    /// The device restarts when the answer has been stored.
    RestartAfter,
    /// One bit is wrong.
    Corrupt,
    /// The server refuses and closes the link.
    Refused(ChunkRefusal),
}

const HARMLESS: [Fault; 13] = [
    Fault::None,
    Fault::Lost,
    Fault::Late,
    Fault::Twice,
    Fault::Again,
    Fault::WrongNumber,
    Fault::Forgotten,
    Fault::Short,
    Fault::WrongIndex,
    Fault::LinkLost,
    Fault::LinkLostInside,
    Fault::Restart,
    Fault::RestartAfter,
];

/// The server, and what it has heard.
struct Server {
    package: Package,
    attributes: Value,
    image: Vec<u8>,
    /// Faults of the next requests of chunks.
    faults: VecDeque<Fault>,
    /// Numbers of requests for which the package is forgotten.
    forgotten: Vec<u32>,
    /// Answers that come with the next one.
    late: Vec<Reply>,
    /// Reports, in order.
    reports: Vec<String>,
    errors: Vec<String>,
    requests: usize,
    largest_chunk: usize,
}

/// What the server does.
#[derive(Debug)]
enum Reply {
    Message(String, Vec<u8>),
    /// So much of it arrives before the link is lost.
    Cut(String, Vec<u8>, usize),
    Close,
    Restart,
}

impl Server {
    fn new(image: &[u8]) -> Self {
        let mut server = Self {
            package: Package::Firmware,
            attributes: Value::Null,
            image: image.to_vec(),
            faults: VecDeque::new(),
            forgotten: Vec::new(),
            late: Vec::new(),
            reports: Vec::new(),
            errors: Vec::new(),
            requests: 0,
            largest_chunk: usize::MAX,
        };
        server.assign("2.0", Algorithm::Sha256);
        server
    }

    fn assign(&mut self, version: &str, algorithm: Algorithm) {
        let name = match algorithm {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha384 => "SHA384",
            Algorithm::Sha512 => "SHA512",
            Algorithm::Crc32 => "CRC32",
            Algorithm::Murmur3x32 => "MURMUR3_32",
            Algorithm::Murmur3x128 => "MURMUR3_128",
        };
        let short = self.short();
        self.attributes = json!({
            format!("{short}_title"): TITLE,
            format!("{short}_version"): version,
            format!("{short}_size"): self.image.len(),
            format!("{short}_checksum_algorithm"): name,
            format!("{short}_checksum"): hexadecimal(algorithm, &self.image),
        });
    }

    fn short(&self) -> &'static str {
        match self.package {
            Package::Firmware => "fw",
            Package::Software => "sw",
        }
    }

    fn hears(&mut self, topic: &str, payload: &[u8]) -> Vec<Reply> {
        if let Some(id) = topic.strip_prefix("v1/devices/me/attributes/request/") {
            let answer = json!({"shared": self.attributes}).to_string();
            let topic = format!("v1/devices/me/attributes/response/{id}");
            return vec![Reply::Message(topic, answer.into_bytes())];
        }
        if topic == "v1/devices/me/telemetry" {
            let report: Value = serde_json::from_slice(payload).unwrap();
            let member = |name: &str| report[format!("{}_{name}", self.short())].as_str();
            let state = member("state").unwrap_or("CURRENT").to_owned();
            self.errors.extend(member("error").map(str::to_owned));
            self.reports.push(state);
            return Vec::new();
        }
        let request = topic
            .strip_prefix(&format!("v2/{}/request/", self.short()))
            .unwrap();
        let (id, index) = request.split_once("/chunk/").unwrap();
        let len: usize = std::str::from_utf8(payload).unwrap().parse().unwrap();
        self.chunk(id.parse().unwrap(), index.parse().unwrap(), len)
    }

    fn chunk(&mut self, id: u32, index: usize, len: usize) -> Vec<Reply> {
        self.requests += 1;
        if len > self.largest_chunk {
            return self.refuse("PAYLOAD_TOO_LARGE");
        }
        let start = index * len;
        let bytes = self.image[start..self.image.len().min(start + len)].to_vec();
        let short = self.short();
        let topic = |index| format!("v2/{short}/response/{id}/chunk/{index}");
        let message = |bytes: &[u8]| Reply::Message(topic(index), bytes.to_vec());
        let garbage = bytes.iter().map(|byte| !byte).collect();
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        if self.forgotten.contains(&id) {
            return vec![message(&[])];
        }
        if !self.late.is_empty() {
            let mut replies = std::mem::take(&mut self.late);
            replies.push(message(&bytes));
            return replies;
        }
        match fault {
            Fault::None => vec![message(&bytes)],
            Fault::Lost => Vec::new(),
            Fault::Late => {
                self.late.push(message(&bytes));
                Vec::new()
            }
            Fault::Twice => vec![message(&bytes), message(&bytes)],
            Fault::Forgotten => {
                self.forgotten.push(id);
                vec![message(&[])]
            }
            Fault::Short => vec![message(&bytes[1..])],
            Fault::WrongIndex => vec![Reply::Message(topic(index + 1), garbage), message(&bytes)],
            Fault::WrongNumber => {
                let topic = format!("v2/{short}/response/{}/chunk/{index}", id - 2);
                vec![Reply::Message(topic, garbage), message(&bytes)]
            }
            Fault::Again => {
                self.late.push(message(&bytes));
                vec![message(&bytes)]
            }
            Fault::LinkLost => vec![Reply::Close],
            Fault::LinkLostInside => vec![Reply::Cut(topic(index), bytes.clone(), bytes.len() / 3)],
            Fault::Restart => vec![Reply::Restart],
            Fault::RestartAfter => vec![message(&bytes), Reply::Restart],
            Fault::Corrupt => {
                let mut bytes = bytes.clone();
                bytes[0] ^= 0x80;
                vec![message(&bytes)]
            }
            Fault::Refused(ChunkRefusal::NotFound) => self.refuse("NOT_FOUND"),
            Fault::Refused(ChunkRefusal::PayloadTooLarge) => self.refuse("PAYLOAD_TOO_LARGE"),
            Fault::Refused(_) => self.refuse("FAILURE"),
        }
    }

    /// Also for software on the topic of firmware.
    #[allow(clippy::unused_self, reason = "reads like the others")]
    fn refuse(&self, reason: &str) -> Vec<Reply> {
        vec![
            Reply::Message("v2/fw/error".to_owned(), reason.as_bytes().to_vec()),
            Reply::Close,
        ]
    }
}

/// A device and its server.
struct World<'f, C> {
    server: Server,
    updater: Updater<'static, &'f mut Flash, C>,
    now: Instant,
    /// Receive chunks in pieces of this length.
    piece_len: usize,
}

/// Why a run stopped.
#[derive(Debug, PartialEq)]
enum Stop {
    Phase(UpdatePhase),
    Restart,
    /// Nothing to do.
    Quiet,
}

fn open<'f, C: Checksum>(
    server: Server,
    options: UpdateOptions<'static>,
    flash: &'f mut Flash,
) -> World<'f, C> {
    let mut server = server;
    server.forgotten.clear();
    let mut updater = now_or_never(Updater::open(DEVICE, options, flash));
    updater.update().connected();
    World {
        server,
        updater,
        now: Instant::from_millis(u32::MAX - 3_000),
        piece_len: usize::MAX,
    }
}

fn options(chunk_len: u32) -> UpdateOptions<'static> {
    UpdateOptions {
        chunk_len,
        save_every: 4_096,
        ..UpdateOptions::new(Package::Firmware, TITLE, "1.0")
    }
}

impl<C: Checksum> World<'_, C> {
    fn run(&mut self) -> Stop {
        for _ in 0..100_000 {
            let mut out = Vec::new();
            let next = now_or_never(self.updater.advance_with(self.now, |message| {
                out.push(bytes_of(message));
                true
            }));
            let idle = out.is_empty();
            let mut is_answered = false;
            for (topic, payload) in out {
                for reply in self.server.hears(&topic, &payload) {
                    is_answered = true;
                    if self.takes(reply) {
                        return Stop::Restart;
                    }
                }
            }
            let is_done = idle && next != Some(self.now);
            match self.updater.update().phase() {
                phase @ (UpdatePhase::Installed | UpdatePhase::Failed(_)) if is_done => {
                    return Stop::Phase(phase);
                }
                _ => {}
            }
            match next {
                Some(next) if !is_answered => self.now = next,
                None if idle => return Stop::Quiet,
                _ => {}
            }
        }
        panic!("no end, {} requests", self.server.requests);
    }

    /// True if the device restarts.
    fn takes(&mut self, reply: Reply) -> bool {
        match reply {
            Reply::Message(topic, payload) => self.receives(&topic, &payload, payload.len()),
            Reply::Cut(topic, payload, len) => {
                self.receives(&topic, &payload, len);
                self.reconnects();
            }
            Reply::Close => self.reconnects(),
            Reply::Restart => return true,
        }
        false
    }

    fn receives(&mut self, topic: &str, payload: &[u8], arriving: usize) {
        let topic = TopicName::new(topic).unwrap();
        if self.piece_len >= payload.len() && arriving == payload.len() {
            now_or_never(self.updater.receive((topic, payload), self.now));
            return;
        }
        let len = u32::try_from(payload.len()).unwrap();
        match self.updater.update().begin_chunk(topic, len, self.now) {
            Chunk::Wanted => {
                for piece in payload[..arriving].chunks(self.piece_len) {
                    now_or_never(self.updater.piece(piece));
                }
                self.updater.update().end_chunk();
            }
            Chunk::Unwanted => {}
            Chunk::NotOurs => {
                now_or_never(self.updater.receive((topic, payload), self.now));
            }
        }
    }

    fn reconnects(&mut self) {
        self.server.forgotten.clear();
        self.updater.update().link_lost();
        self.now = self.now.plus(1_000);
        self.updater.update().connected();
    }

    /// The server tells of what it has assigned.
    fn pushes(&mut self) {
        let attributes = self.server.attributes.to_string();
        self.receives(
            "v1/devices/me/attributes",
            attributes.as_bytes(),
            attributes.len(),
        );
    }
}

fn bytes_of(publication: &impl Publication) -> (String, Vec<u8>) {
    let (mut topic, mut payload) = (vec![0; 128], vec![0; 512]);
    let mut writer = Writer::new(&mut topic);
    publication.write_topic(&mut writer).unwrap();
    let len = writer.len();
    topic.truncate(len);
    let mut writer = Writer::new(&mut payload);
    publication.write_payload(&mut writer).unwrap();
    let len = writer.len();
    payload.truncate(len);
    (String::from_utf8(topic).unwrap(), payload)
}

/// Runs an update over restarts until it ends.
fn run(
    server: Server,
    options: UpdateOptions<'static>,
    flash: &mut Flash,
    piece_len: usize,
) -> (Stop, Server) {
    let mut server = server;
    for _ in 0..50_000 {
        let mut world: World<'_, AnyChecksum> = open(server, options, &mut *flash);
        world.piece_len = piece_len;
        let stop = world.run();
        server = world.server;
        if stop != Stop::Restart {
            return (stop, server);
        }
    }
    panic!("restarts without end");
}

const INSTALLED: Stop = Stop::Phase(UpdatePhase::Installed);

fn failed(error: UpdateError) -> Stop {
    Stop::Phase(UpdatePhase::Failed(error))
}

#[test]
fn an_image_arrives_and_every_state_is_reported() {
    let image = image(10_000);
    let mut flash = Flash::new(16_384, 4_096);
    let (stop, server) = run(Server::new(&image), options(1_000), &mut flash, usize::MAX);
    assert_eq!(stop, INSTALLED);
    assert_eq!(flash.activated.as_deref(), Some(&image[..]));
    assert_eq!(server.requests, 10);
    assert_eq!(
        server.reports,
        [
            "CURRENT",
            "DOWNLOADING",
            "DOWNLOADED",
            "VERIFIED",
            "UPDATING"
        ]
    );
    // The new firmware starts.
    let new = UpdateOptions::new(Package::Firmware, TITLE, "2.0");
    let (stop, mut server) = run(server, new, &mut flash, usize::MAX);
    assert_eq!(stop, Stop::Quiet);
    assert_eq!(server.reports.split_off(5), ["CURRENT", "UPDATED"]);
    assert!(flash.record.is_empty());
    // And again.
    let (stop, mut server) = run(server, new, &mut flash, usize::MAX);
    assert_eq!(
        (stop, server.reports.split_off(5)),
        (Stop::Quiet, vec!["CURRENT".to_owned()])
    );
    assert_eq!(flash.activations, 1);
}

#[test]
fn every_checksum_is_accepted_and_every_wrong_one_refused() {
    for algorithm in Algorithm::ALL {
        for fault in [Fault::None, Fault::Corrupt] {
            let image = image(1_300);
            let mut server = Server::new(&image);
            server.assign("2.0", algorithm);
            server.faults = [Fault::None, fault].into();
            let mut flash = Flash::new(2_048, 512);
            let (stop, server) = run(server, options(500), &mut flash, usize::MAX);
            if fault == Fault::None {
                assert_eq!(stop, INSTALLED, "{algorithm:?}");
                assert_eq!(flash.activated.as_deref(), Some(&image[..]));
            } else {
                assert_eq!(stop, failed(UpdateError::Checksum), "{algorithm:?}");
                assert_eq!(flash.activated, None);
                assert_eq!(server.reports.last().unwrap(), "FAILED");
                assert_eq!(server.errors, ["checksum is wrong"]);
            }
        }
    }
}

#[test]
fn an_image_of_a_megabyte_survives_a_fault_at_every_chunk() {
    let image = image(1 << 20);
    for (at, fault) in HARMLESS.into_iter().enumerate() {
        // The same fault all the time, and all of them in turns.
        for all_kinds in [false, true] {
            let mut server = Server::new(&image);
            let kinds = HARMLESS.iter().cycle().skip(at);
            server.faults = (0..300)
                .zip(kinds)
                .flat_map(|(_, kind)| [if all_kinds { *kind } else { fault }, Fault::None])
                .collect();
            let mut flash = Flash::new(1 << 20, 4_096);
            let (stop, _) = run(server, options(4_000), &mut flash, 512);
            assert_eq!(stop, INSTALLED, "{fault:?}");
            assert!(flash.activated.as_deref() == Some(&image[..]), "{fault:?}");
        }
    }
}

#[test]
fn a_link_lost_at_each_chunk_and_a_restart_at_each_chunk_cost_little() {
    let image = image(100_000);
    for (fault, at_most) in [
        (Fault::LinkLostInside, 101 + 100),
        (Fault::Restart, 101 + 100 * 6),
    ] {
        let mut server = Server::new(&image);
        server.faults = (0..100).flat_map(|_| [fault, Fault::None]).collect();
        let mut flash = Flash::new(1 << 17, 4_096);
        let (stop, server) = run(server, options(1_000), &mut flash, 100);
        assert_eq!(stop, INSTALLED);
        assert!(flash.activated.as_deref() == Some(&image[..]));
        assert!(
            server.requests <= at_most,
            "{fault:?}: {} requests",
            server.requests
        );
    }
}

#[test]
fn an_image_that_rots_while_it_waits_for_its_installation_is_not_installed() {
    let by_hand = UpdateOptions {
        automatic: false,
        ..options(1_000)
    };
    let mut flash = Flash::new(16_384, 4_096);
    let server = Server::new(&image(10_000));
    let mut world: World<'_, AnyChecksum> = open(server, by_hand, &mut flash);
    assert_eq!(world.run(), Stop::Quiet);
    assert_eq!(world.updater.update().phase(), UpdatePhase::Verified);
    let byte = &mut world.updater.store().bytes[7_777];
    *byte = byte.map(|byte| byte ^ 1);
    world.updater.update().install();
    assert_eq!(world.run(), failed(UpdateError::Checksum));
    assert_eq!((flash.activated, flash.activations), (None, 0));
}

#[test]
fn an_image_that_rots_in_the_store_is_not_installed() {
    let mut flash = Flash::new(16_384, 4_096);
    flash.flips = Some(7_777);
    let (stop, server) = run(
        Server::new(&image(10_000)),
        options(1_000),
        &mut flash,
        usize::MAX,
    );
    assert_eq!(stop, failed(UpdateError::Checksum));
    assert_eq!((flash.activated.clone(), flash.activations), (None, 0));
    // It is not tried again by itself, not even after a restart.
    let requests = server.requests;
    let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
    assert_eq!((stop, server.requests), (Stop::Quiet, requests));
    // But when it is assigned again.
    flash.flips = None;
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    assert_eq!(world.run(), Stop::Quiet);
    world.pushes();
    assert_eq!(world.run(), INSTALLED);
}

#[test]
fn a_chunk_that_never_comes_ends_the_update_until_the_next_link() {
    let image = image(5_000);
    let mut server = Server::new(&image);
    server.faults = [Fault::None; 2]
        .into_iter()
        .chain([Fault::Lost; 12])
        .collect();
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    let start = world.now;
    assert_eq!(world.run(), failed(UpdateError::NoChunk));
    assert_eq!(world.server.requests, 14);
    assert_eq!(world.now.since(start), 12 * 10_000);
    assert_eq!(world.server.errors, ["chunk did not arrive"]);
    world.reconnects();
    assert_eq!(world.run(), INSTALLED);
    // What was there was not asked for again.
    assert_eq!(world.server.requests, 14 + 3);
}

#[test]
fn a_server_that_forgets_the_package_again_and_again_is_not_flooded() {
    let mut server = Server::new(&image(5_000));
    server.faults = [Fault::Forgotten; 100].into();
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    let start = world.now;
    assert_eq!(world.run(), failed(UpdateError::NoChunk));
    assert_eq!(world.server.requests, 12);
    assert!(world.now.since(start) >= 100_000);
    // Each number was used once.
    let mut ids = world.server.forgotten.clone();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}

#[test]
fn a_package_that_is_exchanged_in_the_middle_is_begun_anew() {
    let (old, new) = (image(9_000), image(7_000));
    let mut server = Server::new(&old);
    server.faults = [Fault::None, Fault::None, Fault::Restart].into();
    let mut flash = Flash::new(16_384, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    assert_eq!(world.run(), Stop::Restart);
    let mut server = world.server;
    server.image.clone_from(&new);
    server.assign("3.0", Algorithm::Md5);
    let (stop, _) = run(server, options(1_000), &mut flash, usize::MAX);
    assert_eq!(stop, INSTALLED);
    assert!(flash.activated.as_deref() == Some(&new[..]));
}

#[test]
fn a_chunk_that_the_server_finds_too_large_is_asked_for_in_halves() {
    let image = image(20_000);
    let mut server = Server::new(&image);
    server.largest_chunk = 1_100;
    let mut flash = Flash::new(32_768, 4_096);
    let (stop, server) = run(server, options(4_096), &mut flash, usize::MAX);
    assert_eq!(stop, INSTALLED);
    assert_eq!(server.requests, 2 + 20);
    assert!(flash.activated.as_deref() == Some(&image[..]));
}

#[test]
fn a_refusal_ends_the_update_and_is_not_asked_for_again() {
    for refusal in [ChunkRefusal::NotFound, ChunkRefusal::Failure] {
        let mut server = Server::new(&image(5_000));
        server.faults = [Fault::None, Fault::Refused(refusal)].into();
        let mut flash = Flash::new(8_192, 4_096);
        let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
        assert_eq!(stop, failed(UpdateError::Refused(refusal)));
        let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
        assert_eq!((stop, server.requests), (Stop::Quiet, 2));
    }
}

#[test]
fn software_is_refused_on_the_topic_of_firmware_and_needs_no_restart() {
    let mut server = Server::new(&image(5_000));
    server.package = Package::Software;
    server.assign("2.0", Algorithm::Crc32);
    server.faults = [Fault::Refused(ChunkRefusal::Failure)].into();
    let options = UpdateOptions {
        package: Package::Software,
        ..options(1_000)
    };
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options, &mut flash);
    assert_eq!(
        world.run(),
        failed(UpdateError::Refused(ChunkRefusal::Failure))
    );
    world.pushes();
    assert_eq!(world.run(), INSTALLED);
    world.updater.update().installed(TITLE, "2.0");
    assert_eq!(world.run(), Stop::Quiet);
    assert_eq!(world.server.reports.last().unwrap(), "UPDATED");
    world.reconnects();
    assert_eq!(world.run(), Stop::Quiet);
}

#[test]
fn firmware_that_does_not_start_is_reported_and_not_tried_again() {
    let mut flash = Flash::new(8_192, 4_096);
    let (stop, server) = run(
        Server::new(&image(5_000)),
        options(1_000),
        &mut flash,
        usize::MAX,
    );
    assert_eq!(stop, INSTALLED);
    // The boot loader has gone back to the old one.
    let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
    assert_eq!(stop, failed(UpdateError::NotStarted));
    assert_eq!(server.errors, ["new image did not start"]);
    let (stop, _) = run(server, options(1_000), &mut flash, usize::MAX);
    assert_eq!((stop, flash.activations), (Stop::Quiet, 1));
}

#[test]
fn a_package_that_is_withdrawn_is_forgotten_and_stale_keys_are_not_it() {
    let mut server = Server::new(&image(5_000));
    server.faults = [Fault::None, Fault::Lost].into();
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    while world.updater.update().progress() != Some((1_000, 5_000)) {
        let mut out = Vec::new();
        now_or_never(world.updater.advance_with(world.now, |message| {
            out.push(bytes_of(message));
            true
        }));
        for (topic, payload) in out {
            for reply in world.server.hears(&topic, &payload) {
                world.takes(reply);
            }
        }
    }
    let stale = br#"{"deleted":["fw_url","fw_tag"]}"#;
    world.receives("v1/devices/me/attributes", stale, stale.len());
    assert_eq!(world.updater.update().phase(), UpdatePhase::Downloading);
    let withdrawn = br#"{"deleted":["fw_title","fw_version","fw_size"]}"#;
    world.receives("v1/devices/me/attributes", withdrawn, withdrawn.len());
    assert_eq!(world.run(), Stop::Quiet);
    assert_eq!(world.updater.update().phase(), UpdatePhase::Idle);
    drop(world);
    assert!(flash.record.is_empty());
}

#[test]
fn what_cannot_be_kept_or_checked_is_refused_before_it_is_fetched() {
    let mut flash = Flash::new(4_096, 4_096);
    let (stop, server) = run(
        Server::new(&image(5_000)),
        options(1_000),
        &mut flash,
        usize::MAX,
    );
    assert_eq!((stop, server.requests), (failed(UpdateError::TooLarge), 0));
    let mut server = Server::new(&image(1_000));
    server.assign("2.0", Algorithm::Md5);
    let mut flash = Flash::new(4_096, 4_096);
    let mut world: World<'_, Sha256> = open(server, options(1_000), &mut flash);
    assert_eq!(world.run(), failed(UpdateError::Algorithm));
    assert_eq!(world.server.requests, 0);
    let mut server = Server::new(&image(1_000));
    server.attributes["fw_size"] = json!("1000");
    let mut flash = Flash::new(4_096, 4_096);
    let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
    assert_eq!((stop, server.requests), (failed(UpdateError::Offer), 0));
}

#[test]
fn a_store_that_fails_ends_the_update() {
    let mut flash = Flash::new(8_192, 4_096);
    flash.writes_left = 3;
    let mut world: World<'_, AnyChecksum> =
        open(Server::new(&image(5_000)), options(1_000), &mut flash);
    assert_eq!(world.run(), failed(UpdateError::Store));
    assert_eq!(world.updater.take_store_error(), Some(Broken));
    world.updater.store().writes_left = usize::MAX;
    world.pushes();
    assert_eq!(world.run(), INSTALLED);
}

#[test]
fn installing_waits_for_consent_if_it_shall() {
    let image = image(5_000);
    let mut flash = Flash::new(8_192, 4_096);
    let careful = UpdateOptions {
        automatic: false,
        ..options(1_000)
    };
    let mut world: World<'_, AnyChecksum> = open(Server::new(&image), careful, &mut flash);
    assert_eq!(world.run(), Stop::Quiet);
    assert_eq!(world.updater.update().phase(), UpdatePhase::Verified);
    let server = world.server;
    assert_eq!(flash.activations, 0);
    // It is looked at again after a restart.
    flash.bytes[77] = flash.bytes[77].map(|byte| byte ^ 1);
    let (stop, server) = run(server, careful, &mut flash, usize::MAX);
    assert_eq!(stop, failed(UpdateError::Checksum));
    let mut world: World<'_, AnyChecksum> = open(server, careful, &mut flash);
    world.pushes();
    assert_eq!(world.run(), Stop::Quiet);
    world.updater.update().install();
    assert_eq!(world.run(), INSTALLED);
    assert!(flash.activated.as_deref() == Some(&image[..]));
}

#[test]
fn a_package_at_a_url_is_left_to_the_application() {
    let mut server = Server::new(&image(5_000));
    server.attributes =
        json!({"fw_title":TITLE,"fw_version":"2.0","fw_url":"https://example.com/fw.bin"});
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    assert_eq!(world.run(), Stop::Quiet);
    assert_eq!(world.updater.update().phase(), UpdatePhase::Elsewhere);
    assert_eq!(world.server.requests, 0);
}

#[test]
fn a_change_of_only_some_attributes_makes_it_ask_for_all() {
    let image = image(3_000);
    let mut server = Server::new(&image);
    let offer = std::mem::replace(&mut server.attributes, json!({}));
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
    assert_eq!(world.run(), Stop::Quiet);
    world.server.attributes = offer;
    let part = br#"{"fw_version":"2.0"}"#;
    world.receives("v1/devices/me/attributes", part, part.len());
    assert_eq!(world.run(), INSTALLED);
}

#[test]
fn nothing_is_sent_twice_when_there_is_no_room() {
    let image = image(3_000);
    let mut flash = Flash::new(8_192, 4_096);
    let mut world: World<'_, AnyChecksum> = open(Server::new(&image), options(1_000), &mut flash);
    let next = now_or_never(world.updater.advance_with(world.now, |_| false));
    assert_eq!(next, Some(world.now.plus(250)));
    assert_eq!(world.run(), INSTALLED);
    assert_eq!(world.server.requests, 3);
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        20 => prop::sample::select(HARMLESS.to_vec()),
        1 => Just(Fault::Corrupt),
        1 => Just(Fault::Refused(ChunkRefusal::NotFound)),
        1 => Just(Fault::Refused(ChunkRefusal::PayloadTooLarge)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_image_is_right_or_reported_as_failed(
        faults in prop::collection::vec(any_fault(), 0..80),
        len in 1..20_000_usize,
        chunk_len in 64..3_000_u32,
        block_len in prop::sample::select(vec![1, 256, 4_096]),
        piece_len in 1..2_000_usize,
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
    ) {
        let image = image(len);
        let mut server = Server::new(&image);
        server.assign("2.0", algorithm);
        server.faults = faults.into();
        let mut flash = Flash::new(20_000, block_len);
        let (stop, server) = run(server, options(chunk_len), &mut flash, piece_len);
        match stop {
            INSTALLED => prop_assert!(flash.activated.as_deref() == Some(&image[..])),
            Stop::Phase(UpdatePhase::Failed(_)) => {
                prop_assert_eq!(&flash.activated, &None);
                prop_assert_eq!(server.reports.last().unwrap(), "FAILED");
            }
            other => prop_assert!(
                server.reports.iter().any(|report| report == "FAILED") && flash.activated.is_none(),
                "{other:?}"
            ),
        }
    }

    #[test]
    fn a_torn_record_is_no_record(at in 0..70_usize, bit in 0..8_u32) {
        let mut server = Server::new(&image(9_000));
        server.faults = [Fault::None; 6].into_iter().chain([Fault::Restart]).collect();
        let mut flash = Flash::new(16_384, 4_096);
        let mut world: World<'_, AnyChecksum> = open(server, options(1_000), &mut flash);
        prop_assert_eq!(world.run(), Stop::Restart);
        let server = world.server;
        let at = at % flash.record.len();
        flash.record[at] ^= 1 << bit;
        let (stop, server) = run(server, options(1_000), &mut flash, usize::MAX);
        prop_assert_eq!(stop, INSTALLED);
        prop_assert_eq!(server.requests, 7 + 9);
    }
}
