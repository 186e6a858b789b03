//! All sidecars of one bottle.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use manifest::resolve::EffectiveBottle;

use crate::environment::{DOOR_PORT, GATE_PORT, PROXY_PORT};
use crate::sidecar::{SidecarError, Started};
use crate::{door, egress, gitgate};

/// The sidecars of a bottle, which lives no longer than the first of them.
pub(crate) struct Sidecars {
    pub(crate) egress: Started,
    /// The certificate (PEM) that the agent must trust.
    pub(crate) certificate: String,
    /// Absent where the bottle asks nobody (`supervise: false`).
    pub(crate) door: Option<Started>,
    /// Absent where the bottle has no repositories.
    pub(crate) gitgate: Option<Started>,
}

/// Which sidecars a bottle has beside its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) door: bool,
    pub(crate) gitgate: bool,
}

impl Wanted {
    /// What a bottle's file asks for.
    pub(crate) fn of(bottle: &EffectiveBottle) -> Self {
        Self { door: bottle.supervise, gitgate: !bottle.repos.is_empty() }
    }
}

/// The ports that are opened inside a bottle, in the order in which [`Sidecars::serve`] takes their sockets.
pub(crate) fn ports(wanted: Wanted) -> Vec<SocketAddr> {
    let ports = [Some(PROXY_PORT), wanted.door.then_some(DOOR_PORT), wanted.gitgate.then_some(GATE_PORT)];
    ports.into_iter().flatten().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect()
}

impl Sidecars {
    /// Gives each the socket that listens for it inside the bottle, and waits until all of them serve.
    pub(crate) async fn serve(&mut self, listeners: Vec<OwnedFd>) -> Result<(), SidecarError> {
        let mut listeners = listeners.into_iter();
        let sockets = [
            (Some(&mut self.egress), egress::SOCKET),
            (self.door.as_mut(), door::SOCKET),
            (self.gitgate.as_mut(), gitgate::SOCKET),
        ];
        for (sidecar, socket) in sockets {
            let Some(sidecar) = sidecar else { continue };
            let listener = listeners.next().ok_or(SidecarError::NoPort(socket))?;
            sidecar.serve(socket, listener).await?;
        }
        Ok(())
    }

    /// Waits for the first one's end and says how it ended. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> String {
        tokio::select! {
            how = self.egress.process.wait() => how,
            how = end(self.door.as_mut()) => how,
            how = end(self.gitgate.as_mut()) => how,
        }
    }

    /// What could not be limited, one sentence each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let others = self.door.iter().chain(&self.gitgate).flat_map(|sidecar| sidecar.process.notes());
        self.egress.process.notes().into_iter().chain(others).collect()
    }

    /// Asks all of them to stop; those that have not ended after `grace` are killed.
    pub(crate) async fn stop(self, grace: Duration) {
        let stop = async |sidecar: Option<Started>| {
            if let Some(sidecar) = sidecar {
                sidecar.stop(grace).await;
            }
        };
        tokio::join!(self.egress.stop(grace), stop(self.door), stop(self.gitgate));
    }
}

/// Waits for the end of a sidecar; of one that there is not, for ever.
async fn end(sidecar: Option<&mut Started>) -> String {
    match sidecar {
        Some(sidecar) => sidecar.process.wait().await,
        None => std::future::pending().await,
    }
}
