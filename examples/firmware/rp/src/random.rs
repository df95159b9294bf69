//! Random numbers fit for keys, on a chip that has no generator for that.

use embassy_rp::clocks::RoscRng;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// Bytes of the ring oscillator that make one seed. Its bits depend on each other, so there are many more than 32.
const SEED_MATERIAL: usize = 1_024;

/// A generator seeded from the jitter of the ring oscillator, hashed.
///
/// Call it early once and pass it on: seeding takes some milliseconds.
#[must_use]
pub fn random() -> ChaCha20Rng {
    let mut hash = Sha256::new();
    for _ in 0..SEED_MATERIAL {
        hash.update([RoscRng::next_u8()]);
    }
    ChaCha20Rng::from_seed(hash.finalize().into())
}
