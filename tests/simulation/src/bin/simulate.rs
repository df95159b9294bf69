//! Lives many lives, or tells one of them.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use clap::Parser;
use mqtt_simulation::{Life, Summary, Violation, live, minimise, replay};

/// The real client in a simulated world.
#[derive(Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed only
    #[arg(long)]
    seed: Option<u64>,
    /// Tell it line by line
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Threads; by default as many as there are processors
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after a failure, and list the first of each kind
    #[arg(long)]
    keep_going: bool,
    /// Do not look for a shorter life that fails in the same way
    #[arg(long)]
    as_it_is: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a finding like any other.
    std::panic::set_hook(Box::new(|_| {}));
    let (from, seeds) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => (arguments.from, arguments.seeds),
    };
    if arguments.trace {
        for line in live(from, true).trace {
            println!("{line}");
        }
    }
    let begun = Instant::now();
    let (summary, failed) = live_all(from, seeds, jobs(&arguments), arguments.keep_going);
    println!("{summary}");
    println!(
        "time                {:>12.1} s",
        begun.elapsed().as_secs_f32()
    );
    if failed.is_empty() {
        println!("every rule held");
        return ExitCode::SUCCESS;
    }
    for finding in &failed {
        finding.tell(!arguments.as_it_is && !arguments.keep_going);
    }
    ExitCode::FAILURE
}

fn jobs(arguments: &Arguments) -> usize {
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    arguments.jobs.unwrap_or_else(processors)
}

/// A rule that did not hold, the first seed that showed it, and how many did.
struct Finding {
    seed: u64,
    violation: Violation,
    tape: Vec<u32>,
    count: u64,
}

/// Lives all seeds, or until one has failed.
fn live_all(from: u64, seeds: u64, jobs: usize, keep_going: bool) -> (Summary, Vec<Finding>) {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let result = Mutex::new((Summary::default(), Vec::new()));
    let work = || {
        let mut own = Summary::default();
        while !stop.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= from + seeds {
                break;
            }
            let life = live(seed, false);
            own.add(&life.summary);
            if life.violation.is_some() {
                stop.store(!keep_going, Relaxed);
                if let Ok(mut result) = result.lock() {
                    note(&mut result.1, seed, life);
                }
            }
        }
        if let Ok(mut result) = result.lock() {
            result.0.add(&own);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    result.into_inner().unwrap_or_default()
}

fn note(findings: &mut Vec<Finding>, seed: u64, life: Life) {
    let Some(violation) = life.violation else {
        return;
    };
    let known = findings
        .iter_mut()
        .find(|known| known.violation.rule == violation.rule);
    let finding = Finding {
        seed,
        violation,
        tape: life.tape,
        count: 1,
    };
    match known {
        None => findings.push(finding),
        Some(known) if seed < known.seed => {
            let count = known.count + 1;
            *known = Finding { count, ..finding };
        }
        Some(known) => known.count += 1,
    }
}

impl Finding {
    /// What went wrong, in as few words as possible.
    fn tell(&self, shorten: bool) {
        let rule = self.violation.rule;
        println!(
            "\nFAILED seed {}: {rule} ({} in all)",
            self.seed, self.count
        );
        println!("  {}", self.violation.text);
        println!("  all of it: simulate --seed {} --trace", self.seed);
        if !shorten {
            return;
        }
        let tape = minimise(self.tape.clone(), rule);
        let short = replay(tape.clone(), true);
        let left = tape.iter().filter(|value| **value != 0).count();
        let all = self.tape.len();
        println!("\nThe shortest life that was found, with {left} decisions of {all}:");
        for line in &short.trace {
            println!("{line}");
        }
    }
}
