//! A bus with an identity for the gate, without which it lets nothing through.

use std::path::Path;
use std::time::Duration;

use bus::keys::Keys;
use bus::layout::Layout;
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect};
use handover::sidecar::BusAccess;

/// The bottle's name.
pub(crate) const BOTTLE: &str = "bench-00000";

pub(crate) struct Host {
    home: tempfile::TempDir,
    keys: Keys,
    server: Server,
}

impl Host {
    pub(crate) async fn up() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let keys = Keys::init(home.path())?;
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
        let server = Server::start(Options { binary: Some(binary), ..Options::new(home.path()) }).await?;
        let admin = Bus::connect(Connect::new(server.url(), keys.mint(Role::Admin, None)?)).await?;
        bus::provision(&admin, &Layout::default()).await?;
        Ok(Self { home, keys, server })
    }

    /// What a gate connects with.
    pub(crate) fn access(&self) -> anyhow::Result<BusAccess> {
        let credentials = self.keys.mint_bottle(&BOTTLE.parse()?, Duration::from_secs(3600))?;
        let (url, jwt) = (self.server.url().to_owned(), credentials.jwt().to_owned());
        Ok(BusAccess { url, jwt, seed: credentials.seed().clone() })
    }

    pub(crate) async fn down(self) {
        self.server.stop().await;
        drop(self.home);
    }
}
