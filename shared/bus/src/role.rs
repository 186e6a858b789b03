//! Who may do what (invariant 4): one permission template per role, as data. `docs/bus/permissions.md` is made of it.
//!
//! Rules behind the table:
//! - Bottles live in an account of their own. A server that answers a request publishes on whatever reply subject the
//!   asker named, with the server's own rights; within one account a bottle could so make it write to the audit trail
//!   or into a bucket. Across accounts an answer can only come back to where the request came from.
//! - Only the provisioner may create consumers and streams: a consumer's deliver subject, a stream's sources and its
//!   republish rule all let their maker speak as somebody else. Everyone else reads with `$JS.API.DIRECT.GET`.
//! - Nobody has `allow_responses`: it would let an asker choose what the answerer may publish on. Answers go to inboxes
//!   only, each user hears its own inbox only.

use std::fmt;

use crate::layout::{
    AUDIT, BUCKETS, COMMITS, DISPATCHER, EVENTS, LAUNCHERS, OUTPUT, PROPOSALS, Queue, STREAMS, TRANSCRIPTS,
    WORKSPACES,
};

/// A role on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Creates streams, buckets and consumers, and nothing else.
    Admin,
    /// The only writer of decisions.
    Supervisor,
    /// Runs bottles.
    Launcher,
    /// Turns forge events into starts.
    Dispatcher,
    /// A person's commands.
    Operator,
    /// The sidecars of one bottle.
    Bottle,
}

/// The accounts, which share nothing but what is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The host services' and the operator's; JetStream is here.
    Host,
    /// The bottles'.
    Bottles,
}

/// What a role may publish on and subscribe to; nothing else. `{{name()}}` is the user's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Subjects to publish on.
    pub publish: Vec<String>,
    /// Subjects to subscribe to.
    pub subscribe: Vec<String>,
}

/// Stands for the user's name in a template; the server fills it in.
pub const NAME: &str = "{{name()}}";

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Supervisor, Self::Launcher, Self::Dispatcher, Self::Operator, Self::Bottle];

    /// Lower-case name; also the user's name, but for bottles, whose users are named after the slug.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Launcher => "launcher",
            Self::Dispatcher => "dispatcher",
            Self::Operator => "operator",
            Self::Bottle => "bottle",
        }
    }

    /// The account that its users are in.
    #[must_use]
    pub fn account(self) -> Account {
        if self == Self::Bottle { Account::Bottles } else { Account::Host }
    }

    /// What it may do.
    #[must_use]
    pub fn template(self) -> Template {
        let mut template = match self {
            Self::Admin => Template::of(&["$JS.API.>"], &[]),
            Self::Supervisor => supervisor(),
            Self::Launcher => launcher(),
            Self::Dispatcher => dispatcher(),
            Self::Operator => operator(),
            Self::Bottle => {
                let hears: Vec<&str> = BOTTLE_HEARS.into_iter().chain(BOTTLE_OVERHEARS).collect();
                Template::of(&BOTTLE_SAYS, &hears).named()
            }
        };
        // To hear answers; and to ask there, where nobody answers, whether the server has taken in a subscription.
        template.publish.push(format!("_INBOX.{NAME}.>"));
        template.subscribe.push(format!("_INBOX.{NAME}.>"));
        template
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a bottle's sidecars say; also what the host's account exports to the bottles' as services.
pub(crate) const BOTTLE_SAYS: [&str; 9] = [
    "egress.log.*",
    "egress.blocked.*",
    "push.accepted.*",
    "push.rejected.*",
    "proposal.new.*",
    "proposal.get.*",
    "proposal.withdraw.*",
    "policy.get.*",
    "policy.running.*",
];
/// What a bottle's sidecars hear; also what the host's account exports to the bottles' as streams.
pub(crate) const BOTTLE_HEARS: [&str; 3] = ["policy.changed.*", "proposal.taken.*", "proposal.resolved.*"];
/// What a bottle's sidecars hear of each other, within their own account: the door hears what egress refused.
const BOTTLE_OVERHEARS: [&str; 1] = ["egress.blocked.*"];

fn supervisor() -> Template {
    Template::of(
        &[
            "policy.changed.*",
            "bottle.commit.*",
            "proposal.taken.*",
            "proposal.resolved.*",
            "audit.*",
            "$KV.policy.>",
            "$KV.proposals.>",
        ],
        &[
            "policy.change",
            "policy.get.*",
            "policy.running.*",
            "proposal.get.*",
            "proposal.withdraw.*",
            "proposal.decide",
        ],
    )
    .answers()
    .hears(&[EVENTS, PROPOSALS, AUDIT])
    .reads_buckets(&["policy", "proposals", "bottles"])
}

fn launcher() -> Template {
    Template::of(
        &[
            "bottle.started.*",
            "bottle.committed.*",
            "bottle.exited.*",
            "bottle.failed.*",
            "bottle.output.*",
            "bottle.progress.*",
            "policy.change",
            "$KV.bottles.>",
            "$KV.launchers.>",
            "$KV.requests.>",
            "$O.transcripts.>",
            "$O.commits.>",
        ],
        &["bottle.stop.*", "bottle.terminal.*", "bottle.commit.*"],
    )
    .answers()
    .takes(&LAUNCHERS)
    .reads_buckets(&["bottles", "launchers", "requests"])
    .reads_objects(&[TRANSCRIPTS, COMMITS, WORKSPACES])
}

fn dispatcher() -> Template {
    Template::of(
        &["bottle.start", "bottle.stop.*", "pr.event.*.*", "$KV.pr_sessions.>", "$KV.pr_deliveries.>"],
        &[],
    )
    .takes(&DISPATCHER)
    .hears(&[EVENTS, PROPOSALS])
    .reads_buckets(&["pr_sessions", "bottles"])
}

fn operator() -> Template {
    let buckets: Vec<&str> = BUCKETS.iter().map(|spec| spec.name).collect();
    Template::of(
        &[
            "bottle.start",
            "bottle.stop.*",
            "bottle.terminal.*",
            "bottle.commit.*",
            "policy.change",
            "proposal.decide",
            "pr.event.*.*",
            "$O.workspaces.>",
        ],
        &["bottle.progress.*", "policy.changed.*", "policy.running.*"],
    )
    .hears(&[EVENTS, OUTPUT, PROPOSALS, AUDIT])
    .reads_buckets(&buckets)
    .reads_objects(&[TRANSCRIPTS, COMMITS, WORKSPACES])
}

impl Template {
    fn of(publish: &[&str], subscribe: &[&str]) -> Self {
        let owned = |subjects: &[&str]| subjects.iter().map(|&subject| subject.to_owned()).collect();
        Self { publish: owned(publish), subscribe: owned(subscribe) }
    }

    /// Each subject for the user's own name only.
    fn named(self) -> Self {
        let named = |subjects: Vec<String>| subjects.iter().map(|s| s.replace('*', NAME)).collect();
        Self { publish: named(self.publish), subscribe: named(self.subscribe) }
    }

    /// Answers requests: to inboxes, and to askers in the other account.
    fn answers(mut self) -> Self {
        self.publish.extend(["_INBOX.>".to_owned(), "_R_.>".to_owned()]);
        self
    }

    /// Takes jobs from a work queue, and says what became of them. The acknowledgement has two forms (ADR-15).
    fn takes(mut self, queue: &Queue) -> Self {
        let Queue { stream, consumer, .. } = queue;
        self.publish.extend([
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            format!("$JS.ACK.{stream}.{consumer}.>"),
            format!("$JS.ACK.*.*.{stream}.{consumer}.>"),
        ]);
        self
    }

    /// Reads streams, and hears live what goes into them.
    fn hears(mut self, streams: &[&str]) -> Self {
        for spec in STREAMS.iter().filter(|spec| streams.contains(&spec.name)) {
            self.publish.push(format!("$JS.API.DIRECT.GET.{}", spec.name));
            self.subscribe.extend(spec.subjects.iter().map(|&subject| subject.to_owned()));
        }
        self
    }

    fn reads_buckets(mut self, buckets: &[&str]) -> Self {
        for bucket in buckets {
            self.publish.push(format!("$JS.API.DIRECT.GET.KV_{bucket}"));
            self.subscribe.push(format!("$KV.{bucket}.>"));
        }
        self
    }

    fn reads_objects(mut self, stores: &[&str]) -> Self {
        for store in stores {
            self.publish.push(format!("$JS.API.DIRECT.GET.OBJ_{store}"));
            self.subscribe.push(format!("$O.{store}.>"));
        }
        self
    }
}
