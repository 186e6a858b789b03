//! Which container runtime a bottle gets: `runsc` (gVisor) where the engine has it and it works, otherwise the engine's own.
//!
//! Whether gVisor works is tried once for each launcher, with a bottle of nothing but init: it must start, find its way out,
//! be closed to everything else, and take what it is handed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ::boundary::order::Command;
use base::id::{RequestId, Slug};
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures::StreamExt as _;
use manifest::settings::RuntimeName;
use tokio::sync::Mutex;

use super::engine::{QUICK, SLOW};
use super::{Docker, boundary, owned};
use crate::backend::{BackendError, Boundary, BoundarySpec, Chosen, INIT, Progress};
use crate::image::{AGENT_IMAGES, AgentImage, OWNER};
use crate::limits::Limits;
use crate::probe::{ProbeTargets, probe};
use crate::record::Owner;
use crate::state::StateDir;

/// What to do about a gVisor that is not there.
const REGISTER: &str = "install gVisor, name it `runsc` under `runtimes` in the engine's daemon.json, with the argument \
                        `--host-uds=open` (before 2023: `--fsgofer-host-uds`), and restart the engine; or use the runtime runc";
/// An archive without a file (POSIX: two blocks of zeros).
const EMPTY: [u8; 1024] = [0; 1024];
/// What the trial's bottle is called, with something random after it.
const TRIAL: &str = "gvisor-trial";
/// For how long a gVisor that did not work is not tried again; the operator may do something about it.
const FAILED: Duration = Duration::from_secs(10 * 60);
const COMMAND: Duration = Duration::from_secs(10);

/// What came of the trial: what is to be said of a gVisor that works, or why it does not.
type Outcome = Result<Option<String>, String>;

/// The trial's outcome and when it was, once there was one.
#[derive(Default)]
pub(super) struct Tried(Mutex<Option<(Instant, Outcome)>>);

/// Chooses.
///
/// # Errors
/// What is wanted is not there, or does not work.
pub(super) async fn choose(docker: &Docker, wanted: Option<RuntimeName>) -> Result<Chosen, BackendError> {
    let outcome = match wanted {
        Some(RuntimeName::Runc) => None,
        _ if is_registered(docker).await? => Some(tried(docker, wanted.is_some()).await),
        _ => None,
    };
    decide(wanted, outcome).map_err(|reason| {
        let doing = "run the bottle under runsc (gVisor)".to_owned();
        BackendError::Engine { doing, reason }
    })
}

/// The choice, from what is wanted and what came of the trial, if there is a gVisor to try.
fn decide(wanted: Option<RuntimeName>, outcome: Option<Outcome>) -> Result<Chosen, String> {
    let runc = |note| Ok(Chosen { runtime: Some(RuntimeName::Runc), note });
    match (wanted, outcome) {
        (Some(RuntimeName::Runc), _) | (None, None) => runc(None),
        (_, Some(Ok(note))) => Ok(Chosen { runtime: Some(RuntimeName::Runsc), note }),
        (None, Some(Err(why))) => {
            runc(Some(format!("gVisor (runsc) is registered with the engine and not used: {why}")))
        }
        (Some(RuntimeName::Runsc), None) => {
            Err(format!("the engine has no runtime of this name: {REGISTER}"))
        }
        (Some(RuntimeName::Runsc), Some(Err(why))) => Err(format!("{why}: {REGISTER}")),
    }
}

async fn is_registered(docker: &Docker) -> Result<bool, BackendError> {
    let asked = docker.engine.connected().await?.info();
    let info = docker.engine.ask("ask the engine for its runtimes", QUICK, asked).await?;
    Ok(info.runtimes.is_some_and(|runtimes| runtimes.contains_key(RuntimeName::Runsc.as_str())))
}

/// Whether this is the bottle of a trial, which no request has asked for.
pub(crate) fn is_trial(bottle: &Slug) -> bool {
    bottle.agent() == TRIAL
}

/// One trial at a time. A failure counts for a while for those who would not insist.
async fn tried(docker: &Docker, is_wanted: bool) -> Outcome {
    let mut known = docker.gvisor.0.lock().await;
    if let Some((at, outcome)) = &*known
        && (outcome.is_ok() || !is_wanted && at.elapsed() < FAILED)
    {
        return outcome.clone();
    }
    let outcome = trial(docker).await.map_err(|error| base::error::chain(&error));
    if let Err(why) = &outcome {
        tracing::warn!(why, "gVisor (runsc) was tried and does not work");
    }
    known.insert((Instant::now(), outcome)).1.clone()
}

/// Makes a bottle and removes it.
async fn trial(docker: &Docker) -> Result<Option<String>, BackendError> {
    let agent = TRIAL.parse().map_err(|_| BackendError::Refused("the trial has no name".to_owned()))?;
    let bottle = Slug::random(&agent);
    let state = docker.config.state.of(&bottle);
    let name = format!("{AGENT_IMAGES}:{bottle}");
    // Labelled as any bottle, for whoever finds it after a crash.
    let owner = Owner { launcher: docker.config.owner.clone(), request: RequestId::random() };
    let prepared = state.create().and_then(|()| owner.store(&state));
    prepared.map_err(BackendError::system("prepare the trial of gVisor"))?;
    let outcome = perform(docker, &bottle, &name).await;
    // What is left has labels, and goes with a cleanup.
    let cleaned = clean(docker, &bottle, (&state, &name)).await;
    let outcome = outcome?;
    cleaned.map(|()| outcome)
}

async fn perform(docker: &Docker, bottle: &Slug, image: &str) -> Result<Option<String>, BackendError> {
    let image = empty_image(docker, image).await?;
    let spec = BoundarySpec {
        bottle: bottle.clone(),
        limits: Limits::default(),
        ports: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1))],
        programs: Vec::new(),
        image: None,
        runtime: Some(RuntimeName::Runsc),
        progress: Progress::default(),
    };
    let mut boundary: Box<dyn Boundary> = Box::new(boundary::create_from(docker, spec, image).await?);
    let looked = look(&mut boundary).await;
    boundary.kill();
    looked
}

/// The same probe as every bottle's; then what programs of today would miss.
async fn look(boundary: &mut Box<dyn Boundary>) -> Result<Option<String>, BackendError> {
    let probed = probe(boundary, &ProbeTargets::canaries_only()).await;
    probed.map_err(|error| BackendError::Refused(error.to_string()))?;
    let argv = [INIT, "look"].map(str::to_owned).to_vec();
    let command = Command { argv, env: BTreeMap::new(), cwd: "/".to_owned() };
    let looked = boundary.exec(command, String::new(), COMMAND).await?;
    match looked.code {
        Some(0) if looked.stdout.trim().is_empty() => Ok(None),
        Some(0) => Ok(Some(base::inert(looked.stdout.trim(), 300))),
        code => Err(BackendError::Refused(format!("a command in it ended with {code:?}"))),
    }
}

async fn empty_image(docker: &Docker, name: &str) -> Result<AgentImage, BackendError> {
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
    let owned = format!("LABEL {OWNER}={}", docker.config.owner);
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .changes(vec![owned])
        .build();
    let body = bollard::body_full(EMPTY.to_vec().into());
    let mut making = docker.engine.connected().await?.create_image(Some(options), Some(body), None);
    let made = async {
        while let Some(step) = making.next().await {
            step?;
        }
        Ok(())
    };
    docker.engine.ask("make an empty image", QUICK, made).await?;
    let asked = docker.engine.connected().await?.inspect_image(name);
    let found = docker.engine.ask("look at an empty image", QUICK, asked).await?;
    let id = found.id.unwrap_or_else(|| name.to_owned());
    Ok(AgentImage { id, name: name.to_owned(), volumes: Vec::new(), built: false })
}

async fn clean(
    docker: &Docker,
    bottle: &Slug,
    (state, image): (&StateDir, &str),
) -> Result<(), BackendError> {
    owned::remove(docker, bottle).await?;
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    let asked = docker.engine.connected().await?.remove_image(image, Some(options), None);
    // One that was never made cannot be removed.
    drop(docker.engine.answer("remove an empty image", SLOW, asked).await?);
    state.remove().await.map_err(BackendError::system("remove what the trial of gVisor left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gvisor_is_used_where_it_works_and_never_instead_of_what_was_asked_for() {
        let (runc, runsc) = (RuntimeName::Runc, RuntimeName::Runsc);
        let works = || Some(Ok(Some("it is old".to_owned())));
        let broken = || Some(Err("it does not start".to_owned()));
        let chosen = |wanted, outcome| decide(wanted, outcome).map(|it| (it.runtime, it.note));
        assert_eq!(chosen(None, works()), Ok((Some(runsc), Some("it is old".to_owned()))));
        assert_eq!(chosen(None, None), Ok((Some(runc), None)));
        let (runtime, note) = chosen(None, broken()).unwrap();
        assert!(runtime == Some(runc) && note.unwrap().contains("it does not start"));
        for outcome in [None, works(), broken()] {
            assert_eq!(chosen(Some(runc), outcome), Ok((Some(runc), None)));
        }
        assert_eq!(chosen(Some(runsc), works()).unwrap().0, Some(runsc));
        for (outcome, words) in [(None, "no runtime of this name"), (broken(), "it does not start")] {
            let reason = chosen(Some(runsc), outcome).unwrap_err();
            assert!(reason.contains(words) && reason.contains("daemon.json"), "{reason}");
        }
    }
}
