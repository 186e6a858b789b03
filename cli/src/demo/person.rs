//! The demo's operator: grants less than is asked for.

use std::path::Path;

use anyhow::{Context as _, bail};
use base::clock::Clock;
use base::id::Slug;
use bus::layout::{POLICY, PROPOSED};
use bus::message::proposal::{
    Content, DecideReply, Edited, OperatorKey, Outcome, ProposalRecord, Scope, Verdict,
};
use bus::{Bus, Watch};
use policy::{PathKind, PathMatch};
use supervisor::operators;

use crate::deciding::{Answer, card};

pub(super) struct Person {
    bus: Bus,
    key: OperatorKey,
    cards: Watch<ProposalRecord>,
}

impl Person {
    pub(super) async fn at(bus: &Bus, home: &Path) -> anyhow::Result<Self> {
        let key = OperatorKey::load_or_create(&operators::key_file(home)).context("no operator's key")?;
        Ok(Self { bus: bus.clone(), key, cards: bus.bucket(&PROPOSED).watch().await? })
    }

    /// The next request for a route of a bottle that waits for an answer; others wait on.
    pub(super) async fn card(&mut self, bottle: &Slug) -> anyhow::Result<ProposalRecord> {
        loop {
            if let Some(entry) = self.cards.next().await?.value
                && let Ok(entry) = entry
                && entry.value.bottle == *bottle
                && entry.value.is_open()
                && matches!(entry.value.content, Content::Egress(_))
            {
                return Ok(entry.value);
            }
        }
    }

    /// Grants one method below one path of what was asked for; in words, what came of it.
    pub(super) async fn grant_less(
        &self,
        shown: ProposalRecord,
        method: &str,
        prefix: &str,
    ) -> anyhow::Result<(bool, String)> {
        let Content::Egress(asked) = &shown.content else {
            bail!("something else than a route is asked for")
        };
        let mut delta = asked.clone();
        delta.methods = vec![method.to_owned()];
        delta.paths = vec![PathMatch { kind: PathKind::Prefix, value: prefix.to_owned() }];
        let summary = card::summary(&shown.content);
        let current = self.bus.bucket(&POLICY).get(shown.bottle.as_str()).await?.map(|entry| entry.value);
        let verdict = Verdict::Modify { scope: Scope::Bottle, edited: Edited::Delta { delta } };
        let answer = Answer::new(shown, current.as_ref(), verdict, "reading is enough");
        let reply = answer.give(&self.bus, &self.key, &Clock::System).await?;
        Ok(match reply {
            DecideReply::Resolved { resolved } => {
                let revision = resolved.revision.unwrap_or_default();
                let ok = resolved.outcome == Outcome::Modified && revision > 0;
                (
                    ok,
                    format!(
                        "asked: {summary}; granted: {method} below {prefix}, runs as revision {revision}"
                    ),
                )
            }
            other => (false, format!("{other:?}")),
        })
    }
}
