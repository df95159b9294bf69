//! The clock of embassy-time, in the milliseconds of mqtt-core.
//!
//! embassy-time counts ticks in 64 bits. Here they become milliseconds modulo 2^32 without a division of 64 bits, which
//! a Cortex-M0 does in software, in some hundred instructions.

use embassy_time::{TICK_HZ, Timer};
use mqtt_core::Instant;

/// Milliseconds are `ticks * SCALE.0 / SCALE.1`.
const SCALE: (u64, u64) = scale(TICK_HZ);

pub(crate) fn now() -> Instant {
    let ticks = embassy_time::Instant::now().as_ticks();
    Instant::from_millis(millis(ticks, SCALE))
}

pub(crate) async fn sleep_until(deadline: Instant) {
    let now = embassy_time::Instant::now();
    let millis = deadline.since(Instant::from_millis(millis(now.as_ticks(), SCALE)));
    // More than half the range: it lies in the past.
    if millis <= u32::MAX / 2 {
        let ticks = now.as_ticks().saturating_add(ticks(millis, SCALE));
        Timer::at(embassy_time::Instant::from_ticks(ticks)).await;
    }
}

/// `(1000, ticks per second)` in lowest terms.
const fn scale(hz: u64) -> (u64, u64) {
    let (mut a, mut b) = (1000, hz);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (1000 / a, hz / a)
}

/// Milliseconds modulo 2^32, rounded down. The branches are decided by the compiler.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "for a constant scale, one line of it is left"
)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "modulo 2^32 is what is wanted"
)]
const fn millis(ticks: u64, (numerator, denominator): (u64, u64)) -> u32 {
    let product = ticks.wrapping_mul(numerator);
    if denominator.is_power_of_two() {
        return (product >> denominator.trailing_zeros()) as u32;
    }
    if denominator > u16::MAX as u64 {
        return (product / denominator) as u32;
    }
    // Long division with digits of 32 bits: the upper one leaves a remainder, its quotient is beyond 2^32.
    let divisor = denominator as u32;
    let carry = (product >> 32) as u32 % divisor;
    let low = product as u32;
    // carry * 2^32 + low = carry * (quotient * divisor + remainder) + low, and carry * remainder < divisor^2 < 2^32.
    let quotient = ((1u64 << 32) / denominator) as u32;
    let rest = carry * ((1u64 << 32) % denominator) as u32;
    carry
        .wrapping_mul(quotient)
        .wrapping_add(rest / divisor)
        .wrapping_add(low / divisor)
        .wrapping_add((rest % divisor + low % divisor) / divisor)
}

/// Ticks in so many milliseconds, rounded up.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "for a constant scale, one line of it is left"
)]
const fn ticks(millis: u32, (numerator, denominator): (u64, u64)) -> u64 {
    if numerator == 1 {
        return millis as u64 * denominator;
    }
    let whole = millis as u64 / numerator;
    let rest = millis as u64 % numerator;
    whole * denominator + (rest * denominator).div_ceil(numerator)
}

#[cfg(test)]
mod tests {
    use super::{millis, scale, ticks};

    /// Rates that embassy-time offers, with odd ones among them.
    const RATES: [u64; 12] = [
        1,
        10,
        1_000,
        32_768,
        1_000_000,
        1_024_000,
        8_000_000,
        12_500_000,
        32_000_000,
        65_536_000,
        100_000_000,
        1_000_000_000,
    ];

    #[test]
    #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32")]
    fn milliseconds_are_those_of_a_plain_division() {
        for hz in RATES {
            for at in [
                0,
                1,
                999,
                1_000,
                0xffff_ffff,
                1 << 32,
                (1 << 32) + 296,
                1 << 40,
                (1 << 49) + 12_345,
            ] {
                let expected = u128::from(at) * 1000 / u128::from(hz);
                assert_eq!(
                    millis(at, scale(hz)),
                    expected as u32,
                    "{at} ticks at {hz} Hz"
                );
            }
        }
    }

    #[test]
    fn a_sleep_is_never_too_short() {
        for hz in RATES {
            for ms in [0, 1, 2, 999, 1_000, 86_400_000, u32::MAX / 2] {
                let exact = (u128::from(ms) * u128::from(hz)).div_ceil(1000);
                assert_eq!(
                    u128::from(ticks(ms, scale(hz))),
                    exact,
                    "{ms} ms at {hz} Hz"
                );
            }
        }
    }
}
