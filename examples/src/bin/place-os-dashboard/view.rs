//! What the user sees: a table that is redrawn in place on a terminal, a line for each change elsewhere.

use std::io;

use examples::simulator::Said;
use examples::terminal::{self, Frame, milliseconds_since_1970};
use mqtt_std::LinkState;

use crate::building::{Building, Place, Status};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// A value that changed so recently stands out.
const FRESH_S: i64 = 3;

/// Standard output. Every method fails when nobody reads it any more.
#[derive(Debug)]
pub(crate) struct View {
    table: Option<Table>,
}

#[derive(Debug)]
struct Table {
    title: String,
    link: LinkState,
    note: String,
    frame: Frame,
    colour: bool,
}

impl View {
    pub(crate) fn new(title: &str) -> Self {
        let table = terminal::is_interactive().then(|| Table {
            title: title.to_owned(),
            link: LinkState::Idle,
            note: String::new(),
            frame: Frame::default(),
            colour: terminal::wants_colour(),
        });
        Self { table }
    }

    /// The link changed.
    pub(crate) fn link(&mut self, state: LinkState) -> io::Result<()> {
        match &mut self.table {
            Some(table) => {
                table.link = state;
                Ok(())
            }
            None => terminal::print_with_time(&format!("link: {state}")),
        }
    }

    /// Something about the building changed; the table shows it anyway.
    pub(crate) fn change(&mut self, text: &str) -> io::Result<()> {
        match &mut self.table {
            None if !text.is_empty() => terminal::print_with_time(text),
            Some(table) if text.starts_with("ignored") => {
                text.clone_into(&mut table.note);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn simulator_said(&mut self, said: &Said) -> io::Result<()> {
        match &mut self.table {
            Some(table) => {
                if said.is_answer {
                    table.frame.line_typed();
                }
                said.text.clone_into(&mut table.note);
                Ok(())
            }
            None => terminal::print_with_time(&said.text),
        }
    }

    /// Draws the table.
    pub(crate) fn draw(&mut self, building: &Building) -> io::Result<()> {
        match &mut self.table {
            Some(table) => {
                let lines = table.lines(building, terminal::height());
                table.frame.draw(&lines)
            }
            None => Ok(()),
        }
    }
}

impl Table {
    /// Lines besides the systems, and the one in which the cursor stays.
    const MARGIN: usize = 5;

    fn lines(&self, building: &Building, height: usize) -> Vec<String> {
        let headline = format!("{}  ● {}", self.paint(BOLD, &self.title), self.link);
        let mut lines = vec![headline, String::new()];
        let mut body = self.body(building);
        let room = height.saturating_sub(Self::MARGIN).max(1);
        if body.len() > room {
            body.truncate(room);
            lines.extend(body);
            let more = "… more than there is room for: --level, --system, --module or --key select";
            lines.push(self.paint(DIM, more));
        } else {
            lines.extend(body);
            lines.push(self.paint(DIM, &format!("{} values", building.len())));
        }
        // A note of several lines would be more lines than are counted.
        lines.push(self.note.lines().next().unwrap_or_default().to_owned());
        lines
    }

    fn body(&self, building: &Building) -> Vec<String> {
        let now_ms = i64::try_from(milliseconds_since_1970()).unwrap_or(i64::MAX);
        let mut lines = Vec::new();
        let mut last: Option<&Place> = None;
        for (place, status) in building.statuses() {
            if !last.is_some_and(|last| last.is_beside(place)) {
                lines.push(self.paint(BOLD, &building.title(place)));
            }
            lines.push(self.row(place, status, now_ms));
            last = Some(place);
        }
        lines
    }

    fn row(&self, place: &Place, status: &Status, now_ms: i64) -> String {
        let age_s = now_ms.saturating_sub(status.time_ms) / 1000;
        let value = if age_s <= FRESH_S {
            self.paint(BOLD, &status.value)
        } else {
            status.value.clone()
        };
        let name = format!("{} {}", place.module, place.index);
        let age = self.paint(DIM, &age(age_s));
        format!("  {name:<16} {:<20} {age}  {value}", place.key)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

/// How long ago, in the largest unit; times ahead of this clock are now.
fn age(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..0 => (0, "s"),
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "m"),
        3_600..86_400 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count:>5} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            title: "head office".into(),
            link: LinkState::Idle,
            note: "one\ntwo".into(),
            frame: Frame::default(),
            colour: false,
        }
    }

    fn building(statuses: u32) -> Building {
        let mut building = Building::default();
        for index in 1..=statuses {
            let topic = format!("placeos/o/state/_/bld/lvl/_/sys/drv/Display/{index}/power");
            let message = (topic.as_str(), &br#"{"time":1700000000,"value":true}"#[..]);
            building.take_state(message, true).unwrap();
        }
        building
    }

    #[test]
    fn system_stands_above_its_values() {
        let lines = table().lines(&building(2), 24);
        assert_eq!(lines[2], "bld / lvl / sys");
        assert!(
            lines[3].starts_with("  Display 1        power"),
            "{lines:?}"
        );
        assert!(lines[4].ends_with("true"), "{lines:?}");
        assert_eq!(&lines[5..], ["2 values", "one"]);
    }

    #[test]
    fn table_is_no_taller_than_the_terminal() {
        let lines = table().lines(&building(100), 24);
        assert!(lines.len() < 24, "{}", lines.len());
        assert!(lines[lines.len() - 2].starts_with("… more"), "{lines:?}");
    }

    #[test]
    fn age_is_in_the_largest_unit() {
        assert_eq!(age(-5), "    0 s");
        assert_eq!(age(59), "   59 s");
        assert_eq!(age(7_200), "    2 h");
        assert_eq!(age(200_000), "    2 d");
    }
}
