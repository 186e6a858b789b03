//! What the forge says about somebody, remembered for a short while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bus::message::pr::PrEvent;
use manifest::dispatch::Webhook;
use tokio::time::Instant;

use crate::decide::Standing;
use crate::forge::{Forge, ForgeError};
use crate::shared::lock;

/// Answers that are remembered.
const MOST: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Who {
    webhook: String,
    repo: String,
    login: String,
}

/// See the module.
pub(crate) struct Standings {
    known: Mutex<HashMap<Who, (Instant, Standing)>>,
    hold: Duration,
}

impl Standings {
    pub(crate) fn new(hold: Duration) -> Self {
        Self { known: Mutex::default(), hold }
    }

    /// Somebody's standing.
    ///
    /// # Errors
    /// The forge cannot be asked. Nothing is remembered then.
    pub(crate) async fn of(
        &self,
        forge: &Forge,
        webhook: &Webhook,
        event: &PrEvent,
    ) -> Result<Standing, ForgeError> {
        let login = event.actor.login.to_ascii_lowercase();
        let who = Who { webhook: event.webhook.clone(), repo: event.repo.clone(), login };
        let found = lock(&self.known).get(&who).cloned();
        if let Some((_, standing)) = found.filter(|(at, _)| at.elapsed() < self.hold) {
            return Ok(standing);
        }
        let standing = ask(forge, webhook, &who).await?;
        let mut known = lock(&self.known);
        if known.len() >= MOST {
            known.retain(|_, (at, _)| at.elapsed() < self.hold);
        }
        if known.len() < MOST {
            known.insert(who, (Instant::now(), standing.clone()));
        }
        Ok(standing)
    }
}

async fn ask(forge: &Forge, webhook: &Webhook, who: &Who) -> Result<Standing, ForgeError> {
    let mut standing = Standing::default();
    if webhook.allow.permission.is_some() {
        standing.permission = forge.permission(&who.repo, &who.login).await?;
    }
    if crate::decide::suffices(webhook, &standing) {
        return Ok(standing);
    }
    for team in &webhook.allow.teams {
        if forge.is_in_team(team, &who.login).await? {
            standing.in_team = true;
            break;
        }
    }
    Ok(standing)
}
