//! `start`: run an agent, show what it writes, end with its exit code (L1, L2).

mod choose;
mod ending;
mod run;

use anyhow::anyhow;
use base::id::{AgentName, RequestId};
use bus::message::start::StartRequest;
use launcher::backend::docker;
use launcher::prerequisite::has_gvisor;
use manifest::settings::{BackendName, RuntimeName};
use manifest::{Home, Resolved, Settings};

use self::choose::Looks;
pub(super) use self::choose::line;
pub(super) use self::run::How;
use self::run::Run;
use super::info;
use super::workspace::{self, Copied};
use crate::args::Start;
use crate::context::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::host::{Options, Services};
use crate::interrupt::Interrupts;
use crate::output;

/// Runs the agent and waits for its end.
///
/// # Errors
/// Nothing could be started; the failure says at which step.
pub async fn run(context: &Context, args: Start) -> Result<Exit, Failure> {
    let agent = match &args.agent {
        Some(agent) => agent.clone(),
        None => match choose::agent(context).await? {
            Some(agent) => agent,
            None => return Ok(Exit::Ok),
        },
    };
    let resolved = info::resolve(context, &agent, &args.bottles)?;
    info::must_be_own(context, &resolved)?;
    let looks = Looks::of(&args, &agent)?;
    let copied = Copied::survey(context, &args.workspace).await?;
    let mut more = isolation(context, &args, resolved.bottle.image.is_some()).await?;
    more.extend(workspace::rows(copied.as_ref(), &args.workspace));
    let asking = Asking { quiet: args.json, agreed: args.yes || args.headless, dry_run: args.dry_run };
    if !asking.ask(context, &resolved, &more)? {
        return Ok(Exit::Ok);
    }
    let options = Options { port: None, probe: args.services.probe };
    let services = Services::ensure(context, &options).await?;
    let how = How { json: args.json, key: args.terminal.detach_key };
    perform(context, (request(&args, agent, looks), copied), how, &options, services).await
}

/// Makes a request, with a directory that is copied first if there is one, and waits for the end of its run.
///
/// # Errors
/// Nothing could be started; the failure says at which step.
pub(super) async fn perform(
    context: &Context,
    (mut request, copied): (StartRequest, Option<Copied>),
    how: How,
    options: &Options,
    mut services: Services,
) -> Result<Exit, Failure> {
    let running = async {
        let bus = context.operator().await?;
        if let Some(copied) = copied {
            request.workspace = Some(copied.upload(&bus).await?);
        }
        let run = Run::new(context, bus, request, how, services.outlive_this());
        Box::pin(follow(run, options, &mut services)).await
    };
    let outcome = running.await;
    services.release(context).await?;
    outcome
}

/// Follows a run to its end, with other services when those of another `start` are gone.
async fn follow(mut run: Run<'_>, options: &Options, services: &mut Services) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut events = run.begin().await?;
    loop {
        tokio::select! {
            exit = run.follow(events, &mut interrupts) => return exit,
            gone = services.gone() => gone?,
        }
        output::note(&format!(
            "the services of another `start` ended; the request {} is taken up again within half a minute",
            run.request.id
        ));
        *services = tokio::select! {
            services = Services::ensure(run.context, options) => services?,
            () = interrupts.next() => return Err(run.left()),
        };
        events = run.resume(services.outlive_this()).await?;
    }
}

/// Whether and how a person is asked before anything starts.
pub(super) struct Asking {
    /// Nothing is shown.
    pub(super) quiet: bool,
    /// It was agreed to beforehand.
    pub(super) agreed: bool,
    /// Nothing is to start.
    pub(super) dry_run: bool,
}

impl Asking {
    /// Shows what would run, with these rows as well, and asks unless told not to.
    ///
    /// # Errors
    /// A skill is missing or broken; or there is nobody to ask.
    pub(super) fn ask(
        &self,
        context: &Context,
        resolved: &Resolved,
        more: &[(&'static str, String)],
    ) -> Result<bool, Failure> {
        info::check_skills(context, resolved)?;
        if !self.quiet {
            output::note(&info::render(&info::preflight(resolved)));
            more.iter().for_each(|(name, value)| output::note(&format!("{name:<12} {value}")));
        }
        match (self.dry_run, self.agreed) {
            (true, _) => Ok(false),
            (false, true) => Ok(true),
            (false, false) => agreed(),
        }
    }
}

/// What will isolate the bottle, as a launcher of this home chooses.
async fn isolation(
    context: &Context,
    args: &Start,
    has_image: bool,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let settings = Settings::load(&Home::at(context.home.clone())).or_exit(Exit::Input)?;
    let usual = BackendName::usual(settings.backend, has_image).as_str();
    let backend = args.backend.clone().unwrap_or_else(|| usual.to_owned());
    let wanted = args.runtime.or(settings.runtime.filter(|_| backend == docker::NAME));
    let runtime = match wanted {
        Some(RuntimeName::Runsc) => Some("runsc (gVisor)".to_owned()),
        Some(RuntimeName::Runc) => Some("runc".to_owned()),
        None if backend == docker::NAME => {
            let has_gvisor = has_gvisor(std::env::var("DOCKER_HOST").ok().as_deref()).await;
            Some(if has_gvisor { "runsc (gVisor), or runc if it does not work" } else { "runc" }.to_owned())
        }
        None => None,
    };
    let rows = [Some(("backend", backend)), runtime.map(|runtime| ("runtime", runtime))];
    Ok(rows.into_iter().flatten().collect())
}

fn agreed() -> Result<bool, Failure> {
    if !output::is_interactive() {
        let error =
            anyhow!("there is no terminal to ask on: add --yes or --headless to start without asking");
        return Err(Failure::new(Exit::Usage, error));
    }
    Ok(matches!(line("start it? [y/N] ")?.as_str(), "y" | "Y" | "yes"))
}

fn request(args: &Start, agent: AgentName, looks: Looks) -> StartRequest {
    StartRequest {
        v: Default::default(),
        id: args.id.clone().unwrap_or_else(RequestId::random),
        agent,
        bottles: args.bottles.clone(),
        task: args.prompt.clone(),
        workspace: workspace::checkout(&args.workspace),
        resume: None,
        label: looks.label,
        color: looks.color,
        backend: args.backend.clone(),
        runtime: args.runtime.map(|runtime| runtime.as_str().to_owned()),
        terminal: args.terminal.here(args.headless || args.json),
    }
}
