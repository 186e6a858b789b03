//! How long the operator's screen takes for a key: a thousand proposals of fifty bottles wait.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use base::clock::Clock;
use bus::message::Version;
use bus::message::proposal::{Content, ProposalRecord, ProposalState, Proposed};
use bus::{Change, Value};
use cli::supervise::state::State;
use cli::supervise::{input, view};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use jiff::{Timestamp, ToSpan as _};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::report::{Number, Report, median};

const KEY: &str = "screen_key_ms";
const CARDS: u64 = 1000;
const BOTTLES: u64 = 50;

/// Runs the benchmark if it is wanted.
///
/// # Errors
/// A picture cannot be drawn.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[KEY]) {
        return Ok(());
    }
    let now = Clock::System.now();
    let mut state = State::default();
    for index in 0..CARDS {
        let record = record(index, now)?;
        let key = record.proposal.to_string();
        let value = Value { value: record, revision: 1, at: now, expires: false };
        state.proposal(Change { key, value: Some(Ok(value)) });
    }
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).context("a screen in memory")?;
    let mut times = Vec::new();
    // Down through all of them, and up again by pages.
    let down = std::iter::repeat_n(KeyCode::Down, usize::try_from(CARDS)?);
    for code in down.chain(std::iter::repeat_n(KeyCode::PageUp, 100)) {
        let begun = Instant::now();
        let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let action = input::action(&event, &state.mode).context("a key that does something")?;
        drop(state.act(action));
        terminal.draw(|frame| drop(view::draw(frame, &state, now).to_string()))?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    ensure!(state.card().is_some(), "no card is selected");
    let slowest = times.iter().copied().fold(0.0, f64::max);
    report.add(KEY, Number { value: median(times), unit: "ms", over: None });
    report.remark(&format!("slowest {slowest:.2} ms"));
    Ok(())
}

fn record(index: u64, now: Timestamp) -> anyhow::Result<ProposalRecord> {
    let bottle = format!("b{:02}-00000", index % BOTTLES).parse().context("a slug")?;
    let content: Content = serde_json::from_value(serde_json::json!({
        "kind": "egress", "host": format!("h{index}.example.com"), "methods": ["GET"],
        "paths": [{ "type": "prefix", "value": "/docs" }],
    }))?;
    let Proposed { v: _, bottle, proposal, content, hash, base, .. } = Proposed::new(bottle, content, 1, now);
    Ok(ProposalRecord {
        v: Version,
        bottle,
        proposal,
        content,
        hash,
        base,
        justification: Some("The task reads the documentation. ".repeat(20)),
        first: now + i64::try_from(index)?.milliseconds(),
        last: now,
        count: 1,
        sequence: index + 1,
        also: Vec::new(),
        before: None,
        asks_again: None,
        until: now + 24.hours(),
        decided: None,
        state: ProposalState::Pending { failed: None },
    })
}
