//! A firmware that hangs or has panicked starts anew.

use core::convert::Infallible;

use embassy_rp::{Peri, peripherals::WATCHDOG, watchdog::Watchdog};
use embassy_time::{Duration, Timer};

/// Without a sign of life for so long, the chip is reset. The hardware can count to 8.3 seconds.
const LIMIT: Duration = Duration::from_secs(8);

/// Feeds the watchdog for ever. It rests while a debugger holds the chip.
pub async fn watch(watchdog: Peri<'static, WATCHDOG>) -> Infallible {
    let mut watchdog = Watchdog::new(watchdog);
    watchdog.pause_on_debug(true);
    watchdog.start(LIMIT);
    loop {
        watchdog.feed(LIMIT);
        Timer::after_secs(2).await;
    }
}
