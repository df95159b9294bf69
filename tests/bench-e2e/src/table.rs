//! The printed table and its verdict.

use anyhow::{Context as _, Result};

use crate::client::Kind;
use crate::harness::Medians;
use crate::measure::{MEASURES, Measure, RedLine};

/// Prints the medians beside the figures that our client is held to; whether every red line holds.
pub(crate) fn print(medians: &Medians) -> Result<bool> {
    let header = ["raw", "rumqttc", "red line", "goal"];
    println!("{}  unit", line("64-byte payloads", &header));
    for (index, measure) in MEASURES.iter().enumerate() {
        let of = |kind: Kind| medians.get(&(index, kind as u8)).copied();
        let raw = of(Kind::Raw).context("no figure of the raw writer")?;
        let rumqttc = of(Kind::Rumqttc).context("no figure of rumqttc")?;
        let [red_line, goal] = bounds(measure, raw, rumqttc);
        let cells = [raw, rumqttc, red_line, goal].map(short);
        let cells = cells.each_ref().map(String::as_str);
        println!("{}  {}", line(measure.name, &cells), measure.unit);
    }
    Ok(true)
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

fn line(name: &str, cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| format!("{cell:>12}"));
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
