//! The conversation with the launcher over standard input (see `handover::sidecar`), and the process that follows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base::Secret;
use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle};
use handover::Channel;
use handover::gitgate::{GateAccess, GitgateHandover};
use handover::serving::{PATIENCE, listeners, until_closed};
use handover::sidecar::SidecarAnswer;

use crate::config::Config;
use crate::gate::{GitGate, build};
use crate::git::Git;
use crate::judge::{Judge, JudgeConfig, RepoRules};
use crate::live;

/// How long a push in hand may go on after the end, and the last records then take to reach the bus.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the git gate of one bottle until the launcher closes the channel, or a signal comes.
///
/// # Errors
/// What kept it from starting; the launcher has been told the same.
pub async fn run() -> anyhow::Result<Ending> {
    let mut channel =
        Channel::from_stdin(PATIENCE).context("opening the launcher's channel on standard input")?;
    let (handover, _) = channel.receive::<GitgateHandover>().context("receiving the hand-over")?;
    match start(handover, &mut channel) {
        Ok(life) => {
            channel
                .send(&SidecarAnswer::Serving, &[])
                .context("telling the launcher that the git gate serves")?;
            life.spawn_essential(until_closed(channel.into_socket(), life.clone()));
            Ok(life.run(GRACE).await)
        }
        Err(error) => {
            let reason = format!("{error:#}");
            // The launcher may be gone; the log has the reason as well.
            let _ = channel.send(&SidecarAnswer::Failed { reason }, &[]);
            Err(error)
        }
    }
}

fn start(handover: GitgateHandover, channel: &mut Channel) -> anyhow::Result<Lifecycle> {
    let life = Lifecycle::new();
    life.stop_on_signals().context("listening for signals")?;
    let gate = gate(handover, &life)?;
    channel
        .send(&SidecarAnswer::Ready { certificate: None }, &[])
        .context("telling the launcher that the git gate is ready")?;
    gate.run(listeners(channel, "git").context("receiving the listening sockets")?);
    Ok(life)
}

/// A gate with its judge and its connection to the bus.
fn gate(handover: GitgateHandover, life: &Lifecycle) -> anyhow::Result<GitGate> {
    let helper = std::env::current_exe().context("finding this program, which git starts by other names")?;
    let (config, bus) = Config::from_handover(&handover, helper)?;
    let bus = live::keep(bus, life);
    let scratch = handover.spool.join("judge");
    let home = scratch.join("home");
    std::fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
    let git = Git::new(handover.git.clone(), home);
    let secrets = handover.repos.iter().filter_map(|(name, repo)| match &repo.access {
        GateAccess::Https { token: Some(token) } => Some((format!("token of {name}"), token.clone())),
        GateAccess::Ssh { key, .. } => Some((format!("key of {name}"), body(key))),
        GateAccess::Https { token: None } => None,
    });
    let judge = Judge::start(JudgeConfig {
        bottle: handover.bottle,
        clock: Clock::System,
        bus: bus.clone(),
        revision: handover.revision,
        supervise: handover.supervise,
        git,
        gitleaks: handover.gitleaks,
        rules: handover.rules,
        canary: handover.canary,
        secrets: secrets.collect(),
        limits: handover.limits,
        repos: handover
            .repos
            .iter()
            .map(|(name, repo)| {
                (name.clone(), RepoRules { refs: repo.refs.clone(), workflows: repo.workflows })
            })
            .collect(),
        scratch,
    })?;
    build(config, Arc::new(judge), bus, Clock::System, life)
}

/// The text of a private key without the lines around it, which every key has.
fn body(key: &Secret) -> Secret {
    Secret::new(key.expose().lines().filter(|line| !line.starts_with("-----")).collect::<String>())
}
