//! The bus side of the tools: proposing, waiting, withdrawing. Every wait has an end.

use std::time::Duration;

use base::clock::Clock;
use base::error::chain;
use base::id::{ProposalId, Slug};
use bus::message::Version;
use bus::message::proposal::{Content, ProposalGet, Proposed, Resolved, Standing, Taken, Withdraw};
use bus::message::revision::{PolicyGet, PolicyGetReply, PolicyRevision};
use bus::{Bus, BusError, Subscription};
use policy::{Added, EgressDelta, EgressPolicy};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::Limits;
use super::answer::Answer;
use super::delta::Wish;
use super::link::{self, Shared};
use super::memory::Memory;
use super::progress::Progress;

/// How often the supervisor is asked how a proposal stands, in case that news was lost.
const LOOK: Duration = Duration::from_secs(5);
/// When it is asked for the first time, and again while it does not know the proposal.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// How long the supervisor may take to have taken a proposal.
const TAKING: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Asking {
    bottle: Slug,
    clock: Clock,
    bus: Shared,
    limits: Limits,
    memory: Memory,
}

/// News of the bottle's proposals.
struct News {
    resolved: Subscription<Resolved>,
    taken: Subscription<Taken>,
}

/// A proposal whose answer is waited for.
struct Awaited {
    /// The id that the agent knows.
    proposal: ProposalId,
    /// The id under which it waits.
    waits_as: ProposalId,
    standing: Option<Standing>,
    /// Whether the supervisor has said that it waits.
    is_taken: bool,
    /// When the supervisor must know it: whether a person sees it is worth that wait.
    known_by: Instant,
}

impl Asking {
    pub(super) fn new(bottle: Slug, clock: Clock, bus: Shared, limits: Limits) -> Self {
        Self { bottle, clock, bus, limits, memory: Memory::default() }
    }

    /// Asks a person, and waits for the answer for a while.
    pub(super) async fn propose(&self, wish: Wish, wait: Option<Duration>, progress: Progress) -> Answer {
        let most = self.limits.proposals_a_minute;
        if !self.memory.may_propose(most, std::time::Instant::now()) {
            let why = format!(
                "this bottle has asked {most} times within a minute; wait, and ask for one thing that covers them"
            );
            return Answer::refused(&why);
        }
        let was_cut = wish.was_cut;
        let answer = match self.proposed(wish).await {
            Ok((bus, news, awaited)) => self.answer(&bus, news, awaited, wait, progress).await,
            Err(answer) => answer,
        };
        if was_cut {
            answer.and("Your justification was too long: only its beginning was kept.")
        } else {
            answer
        }
    }

    async fn proposed(&self, wish: Wish) -> Result<(Bus, News, Awaited), Answer> {
        let away = |error: &BusError| {
            tracing::warn!(error = chain(error), "nobody was asked");
            Answer::unavailable("nobody was asked")
        };
        let bus = self.bus().await.ok_or_else(|| Answer::unavailable("nobody was asked"))?;
        let base = self.policy(&bus).await.map_err(|error| away(&error))?;
        let base = base
            .ok_or_else(|| Answer::unavailable("it knows no policy of this bottle, so nobody was asked"))?;
        // Heard from before it is asked, so that no answer is missed.
        let news = News::of(&bus, &self.bottle).await.map_err(|error| away(&error))?;
        let Wish { content, justification, .. } = wish;
        let delta = if let Content::Egress(delta) = &content { Some(delta.clone()) } else { None };
        if let Some(delta) = delta.as_ref().filter(|delta| is_allowed(&base.policy, delta)) {
            return Err(Answer::allowed_already(delta));
        }
        let proposed = Proposed::new(self.bottle.clone(), content, base.revision, self.clock.now());
        let proposed = Proposed { justification: Some(justification), ..proposed };
        bus.publish_within(&proposed, self.limits.bus).await.map_err(|error| away(&error))?;
        self.memory.remember(proposed.proposal.clone(), delta);
        Ok((bus, news, Awaited::new(proposed.proposal)))
    }

    /// Waits for the answer to a proposal that was made before, by whichever sidecar of the bottle.
    pub(super) async fn wait(
        &self,
        proposal: ProposalId,
        wait: Option<Duration>,
        progress: Progress,
    ) -> Answer {
        let Some(bus) = self.bus().await else { return Answer::unavailable("the proposal waits on") };
        match News::of(&bus, &self.bottle).await {
            Ok(news) => self.answer(&bus, news, Awaited::new(proposal), wait, progress).await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "an answer cannot be waited for");
                Answer::unavailable("the proposal waits on")
            }
        }
    }

    async fn answer(
        &self,
        bus: &Bus,
        mut news: News,
        mut awaited: Awaited,
        wait: Option<Duration>,
        mut progress: Progress,
    ) -> Answer {
        let wait = wait.unwrap_or(self.limits.wait).min(self.limits.longest_wait);
        let end = Instant::now() + wait;
        // One that was just made is known from news, and one that was made before from the first look.
        let mut look = interval_at(Instant::now() + FIRST_LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let end = awaited.not_before(end);
            tokio::select! {
                resolved = news.next(&mut awaited) => match resolved {
                    Ok(Some(resolved)) => return self.resolved(&awaited, &resolved),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "news of proposals are cut off");
                        return self.unanswered(&awaited);
                    }
                },
                _ = look.tick() => {
                    self.look(bus, &mut awaited).await;
                    match &awaited.standing {
                        Some(Standing::Resolved { resolved }) => return self.resolved(&awaited, resolved),
                        Some(Standing::Unknown) if Instant::now() < awaited.known_by => look.reset_after(FIRST_LOOK),
                        Some(Standing::Unknown) if !self.memory.is_own(&awaited.proposal) => {
                            return self.unanswered(&awaited);
                        }
                        _ => {}
                    }
                }
                () = progress.due() => progress.tell("waiting for a person's answer", wait).await,
                () = sleep_until(end) => return self.unanswered(&awaited),
            }
        }
    }

    /// Asks the supervisor how it stands. One that does not answer is asked again later.
    async fn look(&self, bus: &Bus, awaited: &mut Awaited) {
        let get = ProposalGet { v: Version, bottle: self.bottle.clone(), proposal: awaited.proposal.clone() };
        if let Ok(standing) = bus.request(&get, TAKING).await {
            if let Standing::Pending { proposal, .. } = &standing {
                (awaited.waits_as, awaited.is_taken) = (proposal.clone(), true);
            }
            awaited.standing = Some(standing);
        }
    }

    fn resolved(&self, awaited: &Awaited, resolved: &Resolved) -> Answer {
        let asked = self.memory.wish(&awaited.proposal).or_else(|| self.memory.wish(&resolved.proposal));
        Answer::resolved(resolved, asked.as_ref())
    }

    /// The time is over, and nobody has answered.
    fn unanswered(&self, awaited: &Awaited) -> Answer {
        let proposal = &awaited.proposal;
        match &awaited.standing {
            Some(Standing::Pending { until, .. }) => Answer::pending(proposal, Some(*until)),
            _ if awaited.is_taken => Answer::pending(proposal, None),
            _ if self.memory.is_own(proposal) => {
                Answer::pending(proposal, None).and("The supervisor has not taken it yet, and will.")
            }
            Some(_) => unknown(proposal),
            None => Answer::unavailable("the proposal waits on"),
        }
    }

    /// Takes a proposal back.
    pub(super) async fn withdraw(&self, proposal: ProposalId) -> Answer {
        let Some(bus) = self.bus().await else { return Answer::unavailable("nothing was withdrawn") };
        let withdraw = Withdraw { v: Version, bottle: self.bottle.clone(), proposal: proposal.clone() };
        match bus.request(&withdraw, self.limits.bus).await {
            Ok(Standing::Resolved { resolved }) => self.resolved(&Awaited::new(proposal), &resolved),
            Ok(Standing::Pending { until, .. }) => {
                Answer::pending(&proposal, Some(until)).and("It is being applied and cannot be taken back.")
            }
            Ok(Standing::Unknown) => unknown(&proposal),
            Err(error) => {
                tracing::warn!(error = chain(&error), "nothing was withdrawn");
                Answer::unavailable("nothing was withdrawn")
            }
        }
    }

    /// The bottle's current policy.
    ///
    /// # Errors
    /// An answer for the agent: the supervisor does not tell.
    pub(super) async fn current(&self) -> Result<PolicyRevision, Answer> {
        let unavailable = || Answer::unavailable("its routes are not known here");
        let bus = self.bus().await.ok_or_else(unavailable)?;
        self.policy(&bus).await.ok().flatten().ok_or_else(unavailable)
    }

    async fn policy(&self, bus: &Bus) -> Result<Option<PolicyRevision>, BusError> {
        let get = PolicyGet { v: Version, bottle: self.bottle.clone() };
        Ok(match bus.request(&get, self.limits.bus).await? {
            PolicyGetReply::Found { policy } => Some(policy),
            PolicyGetReply::Unknown => None,
        })
    }

    async fn bus(&self) -> Option<Bus> {
        link::up(&self.bus, self.limits.bus).await
    }
}

/// Whether granting it would add nothing.
fn is_allowed(policy: &EgressPolicy, delta: &EgressDelta) -> bool {
    policy::grant(policy, delta).is_ok_and(|granted| granted.added == Added::Nothing)
}

fn unknown(proposal: &ProposalId) -> Answer {
    Answer::refused(&format!(
        "there is no proposal {proposal} of this bottle, or it is over for long; ask again"
    ))
}

impl Awaited {
    fn new(proposal: ProposalId) -> Self {
        let waits_as = proposal.clone();
        Self { proposal, waits_as, standing: None, is_taken: false, known_by: Instant::now() + TAKING }
    }

    fn is_it(&self, proposal: &ProposalId) -> bool {
        [&self.proposal, &self.waits_as].contains(&proposal)
    }

    /// When a wait until `end` is over.
    fn not_before(&self, end: Instant) -> Instant {
        if self.is_taken { end } else { end.max(self.known_by) }
    }
}

impl News {
    async fn of(bus: &Bus, bottle: &Slug) -> Result<Self, BusError> {
        let subjects = (format!("proposal.resolved.{bottle}"), format!("proposal.taken.{bottle}"));
        let (resolved, taken) = tokio::join!(bus.subscribe(&subjects.0), bus.subscribe(&subjects.1));
        Ok(Self { resolved: resolved?, taken: taken? })
    }

    /// The end of the awaited one; nothing for other news. Cancel-safe.
    async fn next(&mut self, awaited: &mut Awaited) -> Result<Option<Resolved>, BusError> {
        tokio::select! {
            resolved = self.resolved.next() => {
                Ok(resolved?.message.ok().filter(|resolved| awaited.is_it(&resolved.proposal)))
            }
            taken = self.taken.next() => {
                if let Ok(taken) = taken?.message && taken.proposal == awaited.proposal {
                    (awaited.waits_as, awaited.is_taken) = (taken.waits_as, true);
                }
                Ok(None)
            }
        }
    }
}
