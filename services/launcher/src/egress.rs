//! Step 3 for the egress sidecar: identity, secrets, readiness.

use base::Secret;
use base::id::Slug;
use bus::{Credentials, Trace};
use handover::sidecar::{EgressHandover, EgressLimits, TraceHandover};
use policy::EgressPolicy;
use telemetry::UnusableEndpoint;

use crate::backend::{Backend, SIDECAR_SPOOL, SidecarSpec};
use crate::config::LauncherConfig;
use crate::metrics::{self, UnusableMetrics};
use crate::sidecar::{self, SidecarError, Started, bus_access};
use crate::token::Needed;
use crate::uplink::{UnusableUplink, uplink};

/// Its name.
pub(crate) const NAME: &str = "egress";
/// What it calls its listening socket.
pub(crate) const SOCKET: &str = "proxy";

/// Why the sidecar does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressError {
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    #[error(transparent)]
    Uplink(#[from] UnusableUplink),
    #[error(transparent)]
    Metrics(#[from] UnusableMetrics),
    #[error(transparent)]
    Collector(#[from] UnusableEndpoint),
}

/// What the sidecar gets.
pub(crate) struct Duties {
    pub(crate) bottle: Slug,
    pub(crate) credentials: Credentials,
    pub(crate) revision: u64,
    pub(crate) policy: EgressPolicy,
    pub(crate) needed: Needed,
    pub(crate) canary: Secret,
    /// Whether the bottle has a door as well.
    pub(crate) has_door: bool,
    /// The operator's own secret rules.
    pub(crate) rules: Option<String>,
    /// The bottle's start.
    pub(crate) trace: Trace,
}

/// Starts the sidecar and hands everything over. Returns the certificate (PEM) that the agent must trust, too.
pub(crate) async fn start(
    backend: &dyn Backend,
    config: &LauncherConfig,
    duties: Duties,
) -> Result<(Started, String), EgressError> {
    let program = config.egress();
    let spec = SidecarSpec { has_spool: true, ..SidecarSpec::new(duties.bottle.clone(), NAME, program) };
    let (started, certificate) = sidecar::start(backend, config, spec, handover(config, duties)?).await?;
    let certificate = certificate.ok_or(SidecarError::Unexpected(NAME))?;
    Ok((started, certificate))
}

fn handover(config: &LauncherConfig, duties: Duties) -> Result<EgressHandover, EgressError> {
    let collector = config.collector()?.map(|endpoint| endpoint.to_string());
    Ok(EgressHandover {
        v: 1,
        bottle: duties.bottle,
        bus: Some(bus_access(config, &duties.credentials)),
        revision: duties.revision,
        policy: duties.policy,
        secrets: duties.needed.secrets,
        canary: Some(duties.canary),
        has_door: duties.has_door,
        authorities: duties.needed.authorities,
        rules: duties.rules,
        uplink: uplink(&config.environment)?,
        spool: SIDECAR_SPOOL.into(),
        metrics: metrics::socket(&config.environment)?,
        trace: Some(TraceHandover { context: duties.trace.to_string(), collector }),
        limits: EgressLimits::default(),
    })
}
