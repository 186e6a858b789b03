//! Step 3 for the door, the bottle's MCP server: it gets an identity on the bus, and no other secret.

use base::id::Slug;
use bus::{Credentials, Trace};
use handover::sidecar::{DoorHandover, TraceHandover};

use crate::backend::{Backend, SidecarSpec};
use crate::config::LauncherConfig;
use crate::sidecar::{self, SidecarError, Started, bus_access};

/// Its name.
pub(crate) const NAME: &str = "door";
/// What it calls its listening socket.
pub(crate) const SOCKET: &str = "mcp";

/// Starts the sidecar and hands everything over.
pub(crate) async fn start(
    backend: &dyn Backend,
    config: &LauncherConfig,
    bottle: Slug,
    credentials: &Credentials,
    trace: Trace,
) -> Result<Started, SidecarError> {
    let program = config.door();
    let spec = SidecarSpec::new(bottle.clone(), NAME, program);
    let trace = Some(TraceHandover { context: trace.to_string(), collector: None });
    let handover = DoorHandover { v: 1, bottle, bus: bus_access(config, credentials), trace };
    let (started, _) = sidecar::start(backend, config, spec, handover).await?;
    Ok(started)
}
