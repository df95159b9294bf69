//! Updates of `ThingsBoard`, with all that can go wrong.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use mqtt_core::platform::{
    thingsboard::{
        Credentials, Device,
        update::{Package, UpdateError, UpdateOptions, UpdatePhase, Updater},
    },
    update::UpdateStore,
};
use mqtt_std::Oversize;
use mqtt_tests::{
    device,
    simulator::{Event, Simulator},
};

use super::support::{closed, options, simulator, subscribed};

const THING: Device = Device::new();

/// A store that outlives the updater, as flash outlives a restart.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    image: Vec<u8>,
    record: Vec<u8>,
    activated: Option<Vec<u8>>,
}

impl UpdateStore for Memory {
    type Error = Infallible;

    fn capacity(&self) -> u32 {
        4 << 20
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let mut content = self.0.lock().unwrap();
        let start = offset as usize;
        let end = start + bytes.len();
        if content.image.len() < end {
            content.image.resize(end, 0xff);
        }
        content.image[start..end].copy_from_slice(bytes);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let content = self.0.lock().unwrap();
        let start = offset as usize;
        bytes.copy_from_slice(&content.image[start..start + bytes.len()]);
        Ok(())
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Infallible> {
        self.0.lock().unwrap().record = record.to_vec();
        Ok(())
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Infallible> {
        let content = self.0.lock().unwrap();
        record[..content.record.len()].copy_from_slice(&content.record);
        Ok(content.record.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Infallible> {
        let mut content = self.0.lock().unwrap();
        content.activated = Some(content.image[..len as usize].to_vec());
        Ok(())
    }
}

/// What the simulator makes of a number for an image.
fn image(len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| (at ^ at >> 8 ^ at >> 16).to_le_bytes()[0])
        .collect()
}

fn update_options(chunk_len: u32) -> UpdateOptions<'static> {
    let mut options = UpdateOptions::new(Package::Firmware, "thermometer", "1.0");
    options.chunk_len = chunk_len;
    options.chunk_timeout_ms = 200;
    options.save_every = 4_096;
    options
}

fn connect(simulator: &Simulator, receive_buffer: usize) -> device::Device {
    let credentials = Credentials::access_token("A1_TEST_TOKEN").unwrap();
    let subscriptions = [
        THING.attribute_updates(),
        THING.attribute_responses(),
        THING.chunks(Package::Firmware),
        THING.chunk_refusals(),
    ];
    let preset = THING.options(&credentials).subscriptions(&subscriptions);
    let options = options(simulator, &preset)
        .rx_buffer(receive_buffer)
        .oversize(Oversize::Stream);
    let device = device::Device::connect(options);
    subscribed(simulator, subscriptions[2].filter.as_str());
    device
}

/// Runs until a phase is reached.
fn run(
    device: &mut device::Device,
    options: UpdateOptions<'_>,
    store: &Memory,
    until: impl Fn(UpdatePhase) -> bool,
) -> UpdatePhase {
    let device::Device {
        executor,
        client,
        inbox,
        ..
    } = device;
    executor
        .wait_at_most(Duration::from_mins(1), async {
            let mut updater: Updater<'_, _> =
                Box::pin(Updater::open(THING, options, store.clone())).await;
            loop {
                Box::pin(updater.advance(client)).await;
                let phase = updater.update().phase();
                if until(phase) {
                    return phase;
                }
                let pause = Duration::from_millis(20);
                if let Ok(message) = tokio::time::timeout(pause, inbox.next()).await {
                    Box::pin(updater.receive_from(&mut message.unwrap())).await;
                }
            }
        })
        .expect("in time")
}

/// Whether this chunk was asked for since the last event that was waited for.
fn asked_for(simulator: &Simulator, chunk: u32) -> bool {
    let end = format!("/chunk/{chunk}");
    simulator
        .has_seen(|event| matches!(event, Event::Published { topic, .. } if topic.ends_with(&end)))
}

fn is_over(phase: UpdatePhase) -> bool {
    matches!(phase, UpdatePhase::Installed | UpdatePhase::Failed(_))
}

#[test]
fn an_image_arrives_whatever_happens_to_its_chunks() {
    let simulator = simulator("thingsboard");
    for (chunk, fault) in ["lose", "duplicate", "empty", "shorten", "close-at"]
        .into_iter()
        .enumerate()
    {
        simulator
            .command(&format!("{fault} {} 2", 2 * chunk + 1))
            .unwrap();
    }
    simulator.command("empty 0").unwrap();
    let mut device = connect(&simulator, 64 * 1024);
    simulator
        .command("fw thermometer thermometer 2.0 13000 SHA256")
        .unwrap();
    let store = Memory::default();
    let phase = run(&mut device, update_options(1_000), &store, is_over);
    assert_eq!(phase, UpdatePhase::Installed);
    assert_eq!(store.0.lock().unwrap().activated, Some(image(13_000)));
}

#[test]
fn every_checksum_is_checked() {
    for algorithm in [
        "MD5",
        "SHA256",
        "SHA384",
        "SHA512",
        "CRC32",
        "MURMUR3_32",
        "MURMUR3_128",
    ] {
        for (wrong, expected) in [
            ("", UpdatePhase::Installed),
            ("wrong", UpdatePhase::Failed(UpdateError::Checksum)),
        ] {
            let simulator = simulator("thingsboard");
            let mut device = connect(&simulator, 64 * 1024);
            simulator
                .command(&format!(
                    "fw thermometer thermometer 2.0 5000 {algorithm} {wrong}"
                ))
                .unwrap();
            let store = Memory::default();
            let phase = run(&mut device, update_options(2_000), &store, is_over);
            assert_eq!(phase, expected, "{algorithm} {wrong}");
            assert_eq!(
                store.0.lock().unwrap().activated.is_some(),
                wrong.is_empty()
            );
        }
    }
}

#[test]
fn a_corrupt_image_is_never_installed() {
    let simulator = simulator("thingsboard");
    simulator.command("corrupt 3 100").unwrap();
    let mut device = connect(&simulator, 64 * 1024);
    simulator
        .command("fw thermometer thermometer 2.0 5000 CRC32")
        .unwrap();
    let store = Memory::default();
    let phase = run(&mut device, update_options(1_000), &store, is_over);
    assert_eq!(phase, UpdatePhase::Failed(UpdateError::Checksum));
    assert_eq!(store.0.lock().unwrap().activated, None);
}

#[test]
fn after_a_restart_the_download_goes_on_where_it_was() {
    let simulator = simulator("thingsboard");
    let store = Memory::default();
    let mut device = connect(&simulator, 64 * 1024);
    simulator
        .command("fw thermometer thermometer 2.0 200000 SHA256")
        .unwrap();
    simulator.command("lose 100 1000").unwrap();
    let saved = |_: UpdatePhase| store.0.lock().unwrap().image.len() >= 100_000;
    run(&mut device, update_options(1_000), &store, saved);
    drop(device);
    assert!(asked_for(&simulator, 0));
    closed(&simulator, "closed by the client");

    simulator.command("lose 100 0").unwrap();
    let mut device = connect(&simulator, 64 * 1024);
    let phase = run(&mut device, update_options(1_000), &store, is_over);
    assert_eq!(phase, UpdatePhase::Installed);
    assert_eq!(store.0.lock().unwrap().activated, Some(image(200_000)));
    // Not from the start.
    assert!(asked_for(&simulator, 101));
    assert!(!asked_for(&simulator, 0));
}

#[test]
fn a_megabyte_arrives_through_a_small_buffer() {
    let simulator = simulator("thingsboard");
    let mut device = connect(&simulator, 512);
    simulator
        .command("fw thermometer thermometer 2.0 1000000 MURMUR3_128")
        .unwrap();
    for chunk in [0, 3, 7, 24] {
        simulator.command(&format!("duplicate {chunk}")).unwrap();
        simulator.command(&format!("lose {chunk}")).unwrap();
    }
    let store = Memory::default();
    let phase = run(&mut device, update_options(40_000), &store, is_over);
    assert_eq!(phase, UpdatePhase::Installed);
    assert_eq!(store.0.lock().unwrap().activated, Some(image(1_000_000)));
}
