//! The simulation itself: what a seed means.

use mqtt_simulation::{Summary, live, replay};

#[test]
fn every_rule_holds_in_the_first_lives() {
    let mut all = Summary::default();
    for seed in 0..300 {
        let life = live(seed, false);
        if let Some(violation) = life.violation {
            panic!("seed {seed}: {}: {}", violation.rule, violation.text);
        }
        all.add(&life.summary);
    }
    // What was not there cannot have gone wrong.
    let happened = [
        all.links,
        all.cuts,
        all.drops,
        all.reboots,
        all.jumps,
        all.entrusted,
        all.restored,
        all.wills,
        all.steps,
    ];
    assert!(happened.iter().all(|count| *count > 20), "{all}");
    assert!(all.arrived > 1_000 && all.received > 500, "{all}");
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..30 {
        let first = live(seed, true);
        let second = live(seed, true);
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.tape, second.tape);
    }
}

#[test]
fn a_recorded_life_can_be_lived_again() {
    for seed in 0..30 {
        let first = live(seed, true);
        assert_eq!(replay(first.tape, true).trace, first.trace);
    }
}

#[test]
fn without_mishaps_nothing_is_lost_and_nothing_repeated() {
    let life = replay(Vec::new(), true);
    assert!(life.violation.is_none(), "{:?}", life.violation);
    assert_eq!(life.summary.links, 1);
    assert_eq!(life.summary.arrived, life.summary.published);
    assert!(life.trace.iter().all(|line| !line.contains("DUP")));
}
