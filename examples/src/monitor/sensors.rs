//! Reads this machine: load, memory, disk, temperature, uptime and network counters.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use procfs_core::net::InterfaceDeviceStatus;
use procfs_core::{FromRead as _, LoadAverage, Meminfo, Uptime};

use super::report::{Network, Reading, Space};

/// Where the readings come from: the root under which `proc` and `sys` are mounted.
#[derive(Debug, Clone)]
pub struct Sensors {
    root: PathBuf,
}

impl Sensors {
    /// The sensors of the machine whose `proc` and `sys` lie under `root`, `/` for this one.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads everything once. Load, memory and uptime exist on every Linux; what a machine may lack is `None`.
    ///
    /// # Errors
    ///
    /// When one of those cannot be read.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let load = self.proc_file::<LoadAverage>("proc/loadavg")?;
        let memory = self.proc_file::<Meminfo>("proc/meminfo")?;
        let uptime = self.proc_file::<Uptime>("proc/uptime")?;
        Ok(Reading {
            load: [load.one, load.five, load.fifteen],
            memory: Space {
                total: memory.mem_total,
                // Kernels before 3.14 do not say what is available; free memory is the cautious answer.
                available: memory.mem_available.unwrap_or(memory.mem_free),
            },
            disk: disk(&self.root),
            temperature_c: hottest(&self.root),
            uptime_s: uptime.uptime_duration().as_secs(),
            network: self.network(),
        })
    }

    fn proc_file<T: procfs_core::FromRead>(&self, name: &str) -> anyhow::Result<T> {
        let path = self.root.join(name);
        T::from_file(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The counters of all interfaces together. Loopback is left out: it would count our own broker.
    fn network(&self) -> Option<Network> {
        let interfaces = InterfaceDeviceStatus::from_file(self.root.join("proc/net/dev")).ok()?;
        let mut total = Network {
            received: 0,
            sent: 0,
        };
        for interface in interfaces
            .0
            .values()
            .filter(|interface| interface.name != "lo")
        {
            total.received += interface.recv_bytes;
            total.sent += interface.sent_bytes;
        }
        Some(total)
    }
}

/// The file system that holds `path`. "Available" is what a user without privileges may still fill.
fn disk(path: &Path) -> Option<Space> {
    let status = rustix::fs::statvfs(path).ok()?;
    // What ordinary users can have, as `df` counts it: blocks reserved for root are neither used nor available.
    let usable = status.f_blocks.checked_sub(status.f_bfree)? + status.f_bavail;
    let total = usable.checked_mul(status.f_frsize)?;
    let available = status.f_bavail.checked_mul(status.f_frsize)?;
    (total > 0).then_some(Space { total, available })
}

/// The hottest sensor in degrees Celsius. Boards and kernels disagree on names, so no sensor is preferred by its name.
fn hottest(root: &Path) -> Option<f32> {
    let zones = files(&root.join("sys/class/thermal"), "thermal_zone", "temp");
    let monitors = files(&root.join("sys/class/hwmon"), "hwmon", "temp1_input");
    let readings = zones
        .into_iter()
        .chain(monitors)
        .filter_map(|path| temperature(&path));
    readings.max_by(f32::total_cmp)
}

fn files(directory: &Path, prefix: &str, file: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let matching = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    matching.map(|entry| entry.path().join(file)).collect()
}

/// The kernel tells millidegrees. Sensors that are switched off report nonsense such as -273.2 or 0.
fn temperature(path: &Path) -> Option<f32> {
    let millidegrees: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let tenths = i16::try_from(millidegrees / 100).ok()?;
    (-500..=2000)
        .contains(&tenths)
        .then_some(f32::from(tenths) / 10.0)
        .filter(|celsius| *celsius != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADAVG: &str = "0.42 0.30 0.21 2/345 6789\n";
    const UPTIME: &str = "93784.12 180000.00\n";
    const MEMINFO: &str = "MemTotal:        8000000 kB\nMemFree:         1000000 kB\nMemAvailable:    6000000 kB\n\
        Buffers:               0 kB\nCached:                0 kB\nSwapCached:            0 kB\nActive:                0 kB\n\
        Inactive:              0 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\nDirty:                 0 kB\n\
        Writeback:             0 kB\nAnonPages:             0 kB\nMapped:                0 kB\nSlab:                  0 kB\n\
        Committed_AS:          0 kB\nVmallocTotal:          0 kB\nVmallocUsed:           0 kB\nVmallocChunk:          0 kB\n";
    const NET_DEV: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
        \x20   lo:  999999      10    0    0    0     0          0         0   999999      10    0    0    0     0       0          0\n\
        \x20 eth0:    1200      12    0    0    0     0          0         0      340       4    0    0    0     0       0          0\n\
        \x20wlan0:     800       8    0    0    0     0          0         0       60       1    0    0    0     0       0          0\n";

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("loadavg", LOADAVG),
            ("uptime", UPTIME),
            ("meminfo", MEMINFO),
            ("net/dev", NET_DEV),
        ] {
            write(root.path(), &format!("proc/{name}"), text);
        }
        root
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn load_memory_and_uptime_are_read() {
        let root = machine();
        let reading = Sensors::new(root.path()).read().unwrap();
        assert_eq!(format!("{:?}", reading.load), "[0.42, 0.3, 0.21]");
        assert_eq!(
            reading.memory,
            Space {
                total: 8_192_000_000,
                available: 6_144_000_000
            }
        );
        assert_eq!(reading.uptime_s, 93_784);
    }

    #[test]
    fn network_counters_are_summed_without_loopback() {
        let root = machine();
        let reading = Sensors::new(root.path()).read().unwrap();
        assert_eq!(
            reading.network,
            Some(Network {
                received: 2000,
                sent: 400
            })
        );
    }

    #[test]
    fn hottest_of_all_sensors_counts() {
        let root = machine();
        write(
            root.path(),
            "sys/class/thermal/thermal_zone0/temp",
            "41500\n",
        );
        write(root.path(), "sys/class/hwmon/hwmon3/temp1_input", "48050\n");
        write(
            root.path(),
            "sys/class/hwmon/hwmon4/temp1_input",
            "-273200\n",
        );
        assert_eq!(
            Sensors::new(root.path()).read().unwrap().temperature_c,
            Some(48.0)
        );
    }

    #[test]
    fn machine_without_thermometer_or_network_has_none() {
        let root = machine();
        std::fs::remove_file(root.path().join("proc/net/dev")).unwrap();
        let reading = Sensors::new(root.path()).read().unwrap();
        assert_eq!(reading.temperature_c, None);
        assert_eq!(reading.network, None);
    }

    #[test]
    fn missing_load_is_an_error_that_names_the_file() {
        let root = machine();
        std::fs::remove_file(root.path().join("proc/loadavg")).unwrap();
        let error = Sensors::new(root.path()).read().unwrap_err();
        assert!(error.to_string().ends_with("proc/loadavg"), "{error}");
    }

    #[test]
    fn this_machine_can_be_read() {
        let reading = Sensors::new("/").read().unwrap();
        assert!(reading.memory.total >= reading.memory.available);
        assert!(reading.disk.is_some());
    }
}
