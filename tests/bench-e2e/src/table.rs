//! The printed table and its verdict.

use anyhow::{Context as _, Result};

use crate::client::Kind;
use crate::harness::Medians;
use crate::measure::{MEASURES, Measure, RedLine};

/// Prints the medians beside what mqtt-std is held to; whether every red line holds.
pub(crate) fn print(medians: &Medians) -> Result<bool> {
    let header = ["raw", "rumqttc", "mqtt-std", "red line", "goal"];
    println!(
        "{}  {:<22}verdict",
        line("64-byte payloads", &header),
        "unit"
    );
    let mut all_hold = true;
    for (index, measure) in MEASURES.iter().enumerate() {
        let of = |kind: Kind| medians.get(&(index, kind as u8)).copied();
        let [raw, rumqttc, ours] = Kind::ALL.map(of);
        let (raw, rumqttc) = raw.zip(rumqttc).context("no figure to compare with")?;
        let ours = ours.context("no figure of mqtt-std")?;
        let [red_line, goal] = bounds(measure, raw, rumqttc);
        let verdict = verdict(measure, ours, red_line, goal);
        all_hold &= verdict != Verdict::Crossed;
        let cells = [raw, rumqttc, ours, red_line, goal].map(short);
        let cells = cells.each_ref().map(String::as_str);
        let ratio = ratio(measure, ours, raw, rumqttc);
        let line = line(measure.name, &cells);
        println!("{line}  {:<22}{}{ratio}", measure.unit, verdict.text());
    }
    Ok(all_hold)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoalMet,
    Holds,
    Crossed,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::GoalMet => "goal met",
            Self::Holds => "holds",
            Self::Crossed => "CROSSED",
        }
    }
}

fn verdict(measure: &Measure, ours: f64, red_line: f64, goal: f64) -> Verdict {
    let more_is_better = matches!(measure.red_line, RedLine::FasterThanRumqttc(_));
    let reaches = |bound: f64| {
        if more_is_better {
            ours >= bound
        } else {
            ours <= bound
        }
    };
    match (reaches(goal), reaches(red_line)) {
        (true, _) => Verdict::GoalMet,
        (_, true) => Verdict::Holds,
        _ => Verdict::Crossed,
    }
}

/// Red line and goal in the unit of the measure.
fn bounds(measure: &Measure, raw: f64, rumqttc: f64) -> [f64; 2] {
    let goal = measure.goal;
    match measure.red_line {
        RedLine::FasterThanRumqttc(factor) | RedLine::CheaperThanRumqttc(factor) => {
            [factor * rumqttc, goal * rumqttc]
        }
        RedLine::CloseToRaw(factor) => [factor * raw, goal * raw],
        RedLine::NoMoreThan(bound) => [bound, goal],
    }
}

fn ratio(measure: &Measure, ours: f64, raw: f64, rumqttc: f64) -> String {
    match measure.red_line {
        RedLine::CloseToRaw(_) => format!(", {:.2} x raw", ours / raw),
        RedLine::NoMoreThan(_) => String::new(),
        _ => format!(", {:.2} x rumqttc", ours / rumqttc),
    }
}

fn line(name: &str, cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| format!("{cell:>10}"));
    format!("{name:<32}{}", cells.collect::<String>())
}

/// Four digits are more than the noise allows.
fn short(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figure;

    fn verdict_of(figure: Figure, ours: f64) -> Verdict {
        let measure = MEASURES.iter().find(|measure| measure.figure == figure);
        let measure = measure.unwrap();
        let [red_line, goal] = bounds(measure, 10.0, 100.0);
        verdict(measure, ours, red_line, goal)
    }

    #[test]
    fn a_rate_must_reach_its_red_line() {
        assert_eq!(verdict_of(Figure::Rate, 299.0), Verdict::Crossed);
        assert_eq!(verdict_of(Figure::Rate, 300.0), Verdict::Holds);
        assert_eq!(verdict_of(Figure::Rate, 1_000.0), Verdict::GoalMet);
    }

    #[test]
    fn a_cost_must_stay_below_its_red_line() {
        assert_eq!(verdict_of(Figure::Cpu, 71.0), Verdict::Crossed);
        assert_eq!(verdict_of(Figure::Cpu, 69.0), Verdict::Holds);
        assert_eq!(verdict_of(Figure::RoundTrip, 10.5), Verdict::GoalMet);
        assert_eq!(verdict_of(Figure::SystemCalls, 0.31), Verdict::Crossed);
    }

    #[test]
    fn no_figure_at_all_is_a_crossed_line() {
        assert_eq!(verdict_of(Figure::Rate, f64::NAN), Verdict::Crossed);
    }
}
