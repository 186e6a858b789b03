//! Steps 6 and 7: what the agent's program finds, and its start.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bus::message::run::FailureKind;
use manifest::PromptMode;
use manifest::provider::template::{Values, fill};

use super::Launch;
use crate::backend::{BottleFile, Boundary, Place};
use crate::canary::Canary;
use crate::client;
use crate::environment::{environment, git_config, trust_files};
use crate::output::Pumps;
use crate::plan::Plan;
use crate::step::{LaunchError, Step};
use crate::terminal::{Desk, Master};

/// What the program is started with.
pub(super) struct Prepared {
    values: Values,
    env: BTreeMap<String, String>,
}

impl Launch<'_> {
    /// The middle of step 6: certificates, and the program's files.
    pub(super) async fn provision(
        &self,
        plan: &Plan,
        certificate: &str,
        canary: &Canary,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<Prepared, LaunchError> {
        let failed = |doing: &str, error: &dyn std::error::Error| {
            LaunchError::caused(Step::Provision, FailureKind::Provision, doing, error)
        };
        let refused = |reason| LaunchError::new(Step::Provision, FailureKind::Provision, reason);
        let values = client::values(plan, &self.world.config.environment, self.world.clock.now()).await;
        let values = values.map_err(refused)?;
        // The launcher's own come last: they take the place of what a provider may have put there.
        let mut files = client::files(plan, &values).map_err(refused)?;
        files.extend(trust_files(certificate).map_err(|error| failed("reading the certificate", &error))?);
        let home =
            |path: &str, content| BottleFile { place: Place::Home, path: PathBuf::from(path), content };
        files.push(home(".gitconfig", git_config(plan).into_bytes()));
        if plan.workspace.is_none() {
            // The one file in it tells the agent where it is; the directory is what matters.
            files.push(home("workspace/.keep", Vec::new()));
        }
        let copied = boundary.copy_in(files).await;
        copied.map_err(|error| failed("putting files into the bottle", &error))?;
        let own = plan.client.env.iter().map(|(name, value)| (name.clone(), fill(value, &values))).collect();
        let mut env = environment(&plan.bottle, own, &plan.env);
        env.extend(plan.session.iter().flat_map(|session| session.environment(plan.is_resumed())));
        if let Some(terminal) = &plan.terminal {
            let truecolor = terminal.truecolor.then_some(("COLORTERM", "truecolor"));
            for (name, value) in [("TERM", terminal.term.as_str())].into_iter().chain(truecolor) {
                env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        env.insert(canary.name.to_owned(), canary.value.expose().to_owned());
        Ok(Prepared { values, env })
    }

    /// The last part of step 6: the program's own commands, with everything in its place.
    pub(super) async fn set_up(
        &self,
        plan: &Plan,
        Prepared { values, env }: &Prepared,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<(), LaunchError> {
        let done = client::prepare(plan, values, env, boundary).await;
        done.map_err(|reason| LaunchError::new(Step::Provision, FailureKind::Provision, reason))
    }

    /// Step 7.
    pub(super) async fn start(
        &self,
        plan: &Plan,
        Prepared { values, env }: Prepared,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<(Pumps, Option<Desk>), LaunchError> {
        let failed = |doing: &str, error: &dyn std::error::Error| {
            LaunchError::caused(Step::Run, FailureKind::Run, doing, error)
        };
        if let Some(terminal) = &plan.terminal {
            let command = client::command(plan, &values, env);
            let outside = boundary.converse(command, terminal.size()).await;
            let outside = outside.map_err(|error| failed("starting the program at a terminal", &error))?;
            let outside =
                Master::new(outside).map_err(|error| failed("watching the program's terminal", &error))?;
            let desk = Desk::new(&outside);
            let pumps = Pumps::at_terminal(&self.bus, &plan.bottle, self.world.config.output, outside);
            return Ok((pumps, Some(desk)));
        }
        let stdin = standard_input(plan).map_err(|error| failed("preparing the program's input", &error))?;
        let result = plan.client.headless.result.clone();
        let pumps = Pumps::start(&self.bus, &plan.bottle, self.world.config.output, result)
            .map_err(|error| failed("preparing the program's output", &error))?;
        let (pumps, [stdout, stderr]) = pumps;
        let started = boundary.run(client::command(plan, &values, env), [stdin, stdout, stderr]).await;
        started.map_err(|error| failed("starting the program", &error))?;
        Ok((pumps, None))
    }
}

/// What the program is told, as a file that nobody has to write while it reads; or nothing.
fn standard_input(plan: &Plan) -> std::io::Result<OwnedFd> {
    if client::way(plan) != PromptMode::Stdin {
        return File::open("/dev/null").map(OwnedFd::from);
    }
    let mut file = File::from(rustix::fs::memfd_create("task", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(client::told(plan).as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}
