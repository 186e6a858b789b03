//! Every message and record with its JSON Schema: what `docs/bus/` is made of.

use schemars::{JsonSchema, Schema, schema_for};

use crate::message::{
    Message, Request, audit, commit, egress, pr, progress, proposal, push, record, revision, run, start,
    terminal,
};

/// A message, or a bucket's value, as the documentation lists it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The file of its schema, without `.json`.
    pub name: &'static str,
    /// Its subjects, or its bucket.
    pub place: String,
    /// Who sends it, to whom.
    pub route: &'static str,
    /// Where it is kept, or how it is answered.
    pub kept: &'static str,
    /// Its schema.
    pub schema: Schema,
    /// The schema of its answer, if it is a request.
    pub reply: Option<Schema>,
}

fn message<M: Message>(name: &'static str, route: &'static str, kept: &'static str) -> Listing {
    Listing { name, place: M::PATTERN.to_owned(), route, kept, schema: schema_for!(M), reply: None }
}

fn request<R: Request>(name: &'static str, route: &'static str) -> Listing {
    let reply = Some(schema_for!(R::Reply));
    Listing { reply, ..message::<R>(name, route, "answered") }
}

fn value<T: JsonSchema>(
    name: &'static str,
    bucket: &str,
    route: &'static str,
    kept: &'static str,
) -> Listing {
    let place = format!("bucket `{bucket}`");
    Listing { name, place, route, kept, schema: schema_for!(T), reply: None }
}

/// Every message, in the order of the documentation.
#[must_use]
pub fn messages() -> Vec<Listing> {
    vec![
        message::<start::StartRequest>(
            "bottle.start",
            "operator, dispatcher → one launcher",
            "work queue START",
        ),
        request::<start::StopRequest>("bottle.stop", "operator → the owning launcher"),
        request::<commit::CommitRequest>("bottle.commit", "operator, supervisor → the owning launcher"),
        request::<terminal::TerminalRequest>("bottle.terminal", "operator → the owning launcher"),
        message::<progress::Progress>("bottle.progress", "launcher → operators", "not kept"),
        message::<run::Started>("bottle.started", "launcher → all", "EVENTS"),
        message::<commit::Committed>("bottle.committed", "launcher → all", "EVENTS"),
        message::<run::Exited>("bottle.exited", "launcher → all", "EVENTS"),
        message::<run::Failed>("bottle.failed", "launcher → all", "EVENTS"),
        message::<run::Output>("bottle.output", "launcher → operators", "OUTPUT"),
        message::<egress::Log>("egress.log", "egress → supervisor", "EVENTS"),
        message::<egress::Blocked>("egress.blocked", "egress → all", "EVENTS"),
        message::<push::Accepted>("push.accepted", "gitgate → all", "EVENTS"),
        message::<push::Rejected>("push.rejected", "gitgate → all", "EVENTS"),
        message::<proposal::Proposed>("proposal.new", "sidecars → supervisor, operators", "PROPOSALS"),
        message::<proposal::Taken>("proposal.taken", "supervisor → that bottle", "not kept"),
        request::<proposal::ProposalGet>("proposal.get", "sidecar → supervisor"),
        request::<proposal::Withdraw>("proposal.withdraw", "sidecar → supervisor"),
        request::<proposal::Decide>("proposal.decide", "operator → supervisor"),
        message::<proposal::Resolved>(
            "proposal.resolved",
            "supervisor → that bottle, dispatcher, operators",
            "PROPOSALS",
        ),
        request::<revision::PolicyChange>("policy.change", "operator, launcher → supervisor"),
        request::<revision::PolicyGet>("policy.get", "sidecar → supervisor"),
        message::<revision::PolicyRevision>("policy.changed", "supervisor → sidecar", "bucket `policy`"),
        message::<revision::PolicyRunning>("policy.running", "sidecar → supervisor", "EVENTS"),
        message::<pr::PrEvent>("pr.event", "dispatcher → its worker of that pull request", "work queue PR"),
        message::<audit::AuditRecord>("audit", "supervisor", "AUDIT"),
    ]
}

/// Every value of a bucket that has a type of its own.
#[must_use]
pub fn records() -> Vec<Listing> {
    vec![
        value::<record::BottleRecord>(
            "record.bottle",
            "bottles",
            "launcher",
            "as long as something of the bottle is, and then 30 days",
        ),
        value::<proposal::ProposalRecord>(
            "record.proposal",
            "proposals",
            "supervisor",
            "until 7 days after it ended",
        ),
        value::<pr::PrSession>(
            "record.pr",
            "pr_sessions",
            "dispatcher",
            "until 30 days after the pull request was closed",
        ),
        value::<pr::StoredDelivery>("record.delivery", "pr_deliveries", "dispatcher", "7 days"),
        value::<record::RequestClaim>("record.request", "requests", "launcher", "90 days"),
        value::<record::LauncherRecord>(
            "record.launcher",
            "launchers",
            "launcher",
            "until its launcher stops",
        ),
    ]
}
