//! What a dispatcher needs to know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base::Secret;
use bus::Connect;
use manifest::DispatchFile;
use telemetry::Endpoint;

use crate::secret::{self, Unread};

/// Settings of one dispatcher.
#[derive(Clone)]
pub struct Config {
    /// The bus, and the dispatcher's identity on it.
    pub connect: Connect,
    /// What is to be done for whom.
    pub file: DispatchFile,
    /// Where webhooks are taken.
    pub listen: SocketAddr,
    /// The secret and the token of each webhook.
    pub secrets: BTreeMap<String, WebhookSecrets>,
    /// Bounds.
    pub limits: Limits,
    /// Where spans go (E17).
    pub collector: Option<Endpoint>,
}

/// What only the dispatcher and the forge know.
#[derive(Clone)]
pub struct WebhookSecrets {
    /// Signs deliveries.
    pub hook: Secret,
    /// Of the agents' account.
    pub token: Secret,
}

/// A secret that `dispatch.yaml` names and that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` of the webhook {webhook} in dispatch.yaml: {why}")]
pub struct SecretError {
    webhook: String,
    key: &'static str,
    why: Unread,
}

/// Bounds of what comes in, and how long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a delivery.
    pub body: usize,
    /// Connections that may wait for a delivery at once; as many again may have one in hand.
    pub connections: usize,
    /// How long a delivery may take to arrive.
    pub arrival: Duration,
    /// How long the bus may take to store one.
    pub storing: Duration,
    /// How old what is told may be.
    pub age: Duration,
    /// How long an answer of the forge about somebody's standing holds.
    pub standing: Duration,
    /// How long the forge is tried: to ask whether somebody may, and to post an answer.
    pub posting: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 512 << 10,
            connections: 128,
            arrival: Duration::from_secs(10),
            storing: Duration::from_secs(8),
            age: Duration::from_secs(7 * 24 * 60 * 60),
            standing: Duration::from_secs(60),
            posting: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Config {
    /// The usual settings, with the secrets that the file names. `variable` looks a variable of the host up.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub fn new(
        connect: Connect,
        file: DispatchFile,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SecretError> {
        let mut secrets = BTreeMap::new();
        for (name, webhook) in &file.webhooks {
            let read = |key, reference| {
                secret::read(reference, &variable).map_err(|why| SecretError {
                    webhook: name.clone(),
                    key,
                    why,
                })
            };
            let hook = read("secret_ref", &webhook.secret_ref)?;
            let token = read("token_ref", &webhook.token_ref)?;
            secrets.insert(name.clone(), WebhookSecrets { hook, token });
        }
        Ok(Self {
            connect,
            listen: file.address(),
            file,
            secrets,
            limits: Limits::default(),
            collector: None,
        })
    }
}
