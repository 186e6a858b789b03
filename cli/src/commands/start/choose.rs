//! What a person is asked before a start: which agent, and what it is called.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, anyhow};
use base::id::AgentName;
use manifest::{Home, Library};

use crate::args::Start;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::picker::{self, Entry};

/// Has an agent of the home picked; nothing if the person leaves.
///
/// # Errors
/// There is no terminal to ask on, or no agent.
pub(super) async fn agent(context: &Context) -> Result<Option<AgentName>, Failure> {
    if !picker::can_ask() {
        let error =
            anyhow!("there is no terminal to pick an agent on: name one, as `bot-bottle start AGENT`");
        return Err(Failure::new(Exit::Usage, error));
    }
    let entries = Entry::of(&Library::of_home(Home::at(context.home.clone())));
    if entries.is_empty() {
        let error = anyhow!(
            "there is no agent in {}: `bot-bottle init` writes a first one, `bot-bottle edit --new NAME` another",
            context.home.join("agents").display()
        );
        return Err(Failure::new(Exit::NotFound, error));
    }
    picker::pick("start which agent? ", entries).await
}

/// How a bottle is shown.
pub(super) struct Looks {
    pub(super) label: Option<String>,
    pub(super) color: Option<String>,
}

impl Looks {
    /// As the command line says; a person is asked for the rest, and may pass it over.
    ///
    /// # Errors
    /// The person cannot be asked.
    pub(super) fn of(args: &Start, agent: &AgentName) -> Result<Self, Failure> {
        let mut looks = Self { label: args.label.clone(), color: args.color.clone() };
        let asks = !(args.yes || args.headless || args.dry_run || args.json) && output::is_interactive();
        if asks && looks.label.is_none() {
            looks.label = ask(&format!("label [{agent}]: "), launcher::plan::label)?;
        }
        if asks && looks.color.is_none() {
            looks.color = ask("colour [none]: ", launcher::plan::color)?;
        }
        Ok(looks)
    }
}

/// Asks until the answer is one that will do; nothing when it is empty.
fn ask(question: &str, check: impl Fn(&str) -> Result<String, String>) -> Result<Option<String>, Failure> {
    loop {
        let answer = line(question)?;
        if answer.is_empty() {
            return Ok(None);
        }
        match check(&answer) {
            Ok(answer) => return Ok(Some(answer)),
            Err(rule) => output::note(&rule),
        }
    }
}

/// One line from the person, without its end. The end of the input is an empty one.
///
/// # Errors
/// The terminal cannot be used.
pub(in crate::commands) fn line(question: &str) -> Result<String, Failure> {
    let mut terminal = std::io::stderr();
    write!(terminal, "{question}").and_then(|()| terminal.flush()).context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim().to_owned())
}
