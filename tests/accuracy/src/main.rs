//! Measures detection, prints the tables, writes `target/accuracy.json`. An argument is another seed than the usual one.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::{Path, PathBuf};

use accuracy::{injection, measure, report, rival};
use anyhow::Context as _;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let seed =
        std::env::args().nth(1).map(|seed| seed.parse()).transpose().context("the seed is a number")?;
    let seed = seed.unwrap_or(measure::SEED);
    let measured = measure::run(seed)?;
    println!("{}", report::table(&measured));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let gitleaks =
        rival_numbers(&root.join(".tools/bin/gitleaks"), &root.join("target/accuracy-corpus"), seed)?;
    let injections = injection::measure();
    println!("{injections}");
    let path = root.join("target/accuracy.json");
    let numbers = json!({
        "seed": seed,
        "secrets": measured,
        "gitleaks": gitleaks,
        "injection": {
            "all": rates(&injections.all),
            "tuned": rates(&injections.tuned),
            "held": rates(&injections.held),
            "fresh": rates(&injections.fresh),
            "second": rates(&injections.second),
            "second_held": rates(&injections.second_held),
        },
    });
    std::fs::write(&path, serde_json::to_vec_pretty(&numbers)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

fn rates(row: &injection::Row) -> serde_json::Value {
    json!({
        "attacks": row.attacks.texts,
        "recall": row.attacks.noticed_share(),
        "benign": row.benign.texts,
        "false_positives": row.benign.noticed_share(),
    })
}

/// What gitleaks finds in the same corpus, if it is installed.
fn rival_numbers(program: &Path, dir: &Path, seed: u64) -> anyhow::Result<Option<rival::Rival>> {
    if !program.exists() {
        return Ok(None);
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let rival = rival::run(program, dir, seed);
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
