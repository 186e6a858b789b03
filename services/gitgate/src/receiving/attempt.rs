//! What is known of a push while it arrives, and how a refusal of it is told and recorded.

use bus::message::Version;
use bus::message::push::{Finding, RefUpdate, Rejected};
use jiff::Timestamp;

use super::report::{Report, Status};
use crate::commands::{Capabilities, Commands};
use crate::gate::Gate;
use crate::mirror::View;
use crate::pktline;
use crate::push::Update;
use crate::reference::RefName;

/// Characters of a reason that stand beside a ref.
const SHORT: usize = 160;
/// Characters of one line that is shown.
const LINE: usize = 2000;
/// Characters of a reason that are recorded, and findings: a record must fit into one message.
const RECORDED: usize = 16 << 10;
const FINDINGS: usize = 200;
/// Stands in a record for a name or a line in which there is a secret.
const WITHHELD: &str = "(withheld: there is a secret in it)";
/// Lines of a reason that are shown.
const LINES: usize = 200;

/// Why nothing of a push goes upstream.
#[derive(Clone, Debug)]
pub(super) struct Denial {
    /// Lines for a person; inert.
    pub(super) reason: String,
    /// What stands beside single refs, where it is not the reason's first line.
    pub(super) refs: Vec<(RefName, String)>,
    pub(super) findings: Vec<Finding>,
    pub(super) objects: Option<u64>,
}

impl Denial {
    /// For a reason that is about the whole push.
    pub(super) fn new(reason: &str) -> Self {
        Self { reason: reason.to_owned(), refs: Vec::new(), findings: Vec::new(), objects: None }
    }

    /// The reason's lines. What is not inert already, is made so.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let is_plain = |line: &str| !line.chars().any(char::is_control) && line.chars().count() <= LINE;
        self.reason
            .lines()
            .take(LINES)
            .map(move |line| if is_plain(line) { line.to_owned() } else { base::inert(line, LINE) })
    }

    /// One line.
    fn short(&self) -> String {
        let line = self.lines().next().unwrap_or_default();
        if line.chars().count() <= SHORT {
            line
        } else {
            line.chars().take(SHORT - 1).chain(['…']).collect()
        }
    }

    /// What stands beside this ref.
    fn beside(&self, name: &RefName) -> String {
        match self.refs.iter().find(|(denied, _)| denied == name) {
            Some((_, reason)) => reason.clone(),
            None if self.refs.is_empty() => self.short(),
            None => "refused together with the others".to_owned(),
        }
    }
}

/// See the module.
pub(super) struct Attempt {
    repo: String,
    updates: Vec<Update>,
    pub(super) capabilities: Capabilities,
}

impl Attempt {
    pub(super) fn new(repo: &str) -> Self {
        Self { repo: repo.to_owned(), updates: Vec::new(), capabilities: Capabilities::default() }
    }

    /// What the client has asked for, as far as it was read.
    pub(super) fn wants(&mut self, commands: &Commands) {
        self.updates.clone_from(&commands.updates);
        self.capabilities = commands.capabilities.clone();
    }

    /// Refuses what was made for another state of upstream.
    pub(super) fn compare(&self, view: &View) -> Result<(), Denial> {
        let is_stale = |update: &&Update| view.refs.get(update.name.as_str()) != update.old.as_ref();
        let stale: Vec<_> = self.updates.iter().filter(is_stale).collect();
        let Some(first) = stale.first() else { return Ok(()) };
        let reason = format!("upstream has another {} than this push was made for; fetch first", first.name);
        let refs = stale.iter().map(|update| (update.name.clone(), "fetch first".to_owned())).collect();
        Err(Denial { refs, ..Denial::new(&reason) })
    }

    pub(super) fn refs(&self) -> Vec<RefUpdate> {
        let text = |object: &crate::object::ObjectId| object.to_string();
        let update = |update: &Update| RefUpdate {
            name: update.name.to_string(),
            old: update.old.as_ref().map(text),
            new: update.new.as_ref().map(text),
        };
        self.updates.iter().map(update).collect()
    }

    /// The refusal as the bus is told of it. Whatever was refused, and at which step: a secret that the agent put into a
    /// name is not in it.
    pub(super) fn rejected(&self, gate: &Gate, at: Timestamp, denial: &Denial) -> Rejected {
        let shown = |text: String| if gate.judge.is_harmless(&text) { text } else { WITHHELD.to_owned() };
        let reason = denial.lines().map(shown).collect::<Vec<_>>().join("\n");
        Rejected {
            v: Version,
            bottle: gate.bottle.clone(),
            repo: self.repo.clone(),
            at,
            refs: self
                .refs()
                .into_iter()
                .map(|update| RefUpdate { name: shown(update.name), ..update })
                .collect(),
            objects: denial.objects,
            reason: reason.chars().take(RECORDED).collect(),
            findings: denial.findings.iter().take(FINDINGS).cloned().collect(),
        }
    }

    /// Records the refusal.
    pub(super) async fn record(&self, gate: &Gate, denial: &Denial) {
        gate.recorder.rejected(self.rejected(gate, gate.recorder.moment(), denial)).await;
    }

    /// What the client reads of the refusal, in the form that it understands.
    pub(super) fn refuse(&self, denial: &Denial) -> Vec<u8> {
        let capabilities = &self.capabilities;
        // Without a ref to stand beside, a reason would not be shown to every client.
        if !capabilities.report_status || (self.updates.is_empty() && !capabilities.side_band) {
            return pktline::error(&denial.lines().collect::<Vec<_>>().join("\n"));
        }
        let statuses = self
            .updates
            .iter()
            .map(|update| Status { name: update.name.clone(), refused: Some(denial.beside(&update.name)) });
        let lines: Vec<String> = denial.lines().collect();
        Report { statuses: statuses.collect() }.write(&lines, capabilities.side_band)
    }

    /// What the client reads when all of it was taken.
    pub(super) fn accept(&self) -> Vec<u8> {
        if !self.capabilities.report_status {
            return Vec::new();
        }
        let statuses = self.updates.iter().map(|update| Status { name: update.name.clone(), refused: None });
        Report { statuses: statuses.collect() }.write(&[], self.capabilities.side_band)
    }
}
