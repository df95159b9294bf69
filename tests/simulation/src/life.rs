//! One life by its seed or tape, and the shortest one that fails in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    scene::Scene,
    tape::Tape,
    verdict::{Rule, Summary, Violation},
    world::World,
};

/// How a life went.
#[derive(Clone, Debug)]
pub struct Life {
    /// The first rule that did not hold.
    pub violation: Option<Violation>,
    /// What happened.
    pub summary: Summary,
    /// Line by line, if that was asked for.
    pub trace: Vec<String>,
    /// Every decision that was made.
    pub tape: Vec<u32>,
}

/// Lives the life of `seed`; `traced` tells it line by line.
#[must_use]
pub fn live(seed: u64, traced: bool) -> Life {
    live_by(&Tape::seeded(seed), traced)
}

/// Lives by a recorded tape.
#[must_use]
pub fn replay(tape: Vec<u32>, traced: bool) -> Life {
    live_by(&Tape::recorded(tape), traced)
}

fn live_by(tape: &Tape, traced: bool) -> Life {
    let scene = Scene::new(tape.clone(), traced);
    let lived = catch_unwind(AssertUnwindSafe(|| World::new(&scene).live()));
    if let Err(panic) = lived {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        scene.violate(Rule::NoPanic, || text.unwrap_or_default());
    }
    let summary = *scene.summary.borrow();
    Life {
        violation: scene.violation(),
        summary,
        trace: scene.trace(),
        tape: tape.values(),
    }
}

/// Lives at most, while a tape is made shorter.
const TRIES: u32 = 4_000;

/// A tape with as few decisions as could be found that still breaks `rule`.
///
/// It is cut short, thinned out, and what is left is replaced by harmless decisions, in pieces that get smaller.
#[must_use]
pub fn minimise(tape: Vec<u32>, rule: Rule) -> Vec<u32> {
    let mut best = tape;
    let mut tries = 0;
    let mut piece = best.len().next_power_of_two() / 2;
    while piece > 0 && tries < TRIES {
        let before = best.clone();
        let mut from = 0;
        while from < best.len() && tries < TRIES {
            let to = (from + piece).min(best.len());
            let mut without = best.clone();
            without.drain(from..to);
            let mut harmless = best.clone();
            harmless[from..to].fill(0);
            tries += 2;
            if fails(&without, rule) {
                best = without;
            } else {
                if harmless != best && fails(&harmless, rule) {
                    best = harmless;
                }
                from = to;
            }
        }
        // What helped once may help again.
        if best == before || piece > 8 {
            piece /= 2;
        }
    }
    while best.last() == Some(&0) {
        best.pop();
    }
    best
}

fn fails(tape: &[u32], rule: Rule) -> bool {
    let life = replay(tape.to_vec(), false);
    life.violation
        .is_some_and(|violation| violation.rule == rule)
}
