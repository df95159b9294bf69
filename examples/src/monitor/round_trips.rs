//! How long acknowledgements took.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The round-trip times of one run: from handing a report to the client until its PUBACK.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    shortest: Option<Duration>,
    longest: Duration,
    recent: VecDeque<Duration>,
}

/// The shortest, middle and longest of the round trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) min: Duration,
    pub(crate) median: Duration,
    pub(crate) max: Duration,
}

impl RoundTrips {
    /// The median is taken of this many at most, so that a run of years needs no more memory than a run of hours.
    const RECENT: usize = 10_000;

    pub(crate) fn add(&mut self, round_trip: Duration) {
        self.shortest = Some(
            self.shortest
                .map_or(round_trip, |shortest| shortest.min(round_trip)),
        );
        self.longest = self.longest.max(round_trip);
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(round_trip);
    }

    /// `None` before the first acknowledgement.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let min = self.shortest?;
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        let middle = sorted.len() / 2;
        let (_, median, _) = sorted.select_nth_unstable(middle);
        Some(Spread {
            min,
            median: *median,
            max: self.longest,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} / {:.1} / {:.1} ms",
            ms(self.min),
            ms(self.median),
            ms(self.max)
        )
    }
}

/// A duration in milliseconds, for people.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(round_trips_ms: &[u64]) -> RoundTrips {
        let mut all = RoundTrips::default();
        for round_trip in round_trips_ms {
            all.add(Duration::from_millis(*round_trip));
        }
        all
    }

    #[test]
    fn spread_is_shortest_middle_and_longest() {
        let spread = of(&[9, 1, 5, 300, 4]).spread().unwrap();
        assert_eq!(spread.to_string(), "1.0 / 5.0 / 300.0 ms");
    }

    #[test]
    fn nothing_acknowledged_has_no_spread() {
        assert_eq!(of(&[]).spread(), None);
    }

    #[test]
    fn extremes_are_kept_when_the_recent_ones_have_moved_on() {
        let mut all = of(&[500, 1]);
        for _ in 0..RoundTrips::RECENT {
            all.add(Duration::from_millis(7));
        }
        assert_eq!(all.recent.len(), RoundTrips::RECENT);
        assert_eq!(all.spread().unwrap().to_string(), "1.0 / 7.0 / 500.0 ms");
    }
}
