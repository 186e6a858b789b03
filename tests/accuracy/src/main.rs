//! Measures detection, prints the tables, writes `target/accuracy.json`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::{Path, PathBuf};

use accuracy::{measure, report, rival};
use anyhow::Context as _;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let measured = measure::run(measure::SEED)?;
    println!("{}", report::table(&measured));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let gitleaks = rival_numbers(&root.join(".tools/bin/gitleaks"), &root.join("target/accuracy-corpus"))?;
    let path = root.join("target/accuracy.json");
    let numbers = json!({"seed": measure::SEED, "secrets": measured, "gitleaks": gitleaks});
    std::fs::write(&path, serde_json::to_vec_pretty(&numbers)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

/// What gitleaks finds in the same corpus, if it is installed.
fn rival_numbers(program: &Path, dir: &Path) -> anyhow::Result<Option<rival::Rival>> {
    if !program.exists() {
        return Ok(None);
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let rival = rival::run(program, dir, measure::SEED);
    std::fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    let rival = rival?;
    println!(
        "gitleaks on the same texts: {:.3} in the clear, {:.3} encoded, {:.4} falsely\n",
        rival.clear.rate(),
        rival.encoded.rate(),
        rival.false_positives.rate()
    );
    Ok(Some(rival))
}
