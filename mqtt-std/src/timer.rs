//! The clock of the driver.

use std::{sync::LazyLock, time::Duration};

use mqtt_core::Instant;

/// A moment and the number that it has. The number is random: the core makes the jitter of reconnects from the time, and
/// all devices of a site may start in the same millisecond after a power failure.
static ORIGIN: LazyLock<(std::time::Instant, u32)> =
    LazyLock::new(|| (std::time::Instant::now(), fastrand::u32(..)));

/// The time as the client counts it, in milliseconds from a random start: for what takes an [`Instant`], such as the
/// helpers of [`platform`](crate::platform).
#[must_use]
pub fn now() -> Instant {
    let (origin, number) = &*ORIGIN;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the core counts modulo 2^32"
    )]
    let elapsed = origin.elapsed().as_millis() as u32;
    Instant::from_millis(number.wrapping_add(elapsed))
}

/// Waits until a moment of [`now`]; not at all if it is over. Needs a tokio runtime that has time enabled.
pub async fn sleep_until(deadline: Instant) {
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
        // A deadline in the past is no wait of weeks.
        sleep_until(Instant::from_millis(
            deadline.as_millis().wrapping_sub(1000),
        ))
        .await;
    }
}
