//! 100 KB that come in chunks, 20 KB from a reader, and a message that is skipped.

use mqtt_std::QoS;
use sha2::{Digest as _, Sha256};

use mqtt_tests::mosquitto::{Mosquitto, Setup};

use crate::numbers::Random;
use crate::stage::Stage;

pub(super) fn play(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    let mut host = stage.counterpart(&broker);
    stage.boot(&stage.boot_for(&broker));
    let seed = stage.arguments.seed;

    host.hears_on(stage, "fw/up/ready");
    let payload = Random::new(seed.wrapping_add(1)).bytes(100_000);
    host.says("fw/down/large", &payload, QoS::AtLeastOnce);
    let hash = host.hears_on(stage, "fw/up/hash");
    assert!(
        hash == Sha256::digest(&payload).to_vec(),
        "the 100 KB came with other bytes"
    );
    let stream = host.hears_on(stage, "fw/up/stream");
    assert!(
        stream == Random::new(seed).bytes(20_000),
        "the {} bytes of the reader are others",
        stream.len()
    );

    host.hears_on(stage, "fw/up/ready");
    host.says("fw/down/large", &payload[..5_000], QoS::ExactlyOnce);
    host.says("fw/down/large", b"small again", QoS::ExactlyOnce);
    assert_eq!(host.hears_on(stage, "fw/up/after"), b"small again");
    stage.firmware_ends();
}
