//! The services as `bot-bottle up` runs them, the dispatcher among them, with a forge.

use bus::Bus;
use bus::keys::Keys;
use bus::layout::PR_SESSIONS;
use bus::message::pr::PrSession;
use bus::role::Role;
use harness::{ACCOUNT, Home, PullForge, TOKEN, World, soon};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::world::{SECRET, delivery, post};
use crate::deciding::connect;

/// Where everything happens.
pub(super) struct Within {
    pub(super) world: World,
    pub(super) forge: PullForge,
    /// Where webhooks are taken.
    pub(super) address: String,
    began: Timestamp,
}

impl Within {
    /// Starts them in a prepared home; `agent` is run for whatever happens to a pull request.
    pub(super) async fn up(home: Home, agent: &str, variables: &[(&str, &str)]) -> Self {
        let forge = PullForge::start().await;
        home.write_file("dispatch.yaml", &file(&forge.api(), agent).to_string());
        // The agents' own variables may be called as those of the other stories are.
        let own = [("STORY_HOOK", SECRET), ("STORY_FORGE", TOKEN)];
        let world = World::up_in(home, &[&own[..], variables].concat()).await;
        let address =
            world.ready().split("webhooks at http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("{}", world.ready())).to_owned();
        Self { world, forge, address, began: base::clock::Clock::System.now() }
    }

    pub(super) fn delivery(&self, name: &str, second: i64) -> (Vec<(String, String)>, String) {
        delivery(self.began + SignedDuration::from_secs(second), name)
    }

    /// Sends a kept delivery, which must be taken.
    pub(super) async fn send(&self, name: &str, second: i64) {
        let (headers, body) = self.delivery(name, second);
        let sent = soon("an answer", post(&self.address, "/webhook/team", &headers, &body)).await;
        assert_eq!(sent.unwrap(), 200, "{name}");
    }

    pub(super) async fn operator(&self) -> Bus {
        let keys = Keys::load(self.world.home.path()).unwrap();
        connect(&self.world, keys.mint(Role::Operator, None).unwrap()).await
    }

    pub(super) async fn down(self) -> Home {
        let log = self.world.log();
        assert!(!log.contains(TOKEN) && !log.contains(SECRET), "a secret is in the log:\n{log}");
        self.world.down().await
    }
}

/// Waits until the conversation is as it should be.
pub(super) async fn until(bus: &Bus, what: &str, is: impl Fn(&PrSession) -> bool) -> PrSession {
    let mut watch = bus.bucket(&PR_SESSIONS).watch().await.unwrap();
    soon(what, async {
        loop {
            let change = watch.next().await.unwrap();
            if let Some(Ok(found)) = change.value
                && is(&found.value)
            {
                return found.value;
            }
        }
    })
    .await
}

/// A `dispatch.yaml` with one rule.
fn file(api: &str, agent: &str) -> Value {
    json!({
        "listen": "127.0.0.1:0",
        "webhooks": { "team": {
            "forge": "gitea", "secret_ref": "STORY_HOOK", "token_ref": "STORY_FORGE", "api_url": api,
            "account": ACCOUNT, "allow": { "users": ["ann"] },
        } },
        "rules": [ {
            "repositories": ["team/*"], "events": ["opened", "pushed", "comment"],
            "agent": agent, "prompt": "Review {repository}#{number}.",
        } ],
    })
}

/// What is left of an agent's bottles in a home.
pub(super) fn left(home: &Home, agent: &str) -> Vec<String> {
    let Ok(state) = std::fs::read_dir(home.path().join("state")) else { return Vec::new() };
    let names = state.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("{agent}-"))).collect()
}
