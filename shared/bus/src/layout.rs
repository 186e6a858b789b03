//! Which streams, work queues, buckets and object stores there are.
//!
//! | stream | subjects | kept |
//! |---|---|---|
//! | [`START`] | `bottle.start` | until one launcher is done with it |
//! | [`EVENTS`] | `bottle.started.*`, `bottle.committed.*`, `bottle.exited.*`, `bottle.failed.*`, `egress.log.*`, `egress.blocked.*`, `push.*.*`, `policy.running.*` | 30 days |
//! | [`OUTPUT`] | `bottle.output.*` | 7 days, at most 1 GiB, the oldest go first |
//! | [`PROPOSALS`] | `proposal.new.*`, `proposal.resolved.*` | 90 days |
//! | [`PR`] | `pr.event.*.*` | until the dispatcher is done with it |
//! | [`AUDIT`] | `audit.*` | for ever; nothing can be deleted or purged |

use std::marker::PhantomData;
use std::time::Duration;

use crate::message::pr::{PrSession, StoredDelivery};
use crate::message::proposal::ProposalRecord;
use crate::message::record::{BottleRecord, LauncherRecord, RequestClaim};
use crate::message::revision::PolicyRevision;

/// Start requests: a work queue.
pub const START: &str = "START";
/// What happened.
pub const EVENTS: &str = "EVENTS";
/// What the bottles' programs wrote.
pub const OUTPUT: &str = "OUTPUT";
/// Proposals and how they ended.
pub const PROPOSALS: &str = "PROPOSALS";
/// Forge events: a work queue.
pub const PR: &str = "PR";
/// The trail of decisions.
pub const AUDIT: &str = "AUDIT";

/// A stream and what goes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// The subjects that it keeps.
    pub subjects: &'static [&'static str],
    /// How long and how much.
    pub keep: Keep,
}

/// What a stream keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Each message until its consumer is done with it.
    Work,
    /// Everything this young; beyond `bytes` (if any) the oldest go first.
    Young {
        /// The age.
        age: Duration,
        /// The size of the stream; none is no limit.
        bytes: Option<i64>,
    },
    /// Everything, undeletable.
    Forever,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long what happened can be looked up; a bottle that is over and of which nothing is left is remembered as long.
pub const REMEMBERED: Duration = DAY.saturating_mul(30);
const GIB: i64 = 1 << 30;

/// Every stream.
pub const STREAMS: &[StreamSpec] = &[
    StreamSpec { name: START, subjects: &["bottle.start"], keep: Keep::Work },
    StreamSpec {
        name: EVENTS,
        subjects: &[
            "bottle.started.*",
            "bottle.committed.*",
            "bottle.exited.*",
            "bottle.failed.*",
            "egress.log.*",
            "egress.blocked.*",
            "push.*.*",
            "policy.running.*",
        ],
        keep: Keep::Young { age: REMEMBERED, bytes: None },
    },
    StreamSpec {
        name: OUTPUT,
        subjects: &["bottle.output.*"],
        keep: Keep::Young { age: DAY.saturating_mul(7), bytes: Some(GIB) },
    },
    StreamSpec {
        name: PROPOSALS,
        subjects: &["proposal.new.*", "proposal.resolved.*"],
        keep: Keep::Young { age: DAY.saturating_mul(90), bytes: None },
    },
    StreamSpec { name: PR, subjects: &["pr.event.*.*"], keep: Keep::Work },
    StreamSpec { name: AUDIT, subjects: &["audit.*"], keep: Keep::Forever },
];

/// A work queue: the one durable consumer of a work stream, shared by all who take from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The stream.
    pub stream: &'static str,
    /// The consumer.
    pub consumer: &'static str,
    /// A job comes back when its taker has been silent for this long.
    pub ack_wait: Duration,
    /// How many jobs may be in hand at once, over all takers.
    pub max_ack_pending: i64,
    /// How often one job is given out; after that it stays where it is until somebody removes it.
    pub max_deliver: i64,
}

/// Start requests, taken by launchers.
pub const LAUNCHERS: Queue = Queue {
    stream: START,
    consumer: "launchers",
    ack_wait: Duration::from_secs(30),
    max_ack_pending: 1000,
    // The launcher ends a request that was tried too often with a `bottle.failed`; the bus must not end it silently.
    max_deliver: -1,
};

/// Forge events, taken by the dispatcher.
pub const DISPATCHER: Queue = Queue {
    stream: PR,
    consumer: "dispatcher",
    ack_wait: Duration::from_secs(30),
    max_ack_pending: 1000,
    max_deliver: -1,
};

/// A key-value bucket whose values are of one type.
#[derive(Debug, PartialEq, Eq)]
pub struct Bucket<T> {
    /// Its name.
    pub name: &'static str,
    kind: PhantomData<fn() -> T>,
}

impl<T> Bucket<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, kind: PhantomData }
    }
}

/// Bottles by slug: what exists, and who owns it.
pub const BOTTLES: Bucket<BottleRecord> = Bucket::new("bottles");
/// Current policy revisions by slug.
pub const POLICY: Bucket<PolicyRevision> = Bucket::new("policy");
/// Proposals by id.
pub const PROPOSED: Bucket<ProposalRecord> = Bucket::new("proposals");
/// Heartbeats by launcher id.
pub const LAUNCHER_BEATS: Bucket<LauncherRecord> = Bucket::new("launchers");
/// Who runs which start request, by request id.
pub const REQUESTS: Bucket<RequestClaim> = Bucket::new("requests");

/// Conversations about pull requests, by [`crate::message::pr::PrEvent::key`].
pub const PR_SESSIONS: Bucket<PrSession> = Bucket::new("pr_sessions");
/// Deliveries that were decided on, by their id.
pub const PR_DELIVERIES: Bucket<StoredDelivery> = Bucket::new("pr_deliveries");

/// A bucket and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSpec {
    /// Its name.
    pub name: &'static str,
    /// How many values of each key, the current one included.
    pub history: i64,
    /// How long an untouched value stays; none is for ever.
    pub age: Option<Duration>,
}

impl BucketSpec {
    const fn new(name: &'static str) -> Self {
        Self { name, history: 1, age: None }
    }
}

/// Every bucket.
pub const BUCKETS: &[BucketSpec] = &[
    BucketSpec::new("bottles"),
    // A revision that a sidecar refuses is followed by one with the policy that it still runs.
    BucketSpec { history: 16, ..BucketSpec::new("policy") },
    BucketSpec::new("proposals"),
    BucketSpec::new("pr_sessions"),
    BucketSpec { age: Some(DAY.saturating_mul(7)), ..BucketSpec::new("pr_deliveries") },
    BucketSpec::new("launchers"),
    // Longer than any start request can wait or run; a redelivery after that is a new request.
    BucketSpec { age: Some(DAY.saturating_mul(90)), ..BucketSpec::new("requests") },
];

/// The object store of session transcripts, each under the bottle's name (L7). They stay as long as what happened can be
/// looked up; the record of a bottle that has one stays at least as long.
pub const TRANSCRIPTS: &str = "transcripts";
/// The object store of workspaces that were uploaded for a start request (L9).
pub const WORKSPACES: &str = "workspaces";
/// The object store of environments that were committed, each under the bottle's name and the request's id (L8).
pub const COMMITS: &str = "commits";

/// An object store and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectsSpec {
    /// Its name.
    pub name: &'static str,
    /// How long an object stays.
    pub age: Duration,
    /// The size of the store; none is no limit. An object that does not fit any more is refused.
    pub bytes: Option<i64>,
}

/// Every object store.
pub const OBJECTS: &[ObjectsSpec] = &[
    ObjectsSpec { name: TRANSCRIPTS, age: REMEMBERED, bytes: None },
    // A limit would be set aside on the bus's disk from the beginning, whether or not anybody commits.
    ObjectsSpec { name: COMMITS, age: REMEMBERED, bytes: None },
    // Whoever uploads one removes it once its run is over; what was left by somebody who could not goes by itself.
    ObjectsSpec { name: WORKSPACES, age: DAY.saturating_mul(7), bytes: Some(2 * GIB) },
];

/// For how long a second publication with the same id is recognised.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// What [`crate::provision()`] creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Copies of each stream; unless given 3 on a cluster, and 1 otherwise.
    pub replicas: Option<usize>,
    /// The work queues.
    pub queues: Vec<Queue>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { replicas: None, queues: vec![LAUNCHERS, DISPATCHER] }
    }
}
