//! The panel on a terminal.

use std::collections::VecDeque;
use std::io;

use mqtt_std::LinkState;

use super::super::report::{Reading, Report, Space};
use super::super::round_trips::{RoundTrips, ms};
use super::Outcome;
use crate::terminal::{self, Frame, clock};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// Everything that is visible, and how tall it was when last drawn.
#[derive(Debug)]
pub(super) struct Panel {
    title: String,
    subtitle: String,
    link: LinkState,
    reading: Option<Reading>,
    rows: VecDeque<Row>,
    sent: u32,
    acknowledged: u32,
    note: String,
    frame: Frame,
    colour: bool,
}

#[derive(Debug)]
struct Row {
    time: String,
    sequence: u32,
    report: String,
    outcome: Option<Outcome>,
}

impl Panel {
    /// Lines around the rows of reports.
    const MARGIN: usize = 15;
    const ROWS: usize = 8;

    pub(super) fn new(title: &str, subtitle: &str) -> Self {
        Self {
            title: title.to_owned(),
            subtitle: subtitle.to_owned(),
            link: LinkState::Idle,
            reading: None,
            rows: VecDeque::new(),
            sent: 0,
            acknowledged: 0,
            note: String::new(),
            frame: Frame::default(),
            colour: terminal::wants_colour(),
        }
    }

    pub(super) fn sent(&mut self, report: &Report) {
        self.sent += 1;
        self.reading = Some(report.reading.clone());
        self.rows.push_back(Row {
            time: clock(report.time),
            sequence: report.sequence,
            report: report.to_string(),
            outcome: None,
        });
        while self.rows.len() > visible_rows() {
            self.rows.pop_front();
        }
    }

    pub(super) fn done(&mut self, sequence: u32, outcome: &Outcome) {
        if matches!(outcome, Outcome::Acknowledged(_)) {
            self.acknowledged += 1;
        }
        if let Some(row) = self.rows.iter_mut().find(|row| row.sequence == sequence) {
            row.outcome = Some(outcome.clone());
        }
    }

    pub(super) fn link(&mut self, state: LinkState) {
        self.link = state;
    }

    pub(super) fn note(&mut self, note: String) {
        self.note = note;
    }

    pub(super) fn line_typed(&mut self) {
        self.frame.line_typed();
    }

    /// Draws over what was drawn before.
    pub(super) fn draw(&mut self, round_trips: &RoundTrips) -> io::Result<()> {
        self.frame.draw(&self.lines(round_trips))
    }

    fn lines(&self, round_trips: &RoundTrips) -> Vec<String> {
        let mut lines = vec![
            self.headline(),
            self.paint(DIM, &self.subtitle),
            String::new(),
        ];
        if let Some(reading) = &self.reading {
            lines.extend(self.readings(reading));
            lines.push(String::new());
        }
        lines.push(self.paint(
            DIM,
            &format!("{:<8}  {:<54}  acknowledged", "UTC", "report"),
        ));
        lines.extend(self.rows.iter().map(|row| self.row(row)));
        lines.push(String::new());
        lines.push(self.totals(round_trips));
        lines.push(self.paint(YELLOW, &self.note));
        lines
    }

    fn headline(&self) -> String {
        let colour = match self.link {
            LinkState::Connected { .. } => GREEN,
            LinkState::Stopped(_) => RED,
            _ => YELLOW,
        };
        format!(
            "{}  {}",
            self.paint(BOLD, &self.title),
            self.paint(colour, &format!("● {}", self.link))
        )
    }

    fn readings(&self, reading: &Reading) -> Vec<String> {
        let [one, five, fifteen] = reading.load;
        let mut lines = vec![format!("load         {one:.2}  {five:.2}  {fifteen:.2}")];
        lines.push(format!("memory       {}", self.bar(reading.memory)));
        lines.extend(
            reading
                .disk
                .map(|disk| format!("disk /       {}", self.bar(disk))),
        );
        lines.extend(
            reading
                .temperature_c
                .map(|celsius| format!("temperature  {celsius:.1} °C")),
        );
        let network = reading
            .network
            .map(|network| (bytes(network.received), bytes(network.sent)));
        lines.extend(
            network
                .map(|(received, sent)| format!("network      {received} received, {sent} sent")),
        );
        lines.push(format!(
            "uptime       {} d {}",
            reading.uptime_s / 86_400,
            clock(reading.uptime_s)
        ));
        lines
    }

    fn bar(&self, space: Space) -> String {
        let percent = space.used_percent();
        let full = usize::try_from(percent / 5).unwrap_or(20).min(20);
        let colour = match percent {
            90.. => RED,
            75.. => YELLOW,
            _ => GREEN,
        };
        let bar = self.paint(colour, &"█".repeat(full)) + &self.paint(DIM, &"░".repeat(20 - full));
        format!(
            "{bar} {percent:>3} %  {} of {} free",
            bytes(space.available),
            bytes(space.total)
        )
    }

    fn row(&self, row: &Row) -> String {
        let outcome = match &row.outcome {
            None => self.paint(YELLOW, "waiting"),
            Some(Outcome::Acknowledged(round_trip)) => {
                self.paint(GREEN, &format!("{:9.1} ms", ms(*round_trip)))
            }
            Some(Outcome::Failed(why)) => self.paint(RED, why),
        };
        format!("{}  {:<54}  {outcome}", row.time, row.report)
    }

    fn totals(&self, round_trips: &RoundTrips) -> String {
        let totals = format!("sent {}, acknowledged {}", self.sent, self.acknowledged);
        let Some(spread) = round_trips.spread() else {
            return totals;
        };
        format!("{totals}, round trip {spread} (min / median / max)")
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

/// As many as the terminal has room for.
fn visible_rows() -> usize {
    terminal::height()
        .saturating_sub(Panel::MARGIN)
        .clamp(1, Panel::ROWS)
}

/// A size for people, in binary units.
fn bytes(count: u64) -> String {
    let (divisor, unit) = match count {
        0x4000_0000.. => (0x4000_0000, "GiB"),
        0x10_0000.. => (0x10_0000, "MiB"),
        _ => (1024, "KiB"),
    };
    let tenths = u128::from(count) * 10 / divisor;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sequence: u32) -> Report {
        let space = Space {
            total: 4 << 30,
            available: 1 << 30,
        };
        let reading = Reading {
            load: [0.42, 0.3, 0.21],
            memory: space,
            disk: None,
            temperature_c: None,
            uptime_s: 90_061,
            network: None,
        };
        Report {
            sequence,
            time: 0,
            reading,
        }
    }

    fn panel() -> Panel {
        Panel {
            colour: false,
            ..Panel::new("host-monitor", "mqtt://127.0.0.1:1")
        }
    }

    #[test]
    fn reports_are_rows_and_the_oldest_make_room() {
        let mut panel = panel();
        for sequence in 1..=20 {
            panel.sent(&report(sequence));
        }
        panel.done(
            20,
            &Outcome::Acknowledged(std::time::Duration::from_millis(3)),
        );
        let text = panel.lines(&RoundTrips::default()).join("\n");
        assert!(text.contains("#20 ") && text.contains("3.0 ms"), "{text}");
        assert!(!text.contains("#1 "), "{text}");
        assert!(text.contains("sent 20, acknowledged 1"), "{text}");
    }

    #[test]
    fn readings_are_shown_with_a_bar() {
        let mut panel = panel();
        panel.sent(&report(1));
        let text = panel.lines(&RoundTrips::default()).join("\n");
        assert!(
            text.contains("memory       ███████████████░░░░░  75 %  1.0 GiB of 4.0 GiB free"),
            "{text}"
        );
        assert!(text.contains("uptime       1 d 01:01:01"), "{text}");
    }

    #[test]
    fn sizes_are_in_binary_units() {
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(u64::MAX), "17179869183.9 GiB");
    }
}
