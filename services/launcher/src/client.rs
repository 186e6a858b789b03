//! The agent's program: where it is on the host, what is set up for it, how it is told, and what it answers (P1 to P6).

mod answer;
mod failure;
pub mod program;
mod setup;
mod values;

use std::collections::BTreeMap;

use boundary::order::Command;
use manifest::PromptMode;
use manifest::provider::file::ModeFile;
use manifest::provider::template::{Values, fill};

pub(crate) use answer::{Answer, Reading};
pub(crate) use failure::{Ending, failure};
pub(crate) use setup::{files, prepare};
pub(crate) use values::values;

use crate::backend::{AGENT_HOME, AGENT_WORKSPACE};
use crate::environment::PROMPT_FILE;
use crate::plan::Plan;

/// How the program is run this time.
fn mode(plan: &Plan) -> &ModeFile {
    let at_terminal = plan.client.interactive.as_ref().filter(|_| plan.terminal.is_some());
    at_terminal.unwrap_or(&plan.client.headless)
}

/// What the program is told on the way that its tasks take: with the agent's own prompt before it, unless that has a way
/// of its own.
#[must_use]
pub(crate) fn told(plan: &Plan) -> String {
    match plan.client.instructions {
        Some(_) => plan.task.clone().unwrap_or_default(),
        None => plan.resolved.instructions(plan.task.as_deref()),
    }
}

/// Whether a program is told anything: one that answers a task waits for it otherwise.
#[must_use]
pub(crate) fn is_told(client: &manifest::Client, task: Option<&str>) -> bool {
    client.headless.result.is_none() || task.is_some_and(|task| !task.trim().is_empty())
}

/// How it is told. At a terminal the standard input is the person's.
#[must_use]
pub(crate) fn way(plan: &Plan) -> PromptMode {
    match mode(plan).task {
        PromptMode::Stdin if plan.terminal.is_some() => PromptMode::File,
        way => way,
    }
}

/// The program with everything it is started with; `env` is the bottle's whole environment.
pub(crate) fn command(plan: &Plan, values: &Values, mut env: BTreeMap<String, String>) -> Command {
    let mode = mode(plan);
    let resumes = plan.is_resumed();
    let own = mode.resume.as_ref().filter(|_| resumes).unwrap_or(&mode.start);
    let mut arguments: Vec<String> = own.iter().chain(&plan.client.arguments).cloned().collect();
    if has_instructions(plan) {
        arguments.extend(plan.client.instructions.iter().flat_map(|told| told.arguments.clone()));
    }
    let mut argv = plan.program.words.clone();
    argv.extend(arguments.iter().map(|text| fill(text, values)));
    let task = told(plan);
    match way(plan) {
        // A program would take it for an option.
        PromptMode::Argument if task.starts_with('-') => argv.push(format!(" {task}")),
        PromptMode::Argument if !task.is_empty() => argv.push(task),
        PromptMode::File => {
            env.insert("BOT_BOTTLE_PROMPT_FILE".to_owned(), format!("{AGENT_HOME}/{PROMPT_FILE}"));
        }
        PromptMode::Argument | PromptMode::Stdin | PromptMode::None => {}
    }
    Command { argv, env, cwd: AGENT_WORKSPACE.to_owned() }
}

fn has_instructions(plan: &Plan) -> bool {
    plan.client.instructions.is_some() && !plan.resolved.prompt.is_empty()
}
