//! Limits of rates, as the servers count them.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// At most so many in any such span of time.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    limit: usize,
    span: Duration,
    counted: VecDeque<Instant>,
}

impl Rate {
    pub(crate) const fn new(limit: usize, span: Duration) -> Self {
        Self {
            limit,
            span,
            counted: VecDeque::new(),
        }
    }

    /// Counts one, and says whether it is within the limit.
    pub(crate) fn admit(&mut self) -> bool {
        let now = Instant::now();
        while self
            .counted
            .front()
            .is_some_and(|at| now.duration_since(*at) >= self.span)
        {
            self.counted.pop_front();
        }
        self.counted.push_back(now);
        self.counted.len() <= self.limit
    }
}
