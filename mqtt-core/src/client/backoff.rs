//! How long to wait before the next attempt.

use crate::{session::Reconnect, time::Instant};

/// Exponential back-off with full jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    failures: u16,
    /// The longest next pause, before it is brought between the limits of the policy.
    upper: u32,
    /// State of the generator that spreads devices apart. It protects nothing.
    seed: u32,
}

impl Backoff {
    /// `name` makes devices differ that were switched on at the same moment.
    pub(super) fn new(name: &str, now: Instant) -> Self {
        let seed = name
            .bytes()
            .fold(now.as_millis() ^ 0x9e37_79b9, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        Self {
            failures: 0,
            upper: 0,
            seed: seed | 1,
        }
    }

    /// The link has lasted long enough to forget what was before.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
        self.upper = 0;
    }

    /// The next pause in milliseconds, `None` to give up.
    pub(super) fn next(&mut self, policy: &Reconnect, now: Instant) -> Option<u32> {
        self.failures = self.failures.saturating_add(1);
        if !policy.enabled || (policy.max_attempts != 0 && self.failures >= policy.max_attempts) {
            return None;
        }
        let upper = self.upper.max(policy.initial_ms).min(policy.max_ms);
        self.upper = upper.saturating_add(upper);
        let span = upper.saturating_sub(policy.floor_ms);
        let share = scale(self.random(now), span);
        Some(policy.floor_ms.saturating_add(share))
    }

    /// xorshift32
    fn random(&mut self, now: Instant) -> u32 {
        let mut x = self.seed ^ now.as_millis().rotate_left(16);
        x |= u32::from(x == 0);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.seed = x | 1;
        x
    }
}

/// A number from 0 to `span`, by 16 bits of `random`; without 64-bit arithmetic.
fn scale(random: u32, span: u32) -> u32 {
    let random = random >> 16;
    let high = (span >> 16).wrapping_mul(random);
    let low = (span & 0xffff).wrapping_mul(random) >> 16;
    high.saturating_add(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: &Reconnect, count: usize) -> std::vec::Vec<u32> {
        let mut backoff = Backoff::new("device", Instant::from_millis(7));
        (0..count)
            .filter_map(|n| {
                backoff.next(
                    policy,
                    Instant::from_millis(1000 * u32::try_from(n).unwrap()),
                )
            })
            .collect()
    }

    #[test]
    fn pauses_grow_to_the_maximum_and_stay_within_bounds() {
        let policy = Reconnect {
            floor_ms: 100,
            ..Reconnect::new()
        };
        for (n, pause) in pauses(&policy, 200).into_iter().enumerate() {
            let upper = 1000_u64 << n.min(20);
            assert!(
                (100..=upper.clamp(100, 60_000)).contains(&u64::from(pause)),
                "{n}: {pause}"
            );
        }
    }

    #[test]
    fn pauses_are_spread_over_the_whole_range() {
        let policy = Reconnect {
            initial_ms: 60_000,
            ..Reconnect::new()
        };
        let pauses = pauses(&policy, 400);
        assert!(pauses.iter().any(|pause| *pause < 6_000));
        assert!(pauses.iter().any(|pause| *pause > 54_000));
    }

    #[test]
    fn devices_switched_on_together_pause_differently() {
        let mut pauses: std::vec::Vec<_> = (0..100)
            .map(|n| {
                let name = std::format!("device-{n}");
                let now = Instant::from_millis(5);
                Backoff::new(&name, now).next(&Reconnect::new(), now)
            })
            .collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 80, "{}", pauses.len());
    }

    #[test]
    fn gives_up_after_the_attempts_that_were_asked_for() {
        let policy = Reconnect {
            max_attempts: 3,
            ..Reconnect::new()
        };
        assert_eq!(pauses(&policy, 10).len(), 2);
        assert_eq!(pauses(&Reconnect::never(), 10).len(), 0);
    }
}
