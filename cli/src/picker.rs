//! A list to pick an agent or a bottle from (L1).

mod state;
mod view;

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, anyhow};
use base::id::AgentName;
use crossterm::event::{Event, EventStream};
use futures::StreamExt as _;
use manifest::{Library, Reach};

pub use state::{Entry, Key, Picker, Step};

use crate::exit::Failure;
use crate::interrupt::Interrupts;

/// Whether a person can pick here.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Entry {
    /// The operator's own agents by name, with what is wrong with those that are broken.
    #[must_use]
    pub fn of(library: &Library) -> Vec<Self> {
        let first = |text: &str| {
            let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            base::inert(line.trim_start_matches(['#', ' ']), 200)
        };
        let entry = |(name, agent): (&AgentName, &Result<manifest::Agent, manifest::Broken>)| Self {
            name: name.clone(),
            about: match agent {
                Ok(agent) => first(&agent.prompt),
                Err(broken) => first(&broken.problems.to_string()),
            },
            is_broken: agent.is_err(),
        };
        library.agents(Reach::Home).map(entry).collect()
    }
}

/// Shows the list until one is picked; nothing when the person leaves, or this program is told to end.
///
/// # Errors
/// The terminal cannot be used.
pub async fn pick(question: &'static str, entries: Vec<Entry>) -> Result<Option<AgentName>, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut picker = Picker::new(question, entries);
    let mut screen =
        Screen(ratatui::try_init().inspect_err(|_| ratatui::restore()).context("cannot use the terminal")?);
    let mut events = EventStream::new();
    loop {
        screen.0.draw(|frame| view::draw(frame, &mut picker)).context("cannot draw on the terminal")?;
        let event = tokio::select! {
            event = events.next() => event,
            () = interrupts.next() => return Ok(None),
        };
        let event =
            event.ok_or_else(|| anyhow!("the terminal is gone"))?.context("cannot read from the terminal")?;
        let Event::Key(key) = event else { continue };
        match Key::of(key).map_or(Step::Stay, |key| picker.press(key)) {
            Step::Stay => {}
            Step::Leave => return Ok(None),
            Step::Pick(name) => return Ok(Some(name)),
        }
    }
}

/// The terminal, which is given back as it was.
struct Screen(ratatui::DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests;
