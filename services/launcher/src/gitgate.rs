//! Step 3 for the git gate: the keys of the bottle's repositories, and where it finds its programs.

mod lease;
mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::Secret;
use base::id::Slug;
use bus::{Credentials, Trace};
use handover::gitgate::{GateLimits, GateRepo, GitgateHandover};
use handover::sidecar::TraceHandover;

use crate::backend::{Backend, SIDECAR_SPOOL, SidecarSpec};
use crate::config::LauncherConfig;
use crate::sidecar::{self, SidecarError, Started, bus_access};
use crate::tools::{GateTools, MissingTool};
use crate::uplink::{UnusableUplink, uplink};

pub(crate) use lease::{Leases, revoke};
pub(crate) use secret::{read_all, secrets};

/// Its name.
pub(crate) const NAME: &str = "gitgate";
/// What it calls its listening socket.
pub(crate) const SOCKET: &str = "git";
/// Where its box has gitleaks.
const GITLEAKS: &str = "/.bot-bottle/gitleaks";

/// Bytes of memory for the gate with its git, ssh and gitleaks.
const MEMORY: u64 = 1 << 30;

/// Why the gate does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    #[error(transparent)]
    Uplink(#[from] UnusableUplink),
    #[error(transparent)]
    Tool(#[from] MissingTool),
}

/// What the gate gets.
pub(crate) struct Duties {
    pub(crate) bottle: Slug,
    pub(crate) credentials: Credentials,
    pub(crate) revision: u64,
    pub(crate) repos: BTreeMap<String, GateRepo>,
    pub(crate) canary: Secret,
    /// The operator's own secret rules.
    pub(crate) rules: Option<String>,
    pub(crate) supervise: bool,
    /// The bottle's start.
    pub(crate) trace: Trace,
}

/// Starts the sidecar and hands everything over.
pub(crate) async fn start(
    backend: &dyn Backend,
    config: &LauncherConfig,
    duties: Duties,
) -> Result<Started, GateError> {
    let tools = GateTools::find(config)?;
    let spec = spec(config, duties.bottle.clone(), &tools);
    let handover = handover(config, duties, tools)?;
    let (started, _) = sidecar::start(backend, config, spec, handover).await?;
    Ok(started)
}

fn spec(config: &LauncherConfig, bottle: Slug, tools: &GateTools) -> SidecarSpec {
    SidecarSpec {
        has_spool: true,
        beside: Some(("gitleaks", tools.gitleaks.clone())),
        memory: MEMORY,
        ..SidecarSpec::new(bottle, NAME, config.gitgate())
    }
}

fn handover(config: &LauncherConfig, duties: Duties, tools: GateTools) -> Result<GitgateHandover, GateError> {
    Ok(GitgateHandover {
        v: 1,
        bus: bus_access(config, &duties.credentials),
        bottle: duties.bottle,
        revision: duties.revision,
        repos: duties.repos,
        canary: Some(duties.canary),
        rules: duties.rules,
        supervise: duties.supervise,
        uplink: uplink(&config.environment)?,
        spool: SIDECAR_SPOOL.into(),
        git: tools.git,
        gitleaks: PathBuf::from(GITLEAKS),
        ssh: tools.ssh,
        trace: Some(TraceHandover { context: duties.trace.to_string(), collector: None }),
        limits: GateLimits::default(),
    })
}
