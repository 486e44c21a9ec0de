//! What this machine measures of itself: temperature, load and memory, from the files of a Linux kernel.
//!
//! A source that is not there is named with the file that was looked for; nothing is made up in its place.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the kernel's sensors are: thermal zones first, because they are in every kernel that has any.
const SENSORS: [(&str, &str); 2] = [("sys/class/thermal", "temp"), ("sys/class/hwmon", "_input")];

/// Degrees Celsius that a sensor can mean; broken ones say anything.
const SENSIBLE: std::ops::RangeInclusive<f64> = -60.0..=150.0;

/// A machine below whose root the files are: `/`, or where a container has them mounted.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    root: PathBuf,
}

/// What a state says of the machine besides its temperature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Machine {
    /// Mean number of runnable processes over 1, 5 and 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_available_bytes: Option<u64>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
}

impl Host {
    pub(crate) fn new(root: &Path) -> Host {
        Host {
            root: root.to_owned(),
        }
    }

    /// The name of the machine.
    pub(crate) fn name(&self) -> Result<String, String> {
        self.read("proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
    }

    /// Degrees Celsius of the hottest sensor with one decimal, if there is one, and the rest.
    pub(crate) fn measure(&self) -> (Option<f64>, Machine) {
        let mut machine = Machine::default();
        let mut missing = Vec::new();
        let temperature = note(self.temperature(), "temperature", &mut missing);
        machine.load = note(self.load(), "load", &mut missing);
        if let Some((total, available)) = note(self.memory(), "memory", &mut missing) {
            machine.memory_total_bytes = Some(total);
            machine.memory_available_bytes = Some(available);
        }
        machine.missing = missing;
        (temperature, machine)
    }

    fn temperature(&self) -> Result<f64, String> {
        let hottest = SENSORS.iter().find_map(|(folder, suffix)| {
            let readings = self.sensors(folder, suffix);
            readings.into_iter().max_by(f64::total_cmp)
        });
        let hottest = hottest.map(|degrees| (degrees * 10.0).round() / 10.0);
        hottest.ok_or_else(|| {
            let folders = SENSORS.map(|(folder, _)| self.root.join(folder).display().to_string());
            format!("no sensor can be read in {}", folders.join(" or "))
        })
    }

    /// What the files `temp` or `temp*_input` in the folders below say, in degrees.
    fn sensors(&self, folder: &str, suffix: &str) -> Vec<f64> {
        let devices = fs::read_dir(self.root.join(folder)).into_iter().flatten();
        let files = devices
            .flatten()
            .flat_map(|device| fs::read_dir(device.path()).into_iter().flatten().flatten());
        files
            .filter(|file| {
                let name = file.file_name();
                let name = name.to_string_lossy();
                name.starts_with("temp") && name.ends_with(suffix)
            })
            .filter_map(|file| {
                let text = fs::read_to_string(file.path()).ok()?;
                let millidegrees: f64 = text.trim().parse().ok()?;
                Some(millidegrees / 1_000.0)
            })
            .filter(|degrees| SENSIBLE.contains(degrees))
            .collect()
    }

    fn load(&self) -> Result<[f64; 3], String> {
        let text = self.read("proc/loadavg")?;
        let mut words = text.split_whitespace().map(str::parse);
        let mut next = || words.next().and_then(Result::ok);
        match (next(), next(), next()) {
            (Some(one), Some(five), Some(fifteen)) => Ok([one, five, fifteen]),
            _ => Err(format!(
                "proc/loadavg is {:?}; it begins with three numbers",
                text.trim()
            )),
        }
    }

    /// Bytes in all, and bytes that programs could have without swapping.
    fn memory(&self) -> Result<(u64, u64), String> {
        let text = self.read("proc/meminfo")?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            kib.checked_mul(1_024)
        };
        match (bytes("MemTotal:"), bytes("MemAvailable:")) {
            (Some(total), Some(available)) => Ok((total, available)),
            _ => Err("proc/meminfo has no MemTotal and MemAvailable".to_owned()),
        }
    }

    fn read(&self, file: &str) -> Result<String, String> {
        let path = self.root.join(file);
        fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))
    }
}

fn note<T>(measured: Result<T, String>, what: &str, missing: &mut Vec<String>) -> Option<T> {
    measured
        .map_err(|why| missing.push(format!("{what}: {why}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let host = Host::new(root.path());
        (root, host)
    }

    #[test]
    fn the_hottest_sensible_sensor_is_the_temperature() {
        let (_root, host) = machine(&[
            ("sys/class/thermal/thermal_zone0/temp", "41250\n"),
            ("sys/class/thermal/thermal_zone1/temp", "48960\n"),
            ("sys/class/thermal/thermal_zone2/temp", "-274000\n"),
            ("sys/class/thermal/thermal_zone3/temp", "broken\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "99000\n"),
        ]);
        assert_eq!(host.temperature(), Ok(49.0));
    }

    #[test]
    fn without_thermal_zones_other_sensors_count() {
        let (_root, host) = machine(&[
            ("sys/class/hwmon/hwmon0/temp1_input", "36500\n"),
            ("sys/class/hwmon/hwmon0/temp1_max", "100000\n"),
            ("sys/class/hwmon/hwmon0/fan1_input", "3000\n"),
        ]);
        assert_eq!(host.temperature(), Ok(36.5));
    }

    #[test]
    fn load_and_memory_are_read_as_the_kernel_writes_them() {
        let (_root, host) = machine(&[
            ("proc/loadavg", "0.52 0.40 0.31 1/456 7890\n"),
            (
                "proc/meminfo",
                "MemTotal:       16305424 kB\nMemFree:  1 kB\nMemAvailable:    9000000 kB\n",
            ),
            ("proc/sys/kernel/hostname", "pump-house\n"),
        ]);
        let (temperature, machine) = host.measure();
        assert_eq!(temperature, None);
        assert_eq!(machine.load, Some([0.52, 0.40, 0.31]));
        assert_eq!(machine.memory_total_bytes, Some(16_305_424 * 1_024));
        assert_eq!(machine.memory_available_bytes, Some(9_000_000 * 1_024));
        assert_eq!(machine.missing.len(), 1);
        assert!(machine.missing[0].starts_with("temperature: no sensor"));
        assert_eq!(host.name().as_deref(), Ok("pump-house"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let (_root, host) = machine(&[("proc/meminfo", "MemTotal: lots\n")]);
        let (_, machine) = host.measure();
        let missing = machine.missing.join("; ");
        assert!(
            missing.contains("load: ") && missing.contains("proc/loadavg cannot be read"),
            "{missing}"
        );
        assert!(missing.contains("memory: proc/meminfo has no"), "{missing}");
    }
}
