//! What the host provides by semihosting: arguments, exit status, randomness and wall clock.
//!
//! A call of semihosting is a breakpoint that QEMU answers. Without QEMU or a debugger it is a fault.

use embassy_sync::once_lock::OnceLock;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Error, RngCore, SeedableRng};
use semihosting::{
    experimental::{
        env::{self, Args},
        random,
        time::SystemTime,
    },
    process,
};
use static_cell::StaticCell;

/// Room for the whole command line, in bytes, and for its items.
const COMMAND_LINE: usize = 1024;
const ITEMS: usize = 32;

/// The value of the item `name=value` of QEMU's command line (`-semihosting-config arg=name=value`), the first of that
/// name. None if there is no such item.
///
/// # Panics
///
/// If the command line is longer than 1,024 bytes, has more than 32 items or is not UTF-8.
#[must_use]
pub fn argument(name: &str) -> Option<&'static str> {
    let items = COMMAND_LINE_ITEMS.get_or_init(read_command_line);
    items
        .iter()
        .filter_map(|item| item.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The same as a number. None also if it is no decimal number up to 4,294,967,295.
///
/// # Panics
///
/// As [`argument`].
#[must_use]
pub fn argument_number(name: &str) -> Option<u32> {
    argument(name)?.parse().ok()
}

/// Ends QEMU with this exit status.
pub fn exit(status: u8) -> ! {
    process::exit(i32::from(status))
}

/// Seconds since 1970 by the clock of the host, for the dates of certificates.
///
/// # Panics
///
/// If the host has no clock, or one that is before 1970.
#[must_use]
pub fn unix_time_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("the host's clock is after 1970")
        .as_secs()
}

/// A generator of random numbers that is fit for cryptography: `ChaCha20`, seeded by the host.
///
/// The machine has no source of its own.
#[derive(Debug)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// Makes a generator with a seed of its own, 32 bytes of the host's `/dev/urandom`.
    ///
    /// # Panics
    ///
    /// If the host has no such file.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it asks the host, and no two are equal"
    )]
    pub fn new() -> Self {
        let mut seed = [0; 32];
        random::fill_bytes(&mut seed).expect("the host has random bytes");
        Self(ChaCha20Rng::from_seed(seed))
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.try_fill_bytes(bytes)
    }
}

impl CryptoRng for Random {}

static COMMAND_LINE_ITEMS: OnceLock<[&'static str; ITEMS]> = OnceLock::new();

/// Items are read once: the iterator of the crate cannot begin again.
fn read_command_line() -> [&'static str; ITEMS] {
    static TEXT: StaticCell<Args<COMMAND_LINE>> = StaticCell::new();
    let text: &'static Args<COMMAND_LINE> =
        TEXT.init(env::args().expect("the command line has at most 1,024 bytes"));
    let mut items = [""; ITEMS];
    let mut free = items.iter_mut();
    for item in text {
        *free.next().expect("the command line has at most 32 items") =
            item.expect("the command line is UTF-8");
    }
    items
}
