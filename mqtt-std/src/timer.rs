//! The clock of the driver.

use std::{sync::LazyLock, time::Duration};

use mqtt_core::time::Instant;

/// The first look at the clock is zero.
static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

#[expect(
    clippy::cast_possible_truncation,
    reason = "the core counts modulo 2^32"
)]
pub(crate) fn now() -> Instant {
    Instant::from_millis(START.elapsed().as_millis() as u32)
}

pub(crate) async fn sleep_until(deadline: Instant) {
    let now = now();
    if !now.has_reached(deadline) {
        tokio::time::sleep(Duration::from_millis(deadline.since(now).into())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_ends_at_the_deadline_and_not_before() {
        let deadline = now().plus(20);
        sleep_until(deadline).await;
        assert!(now().has_reached(deadline));
        // A deadline in the past, across the wrap too, is no wait of weeks.
        sleep_until(Instant::from_millis(u32::MAX)).await;
    }
}
