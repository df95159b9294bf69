//! How long the device has been running.

use mqtt_core::Instant;

/// Counts seconds beyond the 49.7 days after which an [`Instant`] begins anew, if it is read more often than that.
#[derive(Debug)]
pub(crate) struct Uptime {
    /// The whole seconds are counted up to here.
    counted: Instant,
    seconds: u32,
}

impl Uptime {
    pub(crate) const fn since(start: Instant) -> Self {
        Self {
            counted: start,
            seconds: 0,
        }
    }

    pub(crate) fn seconds(&mut self, now: Instant) -> u32 {
        let more = now.since(self.counted) / 1000;
        self.seconds = self.seconds.saturating_add(more);
        self.counted = self.counted.plus(more * 1000);
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_not_lost() {
        let mut now = Instant::from_millis(u32::MAX - 700);
        let mut uptime = Uptime::since(now);
        for _ in 0..10 {
            now = now.plus(999);
            uptime.seconds(now);
        }
        assert_eq!(uptime.seconds(now.plus(10)), 10);
    }

    #[test]
    fn it_goes_on_after_the_clock_began_anew() {
        let start = Instant::from_millis(5);
        let mut uptime = Uptime::since(start);
        let day = 86_400_000;
        let mut now = start;
        for _ in 0..60 {
            now = now.plus(day);
            uptime.seconds(now);
        }
        assert_eq!(uptime.seconds(now), 60 * 86_400);
    }
}
