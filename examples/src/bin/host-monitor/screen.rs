//! What the user sees: a panel that is redrawn in place on a terminal, plain lines everywhere else.

mod panel;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mqtt_std::LinkState;

use self::panel::Panel;
use crate::report::Report;
use crate::round_trips::{RoundTrips, ms};

/// Standard output. Every method fails when nobody reads it any more.
#[derive(Debug)]
pub(crate) struct Screen {
    panel: Option<Panel>,
    link: String,
}

/// What became of one report.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Acknowledged after this long.
    Acknowledged(Duration),
    /// Never will be, and why.
    Failed(String),
}

impl Screen {
    /// The panel when standard output is a terminal that can move its cursor, else plain lines.
    pub(crate) fn new(title: &str, subtitle: &str) -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let panel = (io::stdout().is_terminal() && !dumb).then(|| Panel::new(title, subtitle));
        Self {
            panel,
            link: LinkState::Idle.to_string(),
        }
    }

    /// Shows text that stays: how to join, the summary.
    pub(crate) fn print(text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    /// A report was handed to the client.
    pub(crate) fn sent(&mut self, report: &Report, round_trips: &RoundTrips) -> io::Result<()> {
        self.panel(|panel| panel.sent(report), round_trips)
    }

    /// What became of a report is known.
    pub(crate) fn done(
        &mut self,
        report: &Report,
        outcome: &Outcome,
        round_trips: &RoundTrips,
    ) -> io::Result<()> {
        if self.panel.is_some() {
            return self.panel(|panel| panel.done(report.sequence, outcome), round_trips);
        }
        let outcome = outcome.to_string();
        Self::print(&format!(
            "{}  {:<54}  {outcome:<24}  {}",
            time_of_day(),
            report.to_string(),
            self.link
        ))
    }

    /// The link changed.
    pub(crate) fn link(&mut self, state: LinkState, round_trips: &RoundTrips) -> io::Result<()> {
        self.link = state.to_string();
        if self.panel.is_some() {
            return self.panel(|panel| panel.link(state), round_trips);
        }
        Self::print(&format!("{}  link: {}", time_of_day(), self.link))
    }

    /// Something happened that deserves a line: a command, a lost report.
    pub(crate) fn note(&mut self, note: &str, round_trips: &RoundTrips) -> io::Result<()> {
        let note = format!("{}  {note}", time_of_day());
        if self.panel.is_some() {
            return self.panel(|panel| panel.note(note), round_trips);
        }
        Self::print(&note)
    }

    fn panel(
        &mut self,
        change: impl FnOnce(&mut Panel),
        round_trips: &RoundTrips,
    ) -> io::Result<()> {
        let Some(panel) = &mut self.panel else {
            return Ok(());
        };
        change(panel);
        panel.draw(round_trips)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Acknowledged(round_trip) => write!(f, "acknowledged {:7.1} ms", ms(*round_trip)),
            Self::Failed(why) => write!(f, "lost: {why}"),
        }
    }
}

/// The time in UTC as `08:41:01`: the standard library knows no time zones, and logs of many devices want one.
fn time_of_day() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    clock(now)
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
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
    fn outcome_tells_the_round_trip_or_the_reason() {
        assert_eq!(
            Outcome::Acknowledged(Duration::from_micros(1250)).to_string(),
            "acknowledged     1.2 ms"
        );
        assert_eq!(
            Outcome::Failed("no room".into()).to_string(),
            "lost: no room"
        );
    }
}
