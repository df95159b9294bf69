//! What a program shows: lines, and frames that are redrawn in place on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Whether standard output is a terminal that can move its cursor.
#[must_use]
pub fn is_interactive() -> bool {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    io::stdout().is_terminal() && !dumb
}

/// Whether colours are wanted, see <https://no-color.org>.
#[must_use]
pub fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Progress bars, on standard error if that is a terminal. They stay below the lines that [`print()`] writes.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes a line to standard output.
///
/// # Errors
///
/// When nobody reads it any more.
pub fn print(text: &str) -> io::Result<()> {
    BARS.suspend(|| writeln!(io::stdout(), "{text}"))
}

/// A progress bar for so many bytes, if standard error is a terminal. Gone when it is finished and cleared.
#[must_use]
pub fn progress_bar(bytes: u64) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let style = "{msg} {wide_bar} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(style).ok()?;
    Some(BARS.add(ProgressBar::new(bytes).with_style(style)))
}

/// Writes a line to standard output, with the time before it.
///
/// # Errors
///
/// As [`print()`].
pub fn print_with_time(text: &str) -> io::Result<()> {
    print(&format!("{}  {text}", time_of_day()))
}

/// The time in UTC as `08:41:01`: the standard library knows no time zones, and logs of many devices want one.
#[must_use]
pub fn time_of_day() -> String {
    clock(seconds_since_1970())
}

/// Seconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn seconds_since_1970() -> u64 {
    milliseconds_since_1970() / 1000
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn milliseconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The time of day in UTC of a moment that is so many seconds after 1970.
#[must_use]
pub fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A moment in UTC, so many seconds after 1970, in ISO 8601: `2026-11-21T08:41:01Z`.
#[must_use]
pub fn iso_8601(seconds: u64) -> String {
    // Years that begin in March end with the leap day. 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year_of_era + next_year;
    format!("{year:04}-{month:02}-{day:02}T{}Z", clock(seconds))
}

/// Lines of the terminal; 24 if it does not tell.
#[must_use]
pub fn height() -> usize {
    let told = |lines| if lines == 0 { 24 } else { usize::from(lines) };
    rustix::termios::tcgetwinsize(io::stdout()).map_or(24, |size| told(size.ws_row))
}

/// Lines that are drawn over those drawn before.
#[derive(Debug, Default)]
pub struct Frame {
    drawn: usize,
}

impl Frame {
    /// A line was typed below the frame, so the cursor is further down.
    pub fn line_typed(&mut self) {
        self.drawn += 1;
    }

    /// Draws `lines`, in one write so that nothing flickers.
    ///
    /// # Errors
    ///
    /// When nobody reads them any more.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut frame = String::new();
        if self.drawn > 0 {
            let _ = write!(frame, "\x1b[{}A", self.drawn);
        }
        // Too long lines are cut, not wrapped: a wrapped one would be a line more than we go up next time.
        frame.push_str("\x1b[?7l");
        for line in lines {
            let _ = write!(frame, "\r{line}\x1b[K\n");
        }
        frame.push_str("\x1b[J\x1b[?7h");
        self.drawn = lines.len();
        let mut stdout = io::stdout().lock();
        stdout.write_all(frame.as_bytes())?;
        stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_shows_the_time_of_day() {
        assert_eq!(clock(1_700_000_000), "22:13:20");
        assert_eq!(clock(0), "00:00:00");
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(iso_8601(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso_8601(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(iso_8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso_8601(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(iso_8601(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
