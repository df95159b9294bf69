//! What the user sees: a panel that is redrawn in place on a terminal, plain lines everywhere else.

mod panel;

use std::io;
use std::time::Duration;

use mqtt_std::LinkState;

use self::panel::Panel;
use super::report::Report;
use super::round_trips::{RoundTrips, ms};
use crate::terminal::{self, time_of_day};

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
        Self {
            panel: terminal::is_interactive().then(|| Panel::new(title, subtitle)),
            ..Self::lines()
        }
    }

    /// Plain lines everywhere.
    pub(crate) fn lines() -> Self {
        Self {
            panel: None,
            link: LinkState::Idle.to_string(),
        }
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
        terminal::print(&format!(
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
        terminal::print(&format!("{}  link: {}", time_of_day(), self.link))
    }

    /// Something happened that deserves a line: a command, a lost report.
    pub(crate) fn note(&mut self, note: &str, round_trips: &RoundTrips) -> io::Result<()> {
        let note = format!("{}  {note}", time_of_day());
        if self.panel.is_some() {
            return self.panel(|panel| panel.note(note), round_trips);
        }
        terminal::print(&note)
    }

    /// A line was typed.
    pub(crate) fn line_typed(&mut self) {
        if let Some(panel) = &mut self.panel {
            panel.line_typed();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
