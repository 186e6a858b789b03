//! What gitleaks reports, and whether it is to be believed.

use serde::Deserialize;

use super::super::trouble::Trouble;
use super::feed::Fed;
use super::process::doubt;
use super::sentinel::Sentinel;

/// One finding as gitleaks writes it; values are redacted, and nothing else of it is needed.
#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(rename = "RuleID")]
    rule: String,
    #[serde(rename = "StartLine")]
    line: u64,
}

/// A finding in a piece of the push.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Second {
    pub(crate) rule: String,
    pub(crate) piece: u32,
    /// The line in the piece, from 1.
    pub(crate) line: u64,
}

/// A report that holds at least the first sentinels.
#[derive(Debug)]
pub(crate) struct Report {
    found: Vec<Raw>,
    sentinels: Vec<&'static str>,
}

impl Report {
    pub(super) fn read(bytes: &[u8], sentinel: &Sentinel) -> Result<Self, Trouble> {
        let found: Vec<Raw> = serde_json::from_slice(bytes)
            .map_err(|error| doubt(format!("its report cannot be read: {error}")))?;
        let report = Self { found, sentinels: sentinel.rules().collect() };
        report.check(1, "first")?;
        Ok(report)
    }

    /// The findings in the pieces, without those that the gate put there itself.
    pub(super) fn locate(self, fed: &Fed) -> Result<Vec<Second>, Trouble> {
        self.check(fed.end, "last")?;
        let count = self.sentinels.len() as u64;
        let is_ours = |line: u64| (1..=count).contains(&line) || line >= fed.end;
        let located = self.found.into_iter().filter(|raw| !is_ours(raw.line)).map(|raw| {
            let (piece, line) =
                fed.place(raw.line).ok_or_else(|| doubt("it found something where it was given nothing"))?;
            Ok(Second { rule: raw.rule, piece, line })
        });
        located.collect()
    }

    /// The sentinels that stand from line `from` on must have been found.
    fn check(&self, from: u64, which: &str) -> Result<(), Trouble> {
        for (line, rule) in (from..).zip(&self.sentinels) {
            if !self.found.iter().any(|raw| raw.line == line && raw.rule == *rule) {
                return Err(doubt(format!("it did not find the {which} secret that was put there for it")));
            }
        }
        Ok(())
    }
}
