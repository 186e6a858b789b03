//! All sidecars of one bottle.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::environment::{DOOR_PORT, PROXY_PORT};
use crate::sidecar::{SidecarError, Started};
use crate::{door, egress};

/// The sidecars of a bottle, which lives no longer than the first of them.
pub(crate) struct Sidecars {
    pub(crate) egress: Started,
    /// The certificate (PEM) that the agent must trust.
    pub(crate) certificate: String,
    /// Absent where the bottle asks nobody (`supervise: false`).
    pub(crate) door: Option<Started>,
}

/// The ports that are opened inside a bottle, in the order in which [`Sidecars::serve`] takes their sockets.
pub(crate) fn ports(supervise: bool) -> Vec<SocketAddr> {
    let ports = [Some(PROXY_PORT), supervise.then_some(DOOR_PORT)];
    ports.into_iter().flatten().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect()
}

impl Sidecars {
    /// Gives each the socket that listens for it inside the bottle, and waits until all of them serve.
    pub(crate) async fn serve(&mut self, listeners: Vec<OwnedFd>) -> Result<(), SidecarError> {
        let mut listeners = listeners.into_iter();
        let sockets = [(Some(&mut self.egress), egress::SOCKET), (self.door.as_mut(), door::SOCKET)];
        for (sidecar, socket) in sockets {
            let Some(sidecar) = sidecar else { continue };
            let listener = listeners.next().ok_or(SidecarError::NoPort(socket))?;
            sidecar.serve(socket, listener).await?;
        }
        Ok(())
    }

    /// Waits for the first one's end and says how it ended. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> String {
        match &mut self.door {
            Some(door) => tokio::select! {
                how = self.egress.process.wait() => how,
                how = door.process.wait() => how,
            },
            None => self.egress.process.wait().await,
        }
    }

    /// What could not be limited, one sentence each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let door = self.door.iter().flat_map(|door| door.process.notes());
        self.egress.process.notes().into_iter().chain(door).collect()
    }

    /// Asks all of them to stop; those that have not ended after `grace` are killed.
    pub(crate) async fn stop(self, grace: Duration) {
        let door = async {
            if let Some(door) = self.door {
                door.stop(grace).await;
            }
        };
        tokio::join!(self.egress.stop(grace), door);
    }
}
