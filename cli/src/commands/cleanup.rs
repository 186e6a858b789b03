//! `cleanup`: remove what dead launchers left behind (invariant 10).

use anyhow::Context as _;
use base::clock::Clock;
use bus::role::Role;
use bus::{Bus, layout};
use launcher::LauncherConfig;
use launcher::backends::Backends;
use launcher::identity::{IdentityError, OwnHome};
use launcher::reconcile::{Reconciled, reconcile, update_registry};
use launcher::state::StateRoot;

use crate::args::Cleanup;
use crate::context::{self, Context};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::host;
use crate::output::{self, Format};

/// Ends and removes what no launcher owns any more; with `--all` also the kept state of bottles that are over, and images
/// that were built for bottles.
///
/// # Errors
/// A launcher runs with this home, or what is left cannot be looked for. What cannot be removed is told, and the answer
/// is [`Exit::No`].
pub async fn run(context: &Context, args: &Cleanup) -> Result<Exit, Failure> {
    if !context.home.exists() {
        output::line(&format!("there is nothing: no home at {}", context.home.display()));
        return Ok(Exit::Ok);
    }
    let home = OwnHome::take(&context.home).map_err(|error| {
        let exit = if matches!(error, IdentityError::InUse(_)) { Exit::TryAgain } else { Exit::Internal };
        Failure::new(exit, error)
    })?;
    let config = LauncherConfig::new(context.home.clone(), host::programs()?, String::new());
    let backends = Backends::of(&config)?;
    let state = StateRoot::below(&context.home);
    let bus = registry(context).await;
    let registry = bus.as_ref().map(|bus| (bus, &Clock::System));
    let mut done = reconcile(&home, &config, &backends, registry).await.or_exit(Exit::Unavailable)?;
    if args.all {
        remove_kept(&state, &mut done).await?;
        let archives = match &bus {
            Some(bus) => bus.objects(layout::COMMITS).list().await.ok(),
            // Nobody knows which commits there are.
            None => None,
        };
        let archives = archives.map(|all| all.into_iter().map(|archive| archive.name).collect());
        match backends.remove_kept(archives.as_ref()).await {
            Ok(images) => done.images = images,
            Err(error) => done.remains.push(base::error::chain(&error)),
        }
        if let Some(registry) = registry {
            update_registry(&home, &state, registry).await.or_exit(Exit::Unavailable)?;
        }
    }
    report(&done, args.format.into())
}

/// The registry, if a bus runs: without one there is nobody to tell.
async fn registry(context: &Context) -> Option<Bus> {
    let url = context.bus_url().ok().flatten()?;
    context::connect(&context.home, &url, Role::Launcher).await.ok()
}

/// What is left after reconciliation was kept on purpose, by a launcher that is gone.
async fn remove_kept(state: &StateRoot, done: &mut Reconciled) -> anyhow::Result<()> {
    let bottles = state.bottles().context("cannot look through the state directory")?;
    for bottle in bottles.into_iter().filter(|bottle| !state.of(bottle).owner().exists()) {
        match state.of(&bottle).remove().await {
            Ok(()) => done.removed.push(bottle),
            Err(error) => done.remains.push(format!("cannot remove the state of {bottle}: {error}")),
        }
    }
    Ok(())
}

fn report(done: &Reconciled, format: Format) -> Result<Exit, Failure> {
    let exit = if done.remains.is_empty() { Exit::Ok } else { Exit::No };
    if format == Format::Json {
        output::json(done).context("cannot print the result")?;
        return Ok(exit);
    }
    for image in &done.images {
        output::line(&format!("removed the image {image}"));
    }
    let nothing =
        [done.removed.is_empty(), done.images.is_empty(), done.lost.is_empty(), done.remains.is_empty()];
    if nothing.into_iter().all(|none| none) {
        output::line("nothing was left");
    }
    for bottle in &done.transcripts {
        output::line(&format!("stored the transcript of {bottle}"));
    }
    for bottle in &done.records {
        output::line(&format!(
            "kept the records of {bottle} for the bus; they are delivered when a launcher runs"
        ));
    }
    for bottle in &done.removed {
        output::line(&format!("removed {bottle}"));
    }
    for bottle in &done.lost {
        output::line(&format!("marked {bottle} as lost"));
    }
    for reason in &done.remains {
        output::line(&format!("{reason}; remove the cause and run cleanup again"));
    }
    Ok(exit)
}
