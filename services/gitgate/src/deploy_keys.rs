//! Deploy keys at a Gitea or Forgejo forge (G8): made for one launch, and taken back after it.
//!
//! A program of its own does one order and ends, so that the forge's token is in no process that an agent talks to. The
//! git gate gets the private key alone.

mod forge;
mod repository;

use std::time::Duration;

use anyhow::{Context as _, bail};
use base::Secret;
use handover::Channel;
use handover::gitgate::{DeployKeyAnswer, DeployKeyHandover, DeployKeyOrder};
use rand::RngCore as _;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

use forge::Forge;
pub use repository::{InvalidRepository, Repository};

/// How long the launcher may take for its frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does the one order that the launcher sends over standard input, and answers it.
///
/// # Errors
/// The channel failed. What the forge refuses is an answer.
pub async fn run() -> anyhow::Result<()> {
    let mut channel =
        Channel::from_stdin(PATIENCE).context("opening the launcher's channel on standard input")?;
    let (handover, _) = channel.receive::<DeployKeyHandover>().context("receiving the order")?;
    let answer = obey(handover).await.unwrap_or_else(|error| {
        let reason = base::inert(&format!("{error:#}"), 1000);
        tracing::error!(reason, "the order was not carried out");
        DeployKeyAnswer::Failed { reason }
    });
    channel.send(&answer, &[]).context("telling the launcher what came of it")
}

/// Carries an order out.
///
/// # Errors
/// It could not be; the text says why and what to try, and holds no secret.
pub async fn obey(handover: DeployKeyHandover) -> anyhow::Result<DeployKeyAnswer> {
    if handover.v != 1 {
        bail!("the order has version {}, and this program reads version 1: run the same release", handover.v);
    }
    let repository = Repository::of(&handover.url, handover.api_url.as_deref())?;
    let forge = Forge::new(repository, &handover.token, &handover.uplink)?;
    match handover.order {
        DeployKeyOrder::Register => {
            let key = generate()?;
            let public = key.public_key().to_openssh().context("writing the public key")?;
            forge.register(&handover.title, &public).await?;
            let private = key.to_openssh(LineEnding::LF).context("writing the private key")?;
            Ok(DeployKeyAnswer::Registered { key: Secret::new(private.to_string()) })
        }
        DeployKeyOrder::Revoke => {
            forge.revoke(&handover.title).await?;
            Ok(DeployKeyAnswer::Revoked)
        }
    }
}

fn generate() -> anyhow::Result<PrivateKey> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(seed.as_mut());
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "bot-bottle").context("making a key pair")
}
