//! What a program finds in its bottle, and the commands that must succeed before it runs. None of it can be skipped by a
//! provider: certificates, proxy and probe are not its business, and a registration that fails ends the launch (P6).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use boundary::order::Command;
use manifest::PromptMode;
use manifest::provider::files::Content;
use manifest::provider::template::{Values, fill, fill_json, without};

use super::{has_instructions, told, way};
use crate::backend::{AGENT_HOME, BottleFile, Boundary, Place};
use crate::environment::PROMPT_FILE;
use crate::plan::Plan;

/// How long a command of the program may take; some unpack themselves at their first start.
const COMMAND: Duration = Duration::from_secs(60);
/// The most that is shown of what a command wrote.
const SHOWN: usize = 500;

/// The program's files below the agent's home.
///
/// # Errors
/// A document cannot be written in its form; the text names the file.
pub(crate) fn files(plan: &Plan, values: &Values) -> Result<Vec<BottleFile>, String> {
    let mut files = Vec::new();
    let mut place =
        |path: PathBuf, content: Vec<u8>| files.push(BottleFile { place: Place::Home, path, content });
    // What the host's login does not have.
    let named = plan.client.host_login.iter().flat_map(|login| login.values.keys());
    let gone: Vec<&str> = named.map(String::as_str).filter(|name| !values.contains_key(*name)).collect();
    let document = |json| fill_json(&without(json, &gone), values, &BTreeMap::new());
    for file in &plan.client.files {
        let content = match &file.content {
            Content::Text(text) => Content::Text(fill(text, values)),
            Content::Json(json) => Content::Json(document(json)),
            Content::Toml(json) => Content::Toml(document(json)),
        };
        let bytes = content.bytes().map_err(|why| format!("writing {}: {why}", file.path.display()))?;
        place(file.path.clone(), bytes);
    }
    if let Some(instructions) = plan.client.instructions.as_ref().filter(|_| has_instructions(plan)) {
        place(PathBuf::from(&instructions.file), plan.resolved.prompt.clone().into_bytes());
    }
    if way(plan) == PromptMode::File {
        place(PathBuf::from(PROMPT_FILE), told(plan).into_bytes());
    }
    Ok(files)
}

/// Runs the program's own commands inside the bottle: its check, and the registration of the bottle's MCP server (S1).
///
/// # Errors
/// One failed; the text has the program's last words, inert.
pub(crate) async fn prepare(
    plan: &Plan,
    values: &Values,
    env: &BTreeMap<String, String>,
    boundary: &mut Box<dyn Boundary>,
) -> Result<(), String> {
    let provider = &plan.client.provider;
    if let Some(verify) = &plan.client.verify {
        let printed = run(plan, &verify.arguments, (values, env), boundary).await;
        let printed = printed.map_err(|why| format!("the program of {provider} does not work: {why}"))?;
        if let Some(wanted) = verify.prints.as_ref().filter(|wanted| !printed.contains(*wanted)) {
            let printed = base::inert(printed.trim(), SHOWN);
            return Err(format!(
                "the program of {provider} is not the one it should be: it printed {printed}, not {wanted}"
            ));
        }
    }
    if let Some(register) = &plan.client.register {
        let registered = run(plan, register, (values, env), boundary).await;
        registered.map_err(|why| format!("registering the bottle's MCP server with {provider}: {why}"))?;
    }
    Ok(())
}

async fn run(
    plan: &Plan,
    arguments: &[String],
    (values, env): (&Values, &BTreeMap<String, String>),
    boundary: &mut Box<dyn Boundary>,
) -> Result<String, String> {
    let mut argv = plan.program.words.clone();
    argv.extend(arguments.iter().map(|text| fill(text, values)));
    let shown = base::inert(&argv.join(" "), 200);
    // Not in the workspace: what lies there is settings to such programs.
    let command = Command { argv, env: env.clone(), cwd: AGENT_HOME.to_owned() };
    let done = boundary.exec(command, String::new(), COMMAND).await;
    let done = done.map_err(|error| base::error::chain(&error))?;
    let said = if done.stderr.trim().is_empty() { &done.stdout } else { &done.stderr };
    let from = said.ceil_char_boundary(said.len().saturating_sub(SHOWN));
    let said = base::inert(said[from..].trim(), SHOWN);
    match done.code {
        Some(0) => Ok(done.stdout),
        Some(code) => Err(format!("`{shown}` ended with exit code {code}: {said}")),
        None => Err(format!("`{shown}` did not end within {} s: {said}", COMMAND.as_secs())),
    }
}
