//! How fast a trail of decisions is verified: records of the usual kinds, signed as the writer does, in memory.

use std::time::Instant;

use anyhow::ensure;
use bus::message::audit::{Component, Decision, Source};
use bus::message::egress::Allowed;
use jiff::Timestamp;
use supervisor::audit::{Anchor, AuditKey, Chain, Draft, Keys, MOST_UNSEALED, Verifier};

use crate::report::{Number, Report, median};

const RATE: &str = "audit_verify_per_s";

const RECORDS: u64 = 100_000;
const ROUNDS: usize = 7;
/// Requests in a batch of allowed ones.
const LINES: usize = 4;

/// Runs the benchmark if it is wanted.
///
/// # Errors
/// The trail is not whole.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[RATE]) {
        return Ok(());
    }
    let key = AuditKey::from_seed(&[7; 32]);
    let (lines, end) = trail(&key)?;
    let keys = Keys::new([key.public()]);
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut verifier = Verifier::new(&keys, [end]);
        for line in &lines {
            verifier.push(line);
        }
        let result = verifier.finish();
        ensure!(result.fault.is_none(), "a whole trail was not found whole: {result:?}");
        rates.push(lines.len() as f64 / begun.elapsed().as_secs_f64());
    }
    report.add(RATE, Number { value: median(rates), unit: "/s", over: None });
    let bytes: usize = lines.iter().map(Vec::len).sum();
    report.remark(&format!(
        "{} records of {} bytes on average, a checkpoint after {MOST_UNSEALED}",
        lines.len(),
        bytes / lines.len()
    ));
    Ok(())
}

fn trail(key: &AuditKey) -> anyhow::Result<(Vec<Vec<u8>>, Anchor)> {
    let (mut chain, mut lines) = (Chain::default(), Vec::new());
    let at: Timestamp = "2026-11-21T12:00:00Z".parse()?;
    while chain.last().sequence < RECORDS || chain.unsealed() > 0 {
        let n = chain.last().sequence;
        let is_due = n == 0 || n >= RECORDS || chain.unsealed() == MOST_UNSEALED;
        let line = if is_due { chain.seal(at, key)? } else { chain.next(draft(n, at)?)? };
        chain.take(&line)?;
        lines.push(line);
    }
    Ok((lines, chain.last()))
}

fn draft(n: u64, at: Timestamp) -> anyhow::Result<Draft> {
    let decision = if n.is_multiple_of(3) {
        let line = Allowed {
            id: format!("x{n}").parse()?,
            at,
            method: "POST".to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.com".to_owned(),
            port: 443,
            path: "/v1/messages".to_owned(),
            status: 200,
            sent: n,
            received: 17 * n,
            duration_ms: 40,
            revision: 1,
            is_unscanned: false,
            found: Vec::new(),
        };
        Decision::Allowed { batch: n, lines: vec![line; LINES] }
    } else {
        Decision::Blocked {
            id: format!("x{n}").parse()?,
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: "registry.example.org".to_owned(),
            port: Some(443),
            path: format!("/packages/{n}/index.json"),
            rule: "unlisted-host".to_owned(),
            reason: "no route for registry.example.org".to_owned(),
            status: 403,
            revision: 1,
            found: None,
        }
    };
    let source = Some(Source { stream: "EVENTS".to_owned(), sequence: n });
    Ok(Draft { at, component: Component::Egress, bottle: Some("reviewer-x1y2z".parse()?), source, decision })
}
