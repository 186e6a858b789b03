//! Numbers, printed as they come and written down at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Serialize;

/// Everything that was measured in this run.
pub(crate) struct Report {
    only: Option<String>,
    numbers: BTreeMap<&'static str, Number>,
    file: PathBuf,
}

/// One number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Number {
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// For a ratio, what it was divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over: Option<Over>,
}

/// The denominator of a ratio.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Over {
    /// What was measured.
    pub(crate) name: &'static str,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
}

impl Report {
    /// A report on all benchmarks, or on one.
    ///
    /// # Errors
    /// The target directory is not known.
    pub(crate) fn new(only: Option<String>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let target = program.ancestors().find(|path| path.join("CACHEDIR.TAG").exists());
        let target = target.context("finding the target directory that this program was built into")?;
        Ok(Self { only, numbers: BTreeMap::new(), file: target.join("bench.json") })
    }

    /// Whether any of these benchmarks is to be run.
    pub(crate) fn wants(&self, names: &[&str]) -> bool {
        self.only.as_deref().is_none_or(|only| names.contains(&only))
    }

    /// Notes a number and prints it.
    #[expect(clippy::print_stdout, reason = "this is the program's output")]
    pub(crate) fn add(&mut self, name: &'static str, number: Number) {
        let over = number.over.as_ref().map_or_else(String::new, |over| {
            format!("   over {} {:.1} {}", over.name, over.value, over.unit)
        });
        println!("{name:36} {:>12.3} {:8}{over}", number.value, number.unit);
        self.numbers.insert(name, number);
    }

    /// Prints a remark below a number.
    #[expect(clippy::print_stdout, reason = "this is the program's output")]
    pub(crate) fn remark(&self, text: &str) {
        println!("    {text}");
    }

    /// Writes `target/bench.json`, in which numbers of earlier runs stay until they are measured again.
    ///
    /// # Errors
    /// The file cannot be written, or no benchmark has the name that was asked for.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if let (Some(only), true) = (&self.only, self.numbers.is_empty()) {
            bail!("no benchmark is called {only:?}");
        }
        let kept = std::fs::read(&self.file).ok();
        let mut all: serde_json::Map<String, serde_json::Value> =
            kept.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        for (name, number) in self.numbers {
            all.insert(name.to_owned(), serde_json::to_value(number)?);
        }
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(&self.file, text).with_context(|| format!("writing {}", self.file.display()))
    }
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
