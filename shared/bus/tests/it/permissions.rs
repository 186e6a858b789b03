//! Who may do what (invariant 4), asked of the server itself.

use std::fmt::Write as _;
use std::sync::Arc;

use async_nats::{Client, ConnectOptions, Event, ServerError};
use bus::Credentials;
use bus::role::Role;
use tokio::sync::{Mutex, mpsc};

use crate::support::{World, slug, soon};

/// A client that says exactly what it is told, without the bus crate's own checks.
pub(crate) struct Raw {
    pub(crate) client: Client,
    complaints: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Raw {
    pub(crate) async fn connect(url: &str, who: &Credentials) -> Self {
        let (sender, complaints) = mpsc::unbounded_channel();
        let seed = who.seed().clone();
        let key = Arc::new(nkeys::KeyPair::from_seed(seed.expose()).unwrap());
        let client = ConnectOptions::with_jwt(who.jwt().to_owned(), move |nonce| {
            let key = key.clone();
            async move { key.sign(&nonce).map_err(async_nats::AuthError::new) }
        })
        .custom_inbox_prefix(who.inbox())
        .event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(words)) = event {
                let _ = sender.send(words);
            }
            async {}
        })
        .connect(url)
        .await
        .unwrap();
        Self { client, complaints: Mutex::new(complaints) }
    }

    /// Whether the server complained about what was done before this call. The server works in order: what it has
    /// to say about an earlier command comes before its refusal of a subject that nobody may use.
    pub(crate) async fn complaint(&self) -> Option<String> {
        self.client.publish("fence", "".into()).await.unwrap();
        let mut complaints = self.complaints.lock().await;
        let mut first = None;
        loop {
            let words = soon("the fence", complaints.recv()).await.unwrap();
            if words.contains("Publish to \"fence\"") {
                return first;
            }
            first.get_or_insert(words);
        }
    }

    async fn may_publish(&self, subject: &str) -> bool {
        self.client.publish(subject.to_owned(), "{}".into()).await.unwrap();
        self.complaint().await.is_none()
    }

    async fn may_subscribe(&self, subject: &str) -> bool {
        let subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        let complaint = self.complaint().await;
        drop(subscription);
        complaint.is_none()
    }
}

/// Which roles may publish there and which may subscribe: admin, supervisor, launcher, dispatcher, operator, the bottle
/// `me-00000`; in that order, `-` for may not.
const TABLE: &str = "
subject                                         publish subscribe
bottle.start                                    ---do- ------
bottle.stop.me-00000                            ---do- --l---
bottle.terminal.me-00000                        ----o- --l---
bottle.started.me-00000                         --l--- -s-do-
bottle.exited.me-00000                          --l--- -s-do-
bottle.failed.r1                                --l--- -s-do-
bottle.output.me-00000                          --l--- ----o-
egress.log.me-00000                             -----b -s-do-
egress.log.you-00000                            ------ -s-do-
egress.blocked.me-00000                         -----b -s-dob
egress.blocked.you-00000                        ------ -s-do-
egress.blocked.*                                ------ -s-do-
push.accepted.me-00000                          -----b -s-do-
push.accepted.you-00000                         ------ -s-do-
push.rejected.me-00000                          -----b -s-do-
push.rejected.you-00000                         ------ -s-do-
push.else.me-00000                              ------ -s-do-
proposal.new.me-00000                           -----b -s-do-
proposal.new.you-00000                          ------ -s-do-
proposal.taken.me-00000                         -s---- -----b
proposal.taken.you-00000                        -s---- ------
proposal.get.me-00000                           -----b -s----
proposal.get.you-00000                          ------ -s----
proposal.withdraw.me-00000                      -----b -s----
proposal.withdraw.you-00000                     ------ -s----
proposal.decide                                 ----o- -s----
proposal.resolved.me-00000                      -s---- -s-dob
proposal.resolved.you-00000                     -s---- -s-do-
proposal.resolved.*                             -s---- -s-do-
policy.get.me-00000                             -----b -s----
policy.get.you-00000                            ------ -s----
policy.change                                   --l-o- -s----
policy.changed.me-00000                         -s---- ----ob
policy.changed.you-00000                        -s---- ----o-
policy.running.me-00000                         -----b -s-do-
policy.running.you-00000                        ------ -s-do-
pr.event.team_2ftools.7                         ---do- ------
audit.egress                                    -s---- -s--o-
audit.me-00000                                  -s---- -s--o-
$KV.policy.me-00000                             -s---- -s--o-
$KV.proposals.p1                                -s---- -s--o-
$KV.bottles.me-00000                            --l--- -sldo-
$KV.launchers.l1                                --l--- --l-o-
$KV.requests.r1                                 --l--- --l-o-
$KV.pr_sessions.p1                              ---d-- ---do-
$KV.pr_deliveries.d1                            ---d-- ----o-
$O.transcripts.M.eA==                           --l--- --l-o-
$O.transcripts.C.x                              --l--- --l-o-
$O.workspaces.M.eA==                            ----o- --l-o-
$O.workspaces.C.x                               ----o- --l-o-
$JS.API.STREAM.CREATE.X                         a----- ------
$JS.API.STREAM.UPDATE.AUDIT                     a----- ------
$JS.API.STREAM.DELETE.AUDIT                     a----- ------
$JS.API.STREAM.PURGE.EVENTS                     a----- ------
$JS.API.STREAM.MSG.DELETE.EVENTS                a----- ------
$JS.API.STREAM.SNAPSHOT.AUDIT                   a----- ------
$JS.API.CONSUMER.CREATE.EVENTS                  a----- ------
$JS.API.CONSUMER.CREATE.EVENTS.x.>              a----- ------
$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.x        a----- ------
$JS.API.CONSUMER.DELETE.START.launchers         a----- ------
$JS.API.CONSUMER.MSG.NEXT.START.launchers       a-l--- ------
$JS.API.CONSUMER.MSG.NEXT.PR.dispatcher         a--d-- ------
$JS.API.DIRECT.GET.START                        a----- ------
$JS.API.DIRECT.GET.EVENTS                       as-do- ------
$JS.API.DIRECT.GET.OUTPUT                       a---o- ------
$JS.API.DIRECT.GET.AUDIT                        as--o- ------
$JS.API.DIRECT.GET.KV_policy                    as--o- ------
$JS.API.DIRECT.GET.KV_bottles                   asldo- ------
$JS.API.DIRECT.GET.OBJ_transcripts              a-l-o- ------
$JS.API.DIRECT.GET.OBJ_workspaces               a-l-o- ------
$JS.ACK.START.launchers.1.1.1.1.0               --l--- ------
$JS.ACK.START.other.1.1.1.1.0                   ------ ------
$JS.ACK.PR.dispatcher.1.1.1.1.0                 ---d-- ------
_INBOX.admin.x                                  asl--- a-----
_INBOX.supervisor.x                             -sl--- -s----
_INBOX.launcher.x                               -sl--- --l---
_INBOX.dispatcher.x                             -sld-- ---d--
_INBOX.operator.x                               -sl-o- ----o-
_INBOX.me-00000.x                               -sl--b -----b
_INBOX.you-00000.x                              -sl--- ------
_INBOX.>                                        -sl--- ------
$SYS.REQ.SERVER.PING                            ------ ------
>                                               ------ ------
";

#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_nothing_else() {
    let world = World::start().await;
    let mut clients = Vec::new();
    for role in Role::ALL {
        let credentials = match role {
            Role::Bottle => world.keys.mint_bottle(&slug("me-00000"), crate::support::SOON * 10),
            role => world.keys.mint(role, None),
        };
        clients.push((role, Raw::connect(world.server.url(), &credentials.unwrap()).await));
    }
    let mut seen = format!("\n{:<47} publish subscribe\n", "subject");
    for line in TABLE.trim().lines().skip(1) {
        let subject = line.split_whitespace().next().unwrap();
        let _ = write!(seen, "{subject:<47} ");
        for (role, raw) in &clients {
            seen.push(mark(*role, raw.may_publish(subject).await));
        }
        seen.push(' ');
        for (role, raw) in &clients {
            seen.push(mark(*role, raw.may_subscribe(subject).await));
        }
        seen.push('\n');
    }
    similar_asserts(TABLE, &seen);
}

fn mark(role: Role, allowed: bool) -> char {
    if allowed { role.as_str().chars().next().unwrap_or('?') } else { '-' }
}

/// Shows only the lines that differ.
fn similar_asserts(expected: &str, seen: &str) {
    let wrong: Vec<_> = expected.lines().zip(seen.lines()).filter(|(e, s)| e != s).collect();
    assert!(
        wrong.is_empty() && expected.lines().count() == seen.lines().count(),
        "(expected, seen): {wrong:#?}"
    );
}
