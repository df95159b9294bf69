//! What the host gives by semihosting: arguments, an exit status, randomness and the wall clock.

use core::{mem::MaybeUninit, str};

use embassy_sync::lazy_lock::LazyLock;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Error, RngCore, SeedableRng};
use semihosting::{experimental::random, process, sys::arm_compat};
use static_cell::ConstStaticCell;

const COMMAND_LINE_MAX: usize = 1024;

/// The value of the item `name=value` on the semihosting command line (`arg=name=value` for QEMU). `None` if there is
/// no such item; the first one counts. Neither name nor value can hold a space.
///
/// # Panics
///
/// If the whole command line is longer than 1023 bytes, or no UTF-8.
#[must_use]
pub fn argument(name: &str) -> Option<&'static str> {
    static COMMAND_LINE: LazyLock<&'static str> = LazyLock::new(command_line);
    COMMAND_LINE
        .get()
        .split(' ')
        .find_map(|item| item.strip_prefix(name)?.strip_prefix('='))
}

/// The same as [`argument`], as a decimal number. `None` also if it is no number that fits.
///
/// # Panics
///
/// As [`argument`].
#[must_use]
pub fn argument_number(name: &str) -> Option<u32> {
    argument(name)?.parse().ok()
}

/// Ends QEMU with this exit status. The log written so far is with the host.
pub fn exit(status: u8) -> ! {
    process::exit(i32::from(status))
}

/// Seconds since 1970 by the clock of the host, for the dates in certificates.
///
/// # Panics
///
/// If the host does not tell.
#[must_use]
pub fn unix_time_s() -> u64 {
    arm_compat::sys_time().expect("the host tells its time") as u64
}

/// A random generator for keys: `ChaCha20`, its seed from the host. The machine has no source of its own.
pub struct Random(ChaCha20Rng);

impl Random {
    /// A generator with a new seed.
    ///
    /// # Panics
    ///
    /// If the host has no `/dev/urandom`.
    #[must_use]
    pub fn new() -> Self {
        let mut seed = [0; 32];
        random::fill_bytes(&mut seed).expect("the host gives random bytes");
        Self(ChaCha20Rng::from_seed(seed))
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
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

fn command_line() -> &'static str {
    static BUFFER: ConstStaticCell<[MaybeUninit<u8>; COMMAND_LINE_MAX]> =
        ConstStaticCell::new([MaybeUninit::uninit(); COMMAND_LINE_MAX]);
    let line = arm_compat::sys_get_cmdline_uninit(BUFFER.take())
        .expect("the command line fits its buffer");
    str::from_utf8(line).expect("the command line is UTF-8")
}
