//! A firmware that hangs or has panicked starts anew.

use core::{convert::Infallible, future::pending};

use embassy_futures::select::select;
use embassy_rp::{Peri, peripherals::WATCHDOG, watchdog::Watchdog};
use embassy_time::{Duration, Timer};

/// Without a sign of life for so long, the chip is reset. The hardware can count to 8.3 seconds.
const LIMIT: Duration = Duration::from_secs(8);

/// Feeds the watchdog for ever. It rests while a debugger holds the chip.
pub async fn watch(watchdog: Peri<'static, WATCHDOG>) -> Infallible {
    watch_until(watchdog, pending()).await
}

/// As [`watch`], until the future is done: then the whole chip is reset.
pub async fn watch_until(
    watchdog: Peri<'static, WATCHDOG>,
    restart: impl Future<Output = ()>,
) -> Infallible {
    let mut watchdog = Watchdog::new(watchdog);
    watchdog.pause_on_debug(true);
    watchdog.start(LIMIT);
    select(feed(&mut watchdog), restart).await;
    watchdog.trigger_reset();
    pending().await
}

async fn feed(watchdog: &mut Watchdog) -> Infallible {
    loop {
        watchdog.feed(LIMIT);
        Timer::after_secs(2).await;
    }
}
