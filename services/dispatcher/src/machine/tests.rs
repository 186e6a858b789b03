use std::collections::{BTreeMap, BTreeSet};

use bus::message::pr::{Actor, PrEnd, Pull};
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn event(number: i64, what: PrAction) -> PrEvent {
    PrEvent {
        v: Version,
        webhook: "team".to_owned(),
        delivery: format!("d{number}"),
        digest: format!("{number:064}").chars().rev().collect(),
        repo: "team/tools".to_owned(),
        number: 7,
        at: at(number),
        actor: Actor { login: "ann".to_owned(), is_bot: false },
        pull: Some(Pull {
            title: "t".to_owned(),
            body: String::new(),
            author: "ann".to_owned(),
            base: "main".to_owned(),
            head: "topic".to_owned(),
            head_repo: None,
            sha: format!("{number:040}"),
            is_draft: false,
            is_closed: what == PrAction::Closed,
            labels: Vec::new(),
            assignees: Vec::new(),
            clone_url: String::new(),
            updated_at: at(number),
        }),
        what,
    }
}

fn plan() -> PrPlan {
    PrPlan {
        agent: "reviewer".parse().unwrap(),
        bottles: Vec::new(),
        prompt: "Review.".to_owned(),
        clone: None,
        reference: None,
    }
}

fn run(_: &PrSession) -> Decision {
    Decision::Run(plan())
}

fn context(now: Timestamp) -> Context<'static> {
    Context { now, turns: 3, border: "border" }
}

fn slug(request: &RequestId) -> Slug {
    let tail: String = request.as_str().chars().rev().take(5).collect();
    format!("reviewer-{tail}").parse().unwrap()
}

fn ended(request: &RequestId, cannot_resume: bool) -> Ended {
    let end = PrEnd {
        reason: None,
        is_success: !cannot_resume,
        result: Some("done".to_owned()),
        failure: None,
        at: at(0),
    };
    let bottle = (!cannot_resume).then(|| slug(request));
    Ended { session: bottle.is_some().then(|| "s1".to_owned()), bottle, cannot_resume, end }
}

fn take(session: PrSession, event: &PrEvent) -> Next {
    next(session, Input::Event { event, trace: trace(event), decide: &run }, &context(event.at)).unwrap()
}

/// Of the step that works on an event; another for each.
fn trace(event: &PrEvent) -> Trace {
    let number: u64 = event.delivery[1..].parse().unwrap();
    format!("00-{:032x}-{:016x}-01", number + 1, number + 1).parse().unwrap()
}

fn end(session: PrSession) -> Next {
    let request = session.run.as_ref().unwrap().start.id.clone();
    next(session, Input::Ended { request: &request, ended: ended(&request, false) }, &context(at(9))).unwrap()
}

fn answered(session: PrSession) -> Next {
    let request = session.answers[0].start.id.clone();
    next(session, Input::Answered { request: &request }, &context(at(9))).unwrap()
}

#[test]
fn the_first_event_starts_and_later_ones_resume() {
    let first = event(1, PrAction::Opened);
    let began = take(new(&first), &first);
    assert_eq!(began.verdict, Some(Verdict::Runs));
    let [Action::Start(start, belongs), Action::Post] = began.actions.as_slice() else { panic!("{began:?}") };
    assert_eq!((start.resume.as_ref(), *belongs), (None, Some(trace(&first))));
    // Two while it runs are one run after it.
    let waits = take(began.session, &event(2, PrAction::Pushed));
    assert_eq!((waits.verdict, waits.actions.as_slice()), (Some(Verdict::Waits), &[][..]));
    let waits = take(waits.session, &event(3, PrAction::Comment { text: "look".to_owned() }));
    let over = end(waits.session);
    let run = over.session.run.as_ref().unwrap();
    assert_eq!((run.turn, run.number, run.events.len()), (2, 2, 2));
    // What waited belongs to where it came from, and not to what it waited for; also after a crash.
    let second = Some(trace(&event(2, PrAction::Pushed)));
    for actions in [over.actions.clone(), again(&over.session)] {
        let starts = |action: &Action| matches!(action, Action::Start(_, trace) if *trace == second);
        assert!(actions.iter().any(starts), "{actions:?}");
    }
    let resume = run.start.resume.as_ref().unwrap();
    assert_eq!((resume.bottle.clone(), resume.session.as_deref()), (slug(&start.id), Some("s1")));
    assert_eq!(over.session.answers.len(), 1);
    assert!(over.session.queued.is_empty());
}

#[test]
fn a_session_rotates_and_tells_what_it_knew() {
    let mut session = new(&event(1, PrAction::Opened));
    for number in 1..=4 {
        let began = take(session, &event(number, PrAction::Pushed));
        let run = began.session.run.as_ref().unwrap();
        assert_eq!(run.start.resume.is_some(), matches!(number, 2 | 3), "{number}");
        assert_eq!(run.turn, if number == 4 { 1 } else { number.unsigned_abs() });
        let task = run.start.task.as_ref().unwrap();
        assert_eq!(task.contains("| done"), number == 4, "{task}");
        assert_eq!(run.note.is_some(), number == 4);
        session = answered(end(began.session).session).session;
    }
}

#[test]
fn what_cannot_be_resumed_begins_anew_and_says_so() {
    let first = event(1, PrAction::Opened);
    let session = answered(end(take(new(&first), &first).session).session).session;
    let resumes = take(session, &event(2, PrAction::Pushed)).session;
    let mut resumes = resumes;
    let run = resumes.run.as_mut().unwrap();
    run.comment = Some(5);
    let request = run.start.id.clone();
    let mut failed = ended(&request, true);
    failed.end.failure = Some("no transcript".to_owned());
    let again = next(resumes, Input::Ended { request: &request, ended: failed }, &context(at(3))).unwrap();
    let run = again.session.run.as_ref().unwrap();
    assert_ne!(run.start.id, request);
    assert_eq!((run.start.resume.as_ref(), run.events.len(), run.comment), (None, 1, Some(5)));
    assert!(run.note.as_ref().unwrap().contains("no transcript"));
    assert!(again.session.answers.is_empty());
}

#[test]
fn closed_ends_everything_and_stays_so() {
    let first = event(1, PrAction::Opened);
    let mut session = take(new(&first), &first).session;
    let request = session.run.as_ref().unwrap().start.id.clone();
    let bottle = slug(&request);
    session = next(session, Input::Started { request: &request, bottle: &bottle }, &context(at(2)))
        .unwrap()
        .session;
    session = take(session, &event(3, PrAction::Pushed)).session;
    let closed = take(session, &event(4, PrAction::Closed));
    assert_eq!((closed.verdict, closed.actions), (Some(Verdict::Closes), vec![Action::Stop(bottle.clone())]));
    // One that begins only now is stopped as well.
    let late =
        next(closed.session, Input::Started { request: &request, bottle: &bottle }, &context(at(5))).unwrap();
    assert_eq!(late.actions, [Action::Stop(bottle)]);
    let over = end(late.session);
    assert_eq!(over.actions, [Action::Post]);
    let over = answered(over.session);
    assert!(is_over(&over.session) && over.actions.is_empty(), "{over:?}");
    for what in [PrAction::Pushed, PrAction::Opened, PrAction::Comment { text: "@x".to_owned() }] {
        let ignored = take(over.session.clone(), &event(6, what));
        assert_eq!((ignored.verdict, ignored.actions), (Some(Verdict::IsClosed), vec![]));
    }
    // Told late, after it was opened again.
    let open = take(over.session, &event(8, PrAction::Reopened));
    assert_eq!(open.verdict, Some(Verdict::Runs));
    let late = take(open.session, &event(7, PrAction::Closed));
    assert_eq!((late.verdict, late.session.state), (Some(Verdict::Outdated), PrState::Open));
}

#[test]
fn what_waits_is_bounded_and_nothing_is_lost_by_it() {
    let first = event(1, PrAction::Opened);
    let mut session = take(new(&first), &first).session;
    for number in 0..QUEUED {
        session = take(session, &event(10 + i64::try_from(number).unwrap(), PrAction::Pushed)).session;
    }
    let one_more = event(99, PrAction::Pushed);
    let full = next(
        session.clone(),
        Input::Event { event: &one_more, trace: trace(&one_more), decide: &run },
        &context(at(99)),
    );
    assert_eq!(full, Err(Full));
    session = end(session).session;
    assert_eq!(take(session, &one_more).verdict, Some(Verdict::Waits));
}

#[test]
fn an_event_that_nobody_may_is_remembered_and_starts_nothing() {
    let first = event(1, PrAction::Opened);
    let refuse = |_: &PrSession| Decision::Nothing(Verdict::NotAllowed);
    let input = Input::Event { event: &first, trace: trace(&first), decide: &refuse };
    let next = next(new(&first), input, &context(at(1))).unwrap();
    assert_eq!((next.verdict, next.actions.len(), next.session.runs), (Some(Verdict::NotAllowed), 0, 0));
    assert_eq!(next.session.noted.last().unwrap().verdict, Verdict::NotAllowed);
    assert!(is_over(&next.session));
}

/// What may happen at any time.
#[derive(Clone, Debug)]
enum Happens {
    /// One of the deliveries arrives, perhaps again.
    Delivered(usize),
    /// The launcher tells something of its n-th request, perhaps again.
    Started(usize),
    Ended(usize, bool),
    Answered,
    /// The dispatcher dies after it stored the next step's state and before it did anything.
    Dies,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..12_usize).prop_map(Happens::Delivered),
        2 => (0..8_usize).prop_map(Happens::Started),
        4 => (0..8_usize, prop::bool::weighted(0.2)).prop_map(|(n, b)| Happens::Ended(n, b)),
        3 => Just(Happens::Answered),
        2 => Just(Happens::Dies),
    ]
}

/// The world outside: what was published and what ended.
#[derive(Default)]
struct World {
    published: Vec<RequestId>,
    starts: BTreeMap<RequestId, StartRequest>,
    ended: BTreeSet<RequestId>,
    dies: bool,
}

impl World {
    fn act(&mut self, session: &PrSession, actions: Vec<Action>) {
        let actions = if std::mem::take(&mut self.dies) { again(session) } else { actions };
        for action in actions {
            if let Action::Start(start, _) = action {
                match self.starts.get(&start.id) {
                    Some(before) => assert_eq!(*before, *start, "one id is one request"),
                    None => {
                        self.published.push(start.id.clone());
                        self.starts.insert(start.id.clone(), *start);
                    }
                }
            }
        }
        let running = self.published.iter().filter(|id| !self.ended.contains(*id)).count();
        assert!(running <= 1, "two runs for one pull request");
    }
}

fn apply(session: PrSession, input: Input<'_>) -> Option<Next> {
    next(session, input, &context(at(50))).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn there_is_one_run_at_a_time_and_every_event_is_answered(
        kinds in prop::collection::vec(0..10_u8, 12),
        steps in prop::collection::vec(happens(), 0..60),
    ) {
        let deliveries: Vec<PrEvent> = kinds.iter().enumerate().map(|(index, kind)| {
            let what = match kind { 0 => PrAction::Closed, 1 => PrAction::Reopened, 2..=5 => PrAction::Pushed,
                _ => PrAction::Comment { text: "@helper".to_owned() } };
            event(i64::try_from(index).unwrap(), what)
        }).collect();
        let mut session = new(&deliveries[0]);
        let mut world = World::default();
        // Deliveries that must be answered, unless the pull request is closed before.
        let mut owed: BTreeSet<String> = BTreeSet::new();
        let mut answered: BTreeSet<String> = BTreeSet::new();
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        // At the end all that was published ends and is told.
        let tail = (0..40).flat_map(|n| [Happens::Ended(n % 24, false), Happens::Answered]);
        for step in steps.into_iter().chain(tail) {
            let before = session.clone();
            let stored = match &step {
                Happens::Delivered(n) => {
                    let event = &deliveries[*n];
                    let stored = apply(session, Input::Event { event, trace: trace(event), decide: &run });
                    match stored.as_ref().and_then(|next| next.verdict) {
                        Some(Verdict::Runs | Verdict::Waits) => {
                            *verdicts.entry(event.delivery.clone()).or_default() += 1;
                            owed.insert(event.delivery.clone());
                        }
                        Some(Verdict::Closes) => {
                            for queued in &before.queued { owed.remove(&queued.event.delivery); }
                        }
                        _ => {}
                    }
                    stored
                }
                Happens::Started(n) => match world.published.get(*n) {
                    Some(id) => apply(session, Input::Started { request: &id.clone(), bottle: &slug(id) }),
                    None => None,
                },
                Happens::Ended(n, cannot) => match world.published.get(*n).cloned() {
                    Some(id) => {
                        // Only a resuming run fails for its session.
                        let cannot = *cannot && world.starts[&id].resume.is_some() && !world.ended.contains(&id);
                        world.ended.insert(id.clone());
                        apply(session, Input::Ended { request: &id, ended: ended(&id, cannot) })
                    }
                    None => None,
                },
                Happens::Answered => {
                    let Some(turn) = session.answers.first().cloned() else { continue };
                    answered.extend(turn.events.iter().map(|queued| queued.event.delivery.clone()));
                    apply(session, Input::Answered { request: &turn.start.id })
                }
                Happens::Dies => { world.dies = true; continue; }
            };
            session = match stored {
                Some(next) => {
                    if before.state == PrState::Closed && next.session.state == PrState::Closed {
                        let starts = next.actions.iter().any(|action| matches!(action, Action::Start(..)));
                        prop_assert!(!starts, "closed stays closed");
                    }
                    world.act(&next.session, next.actions);
                    next.session
                }
                None => before,
            };
        }
        prop_assert!(session.run.is_none() && session.queued.is_empty() && session.answers.is_empty(), "{:?}", session);
        for delivery in &owed {
            prop_assert!(answered.contains(delivery), "{delivery} was never answered");
        }
        prop_assert!(verdicts.values().all(|count| *count == 1), "a delivery counted twice");
    }
}
