//! gitleaks over the same corpus, one file a text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::measure::Count;
use crate::{negatives, positives};

/// What gitleaks finds with its own rules and its own decoding, two layers deep.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Rival {
    /// Tokens in the clear.
    pub clear: Count,
    /// Tokens behind one or two decoders.
    pub encoded: Count,
    /// Texts without a secret.
    pub false_positives: Count,
}

/// Writes the corpus below `dir`, which is empty, and has `program` look through it.
///
/// # Errors
/// If files cannot be written, or the program cannot be run or understood.
pub fn run(program: &Path, dir: &Path, seed: u64) -> anyhow::Result<Rival> {
    let positives = positives::all(seed);
    let negatives = negatives::all(seed);
    let put = |name: &str, text: &[u8]| {
        std::fs::write(dir.join(name), text).with_context(|| format!("write {name} below {}", dir.display()))
    };
    for (index, positive) in positives.iter().enumerate() {
        put(&format!("p{index}.txt"), &positive.sample.text)?;
    }
    for (index, negative) in negatives.iter().enumerate() {
        put(&format!("n{index}.txt"), &negative.text)?;
    }
    let seen = look(program, dir)?;
    let mut rival = Rival::default();
    for (index, positive) in positives.iter().enumerate() {
        let found = seen.contains(&format!("p{index}.txt"));
        if positive.steps == 0 { &mut rival.clear } else { &mut rival.encoded }.add(found);
    }
    for index in 0..negatives.len() {
        rival.false_positives.add(seen.contains(&format!("n{index}.txt")));
    }
    Ok(rival)
}

/// The names of the files in which it sees something.
fn look(program: &Path, dir: &Path) -> anyhow::Result<BTreeSet<String>> {
    let report = dir.join("report.json");
    let status = Command::new(program)
        .args([
            "dir",
            "--no-banner",
            "--log-level=error",
            "--exit-code=0",
            "--max-decode-depth=2",
            "--report-format=json",
        ])
        .arg("--report-path")
        .arg(&report)
        .arg(dir)
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    anyhow::ensure!(status.success(), "{} ended with {status}", program.display());
    let text = std::fs::read(&report).with_context(|| format!("read {}", report.display()))?;
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&text).context("read gitleaks' report")?;
    let file = |finding: &serde_json::Value| {
        Some(PathBuf::from(finding["File"].as_str()?).file_name()?.to_str()?.to_owned())
    };
    Ok(findings.iter().filter_map(file).collect())
}
