//! `limits`: what one bottle may use (L13). How far each can be enforced depends on the host.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Limits of a bottle; what is absent is left to the launcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of all its processes together, such as `2G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Processors, such as `1.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpus>,
    /// Processes and threads at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_194_304))]
    pub processes: Option<u32>,
    /// What it may write to its own disk, such as `10G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ByteSize>,
    /// How long it may run, such as `90m`; then it is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<WallTime>,
}

impl Limits {
    /// These limits, with those of `child` where it gives some.
    #[must_use]
    pub(crate) fn overlaid(self, child: Self) -> Self {
        Self {
            memory: child.memory.or(self.memory),
            cpu: child.cpu.or(self.cpu),
            processes: child.processes.or(self.processes),
            disk: child.disk.or(self.disk),
            wall_time: child.wall_time.or(self.wall_time),
        }
    }
}

/// Why a text is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLimit(&'static str);

/// A number of bytes, from 1 MiB; written as a whole number and `M`, `G` or `T` (powers of 1024; `MiB` is the same).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

const BYTE_UNITS: [(&str, u64); 3] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20)];
const BYTE_RULE: &str = "a whole number and M, G or T, such as 512M or 2G";
const BYTE_PATTERN: &str = "^[1-9][0-9]{0,5}[MGT](iB)?$";

impl ByteSize {
    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidLimit;
    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        scaled(text.strip_suffix("iB").unwrap_or(text), &BYTE_UNITS).map(Self).ok_or(InvalidLimit(BYTE_RULE))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &BYTE_UNITS, f)
    }
}

/// A time from 1 second; written as a whole number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallTime(u64);

const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
const TIME_RULE: &str = "a whole number and s, m, h or d, such as 90m or 8h";
const TIME_PATTERN: &str = "^[1-9][0-9]{0,5}[smhd]$";

impl WallTime {
    /// The time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for WallTime {
    type Err = InvalidLimit;
    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        scaled(text, &TIME_UNITS).map(Self).ok_or(InvalidLimit(TIME_RULE))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &TIME_UNITS, f)
    }
}

/// A number of processors in thousandths: `1.5` are 1500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Cpus(u32);

impl Cpus {
    /// Thousandths of a processor, from 10 to 1,024,000.
    #[must_use]
    pub fn thousandths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Cpus {
    type Error = InvalidLimit;
    fn try_from(number: f64) -> Result<Self, InvalidLimit> {
        if !(0.01..=1024.0).contains(&number) {
            return Err(InvalidLimit("a number of processors from 0.01 to 1024, such as 1.5"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        Ok(Self((number * 1000.0).round() as u32))
    }
}

impl From<Cpus> for f64 {
    fn from(cpus: Cpus) -> Self {
        Self::from(cpus.0) / 1000.0
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(*self))
    }
}

impl JsonSchema for Cpus {
    fn schema_name() -> Cow<'static, str> {
        "Cpus".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.01, "maximum": 1024 })
    }
}

macro_rules! written {
    ($name:ident, $pattern:expr, $rule:expr) => {
        impl TryFrom<String> for $name {
            type Error = InvalidLimit;
            fn try_from(text: String) -> Result<Self, InvalidLimit> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $rule })
            }
        }
    };
}
written!(ByteSize, BYTE_PATTERN, BYTE_RULE);
written!(WallTime, TIME_PATTERN, TIME_RULE);

/// At most six digits and a unit, so that nothing overflows.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, scale) =
        units.iter().find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, scale)))?;
    let digits = (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits && !number.starts_with('0'))?;
    Some(number * scale)
}

/// In the largest unit that shows it exactly.
fn show(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match units.iter().find(|(_, scale)| value.is_multiple_of(*scale)) {
        Some((unit, scale)) => write!(f, "{}{unit}", value / scale),
        None => write!(f, "{value}"),
    }
}
