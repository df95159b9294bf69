//! Memory and descriptors of this process, by what Linux tells in `/proc`.

use std::fmt;
use std::fs;

use anyhow::{Context as _, Result};

/// What is sampled before that share of the run is over says nothing: caches and pools still fill.
const WARM_UP: f64 = 0.25;

/// From here on it counts as the end of the run.
const END: f64 = 0.75;

/// How much more memory may be in use at the end, in KiB: the allocator keeps what threads of the proxy have left.
const SLACK_KIB: u64 = 1024;

/// Samples of a run.
#[derive(Default)]
pub(crate) struct Vitals {
    samples: Vec<Sample>,
}

struct Sample {
    /// Which share of the run is over.
    progress: f64,
    memory_kib: u64,
    descriptors: usize,
}

impl Vitals {
    /// Notes what is in use now.
    pub(crate) fn sample(&mut self, progress: f64) -> Result<()> {
        self.samples.push(Sample {
            progress,
            memory_kib: memory_kib()?,
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
        });
        Ok(())
    }

    /// What has grown.
    pub(crate) fn judge(&self) -> Vec<String> {
        let memory = |sample: &Sample| sample.memory_kib;
        let descriptors = |sample: &Sample| sample.descriptors as u64;
        let mut faults = Vec::new();
        if median(self.late().map(memory)) > median(self.early().map(memory)) + SLACK_KIB {
            faults.push("memory has grown".to_owned());
        }
        if median(self.late().map(descriptors)) > median(self.early().map(descriptors)) {
            faults.push("there are more descriptors".to_owned());
        }
        faults
    }

    /// After the warm-up, up to the middle.
    fn early(&self) -> impl Iterator<Item = &Sample> {
        let middle = f64::midpoint(WARM_UP, END);
        let samples = self.samples.iter();
        samples.filter(move |sample| (WARM_UP..middle).contains(&sample.progress))
    }

    fn late(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.progress >= END)
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>11}{:>13}", "", "memory", "descriptors")?;
        let [early, late]: [Vec<_>; 2] = [self.early().collect(), self.late().collect()];
        for (title, samples) in [("after the warm-up", early), ("at the end", late)] {
            let memory = median(samples.iter().map(|sample| sample.memory_kib));
            let descriptors = median(samples.iter().map(|sample| sample.descriptors as u64));
            let memory = format!("{memory} KiB");
            writeln!(f, "{title:<24}{memory:>11}{descriptors:>13}")?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn memory_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.context("VmRSS")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(memory: [u64; 4], descriptors: [usize; 4]) -> Vitals {
        let samples = [0.1, 0.3, 0.6, 0.9].into_iter();
        let samples = samples.zip(memory).zip(descriptors);
        Vitals {
            samples: samples
                .map(|((progress, memory_kib), descriptors)| Sample {
                    progress,
                    memory_kib,
                    descriptors,
                })
                .collect(),
        }
    }

    #[test]
    fn growth_after_the_warm_up_is_a_fault() {
        let flat = vitals([10, 9000, 9100, 9000], [5, 20, 21, 20]);
        assert_eq!(flat.judge(), [""; 0]);
        let grown = vitals([10, 9000, 9500, 11_000], [5, 20, 21, 22]);
        assert_eq!(grown.judge().len(), 2);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(memory_kib().unwrap() > 100);
    }
}
