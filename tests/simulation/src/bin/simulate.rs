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
use mqtt_simulation::{Life, Summary, live, minimise, replay};

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
    let (summary, failed) = live_all(from, seeds, jobs(&arguments));
    println!("{summary}");
    println!("time                {:>12.1} s", begun.elapsed().as_secs_f32());
    let Some((seed, life)) = failed else {
        println!("every rule held");
        return ExitCode::SUCCESS;
    };
    tell(seed, &life, !arguments.as_it_is);
    ExitCode::FAILURE
}

fn jobs(arguments: &Arguments) -> usize {
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    arguments.jobs.unwrap_or_else(processors)
}

/// Lives all seeds, and gives the first that failed.
fn live_all(from: u64, seeds: u64, jobs: usize) -> (Summary, Option<(u64, Life)>) {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let result = Mutex::new((Summary::default(), None::<(u64, Life)>));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut own = Summary::default();
                while !stop.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= from + seeds {
                        break;
                    }
                    let life = live(seed, false);
                    own.add(&life.summary);
                    if life.violation.is_some() {
                        stop.store(true, Relaxed);
                        if let Ok(mut result) = result.lock()
                            && result.1.as_ref().is_none_or(|(first, _)| seed < *first)
                        {
                            result.1 = Some((seed, life));
                        }
                    }
                }
                if let Ok(mut result) = result.lock() {
                    result.0.add(&own);
                }
            });
        }
    });
    result.into_inner().unwrap_or_default()
}

/// What went wrong, in as few words as possible.
fn tell(seed: u64, life: &Life, shorten: bool) {
    let Some(violation) = &life.violation else {
        return;
    };
    println!("\nFAILED seed {seed}: {}", violation.rule);
    println!("  {}", violation.text);
    println!("  all of it: simulate --seed {seed} --trace");
    if !shorten {
        return;
    }
    let tape = minimise(life.tape.clone(), violation.rule);
    let short = replay(tape.clone(), true);
    let harmful = tape.iter().filter(|value| **value != 0).count();
    println!("\nThe shortest life that was found, with {harmful} decisions of {}:", life.tape.len());
    for line in &short.trace {
        println!("{line}");
    }
}
