//! What is on the screen, and what a key or a message does to it. Pure: no terminal, no bus, no clock.

use std::collections::{HashMap, HashSet};

use base::id::{ProposalId, Slug};
use bus::Change;
use bus::message::proposal::{DecideReply, Edited, ProposalKind, ProposalRecord, ProposalState, Scope, Verdict};
use bus::message::revision::PolicyRevision;
use jiff::Timestamp;

use super::input::Action;
use crate::deciding::edit::{Edit, editable};
use crate::deciding::{Answer, Line, answer, card};

/// Cards that one press of a page key passes over, and lines of a text.
const PAGE: usize = 10;
/// Characters of a filter or a reason.
const LONGEST: usize = 1000;

/// Where a card stands in the list: oldest first.
type Place = (Timestamp, ProposalId);

/// A proposal that waits, prepared when it comes, so that moving over a thousand of them reads none.
#[derive(Debug)]
pub struct Card {
    /// It.
    pub record: ProposalRecord,
    /// What it asks for, in one line; inert.
    pub summary: String,
    /// What a filter looks into, in lower case.
    text: String,
}

impl Card {
    fn new(record: ProposalRecord) -> Self {
        let summary = card::summary(&record.content);
        let kind = record.content.kind().as_str();
        let text = format!("{} {} {kind} {summary}", record.proposal, record.bottle).to_lowercase();
        Self { record, summary, text }
    }
}

/// What the keys go to.
#[derive(Debug)]
pub enum Mode {
    /// The list.
    Browse,
    /// The filter's text.
    Filter,
    /// The page of keys.
    Help,
    /// For how long an approval holds. Nothing is chosen until a key names it.
    Scope(Box<Question>),
    /// Why.
    Reason(Box<Question>, Choice, String),
}

/// What an answer is asked for, exactly as it was on the screen then.
#[derive(Clone, Debug)]
pub struct Question {
    /// The proposal.
    pub record: ProposalRecord,
    /// The bottle's policy.
    pub current: Option<PolicyRevision>,
    /// What is granted instead, if it was edited.
    pub edit: Option<Edit>,
}

/// The answer that a reason is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Yes, for so long.
    Grant(Scope),
    /// No.
    Reject,
}

/// Something that happened, until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it is what was wanted.
    pub good: bool,
    /// What; inert.
    pub lines: Vec<String>,
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// End.
    Quit,
    /// Give this answer.
    Answer(Box<Answer>),
    /// Have this edited.
    Edit(Box<Question>),
}

/// Everything that is shown.
#[derive(Debug)]
pub struct State {
    cards: HashMap<ProposalId, Card>,
    policies: HashMap<Slug, PolicyRevision>,
    /// What the filter lets through.
    order: Vec<Place>,
    selected: Option<Place>,
    /// Where the selection is, or was when its card went.
    at: usize,
    /// Whether a card was ever selected.
    begun: bool,
    /// What the list is filtered by.
    pub filter: String,
    /// What the keys go to.
    pub mode: Mode,
    /// How far the card's text is scrolled.
    pub scroll: usize,
    /// What happened last.
    pub note: Option<Note>,
    /// Whether the bus is away.
    pub is_away: bool,
    answering: HashSet<ProposalId>,
    /// Entries that another release wrote.
    unreadable: HashSet<String>,
    looked_at: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            cards: HashMap::new(),
            policies: HashMap::new(),
            order: Vec::new(),
            selected: None,
            at: 0,
            begun: false,
            filter: String::new(),
            mode: Mode::Browse,
            scroll: 0,
            note: None,
            is_away: false,
            answering: HashSet::new(),
            unreadable: HashSet::new(),
            looked_at: 0,
        }
    }
}

// What is shown.
impl State {
    /// How many cards wait, and of how many bottles.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let bottles: HashSet<_> = self.cards.values().map(|card| &card.record.bottle).collect();
        (self.cards.len(), bottles.len())
    }

    /// How many of them the filter lets through.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.order.len()
    }

    /// How many entries cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// The cards that fit on so many rows around the selection, and whether each is selected.
    pub fn rows(&self, height: usize) -> impl Iterator<Item = (&Card, bool)> {
        let last = self.order.len().saturating_sub(height);
        let top = self.at.saturating_sub(height / 2).min(last);
        let places = self.order.iter().skip(top).take(height);
        places.filter_map(|place| {
            Some((self.cards.get(&place.1)?, self.selected.as_ref() == Some(place)))
        })
    }

    /// The selected card, its bottle's policy, and whether an answer to it is on its way.
    #[must_use]
    pub fn card(&self) -> Option<(&Card, Option<&PolicyRevision>, bool)> {
        let (_, proposal) = self.selected.as_ref()?;
        let card = self.cards.get(proposal)?;
        Some((card, self.policies.get(&card.record.bottle), self.answering.contains(proposal)))
    }

    /// How many cards have been read to find out what to show. Moving over the list adds nothing to it.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        self.looked_at
    }
}

// What comes from the bus.
impl State {
    /// A proposal came, changed or went.
    pub fn proposal(&mut self, change: Change<ProposalRecord>) {
        let Change { key, value } = change;
        self.unreadable.remove(&key);
        match value {
            Some(Ok(value)) if value.value.is_open() => self.put(value.value),
            Some(Ok(value)) => self.remove(&value.value.proposal),
            Some(Err(_)) => drop(self.unreadable.insert(key)),
            None => {
                if let Ok(proposal) = key.parse() {
                    self.remove(&proposal);
                }
            }
        }
    }

    /// A policy came, changed or went.
    pub fn policy(&mut self, change: Change<PolicyRevision>) {
        match (change.key.parse(), change.value) {
            (Ok(bottle), Some(Ok(value))) => drop(self.policies.insert(bottle, value.value)),
            (Ok(bottle), _) => drop(self.policies.remove::<Slug>(&bottle)),
            (Err(_), _) => {}
        }
    }

    /// An answer was replied to; the error is inert.
    pub fn answered(&mut self, proposal: &ProposalId, reply: Result<DecideReply, String>) {
        self.answering.remove(proposal);
        self.note = Some(match reply.map(|reply| answer::told(&reply)) {
            Ok(told) => {
                let first = format!("{proposal} {}", told.text);
                Note { good: told.done, lines: [first].into_iter().chain(told.differs).collect() }
            }
            Err(why) => Note { good: false, lines: vec![format!("{proposal}: {why}")] },
        });
    }

    fn put(&mut self, record: ProposalRecord) {
        let place = (record.first, record.proposal.clone());
        let is_pending = matches!(record.state, ProposalState::Pending { .. });
        if !is_pending {
            self.close(&record.proposal, "an approval of it is being applied");
        }
        let card = Card::new(record);
        self.looked_at += 1;
        let is_shown = card.text.contains(&self.filter.to_lowercase());
        // An equal request counts up; when it was first asked for never changes.
        self.cards.insert(place.1.clone(), card);
        match self.order.binary_search(&place) {
            Err(index) if is_shown => {
                self.order.insert(index, place);
                if self.selected.is_some() && index <= self.at {
                    self.at += 1;
                }
            }
            Ok(index) if !is_shown => self.take_out(index),
            _ => {}
        }
        if !self.begun && !self.order.is_empty() {
            self.select(0);
        }
    }

    fn remove(&mut self, proposal: &ProposalId) {
        let Some(card) = self.cards.remove(proposal) else { return };
        if let Ok(index) = self.order.binary_search(&(card.record.first, proposal.clone())) {
            self.take_out(index);
        }
        if !self.answering.contains(proposal) {
            self.close(proposal, "it ended meanwhile");
        }
    }

    /// A selection whose card goes does not move on by itself: the next key would answer what nobody has looked at.
    fn take_out(&mut self, index: usize) {
        let place = self.order.remove(index);
        if self.selected.as_ref() == Some(&place) {
            self.selected = None;
        }
        if index < self.at {
            self.at -= 1;
        }
    }

    /// Closes the question about a proposal, if one is open.
    fn close(&mut self, proposal: &ProposalId, why: &str) {
        let (Mode::Scope(asked) | Mode::Reason(asked, ..)) = &self.mode else { return };
        if asked.record.proposal == *proposal {
            self.mode = Mode::Browse;
            self.note = Some(Note { good: false, lines: vec![format!("{proposal}: {why}")] });
        }
    }
}

// What the keys do.
impl State {
    /// Does what a key says.
    pub fn act(&mut self, action: Action) -> Option<Effect> {
        if action == Action::Quit {
            return Some(Effect::Quit);
        }
        self.note = None;
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => self.browse(action),
            Mode::Help => None,
            Mode::Filter => {
                self.filter(action);
                None
            }
            Mode::Scope(question) => self.scope(question, action),
            Mode::Reason(question, choice, text) => self.reason(question, choice, text, action),
        }
    }

    /// An edit came back. The problem is inert.
    pub fn edited(&mut self, question: Question, edit: Result<Option<Edit>, String>) {
        let bad = |text: String| Some(Note { good: false, lines: vec![text] });
        match edit {
            Ok(Some(edit)) => self.mode = Mode::Scope(Box::new(Question { edit: Some(edit), ..question })),
            Ok(None) => self.note = bad("nothing was changed, and so nothing is decided".to_owned()),
            Err(why) => self.note = bad(why),
        }
    }

    fn browse(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Down => self.select(self.at + usize::from(self.selected.is_some())),
            Action::Up => self.select(self.at.saturating_sub(1)),
            Action::PageDown => self.select(self.at + PAGE),
            Action::PageUp => self.select(self.at.saturating_sub(PAGE)),
            Action::First => self.select(0),
            Action::Last => self.select(usize::MAX),
            Action::ScrollDown => self.scroll += PAGE / 2,
            Action::ScrollUp => self.scroll = self.scroll.saturating_sub(PAGE / 2),
            Action::Filter => self.mode = Mode::Filter,
            Action::Help => self.mode = Mode::Help,
            Action::Cancel => self.refilter(String::new()),
            Action::Approve => self.ask(|question| match question.record.content.kind() {
                ProposalKind::Capability => Err("no backend builds images yet: it can only be rejected".to_owned()),
                _ if question.current.is_none() => Err("the bottle has no policy any more: it can only be rejected".to_owned()),
                _ => Ok(Mode::Scope(question)),
            }),
            Action::Reject => self.ask(|question| Ok(Mode::Reason(question, Choice::Reject, String::new()))),
            Action::Edit => return self.edit(),
            _ => {}
        }
        None
    }

    fn select(&mut self, index: usize) {
        self.at = index.min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.at).cloned();
        self.begun |= self.selected.is_some();
        self.scroll = 0;
    }

    /// The selected card as a question, unless it cannot be answered now.
    fn question(&self) -> Result<Box<Question>, String> {
        let (card, current, answering) = self.card().ok_or("select a proposal first")?;
        if answering {
            return Err("an answer to it is on its way".to_owned());
        }
        if !matches!(card.record.state, ProposalState::Pending { .. }) {
            return Err("an approval of it is being applied".to_owned());
        }
        Ok(Box::new(Question { record: card.record.clone(), current: current.cloned(), edit: None }))
    }

    fn ask(&mut self, mode: impl FnOnce(Box<Question>) -> Result<Mode, String>) {
        match self.question().and_then(mode) {
            Ok(mode) => self.mode = mode,
            Err(why) => self.note = Some(Note { good: false, lines: vec![why] }),
        }
    }

    fn edit(&mut self) -> Option<Effect> {
        let asked = self.question().and_then(|question| match editable(&question.record) {
            _ if question.current.is_none() => Err("the bottle has no policy any more: it can only be rejected".to_owned()),
            Ok(_) => Ok(question),
            Err(error) => Err(error.to_string()),
        });
        match asked {
            Ok(question) => Some(Effect::Edit(question)),
            Err(why) => {
                self.note = Some(Note { good: false, lines: vec![why] });
                None
            }
        }
    }

    fn filter(&mut self, action: Action) {
        self.mode = Mode::Filter;
        let mut text = self.filter.clone();
        match action {
            Action::Confirm => return self.mode = Mode::Browse,
            Action::Cancel => {
                self.mode = Mode::Browse;
                text.clear();
            }
            other => type_into(&mut text, other),
        }
        self.refilter(text);
    }

    fn refilter(&mut self, filter: String) {
        if filter == self.filter {
            return;
        }
        self.filter = filter;
        let wanted = self.filter.to_lowercase();
        self.looked_at += self.cards.len() as u64;
        let shown = self.cards.values().filter(|card| card.text.contains(&wanted));
        self.order = shown.map(|card| (card.record.first, card.record.proposal.clone())).collect();
        self.order.sort_unstable();
        let found = self.selected.as_ref().map(|place| self.order.binary_search(place));
        match found {
            Some(Ok(index)) => self.at = index,
            _ => (self.selected, self.at) = (None, 0),
        }
    }

    fn scope(&mut self, question: Box<Question>, action: Action) -> Option<Effect> {
        match action {
            Action::Choose(scope) if scopes(&question).contains(&scope) => {
                let choice = Choice::Grant(scope);
                if question.record.content.kind().is_about_a_secret() {
                    self.mode = Mode::Reason(question, choice, String::new());
                    return None;
                }
                Some(self.give(*question, choice, ""))
            }
            // A question is left by saying so, or by its return key, which never approves.
            Action::Cancel | Action::Confirm => None,
            _ => {
                self.mode = Mode::Scope(question);
                None
            }
        }
    }

    fn reason(&mut self, question: Box<Question>, choice: Choice, mut text: String, action: Action) -> Option<Effect> {
        match action {
            Action::Cancel => return None,
            Action::Confirm if choice == Choice::Reject || !text.trim().is_empty() => {
                return Some(self.give(*question, choice, &text));
            }
            Action::Confirm => {
                let lines = vec!["it is about a secret: say why it may leave".to_owned()];
                self.note = Some(Note { good: false, lines });
            }
            other => type_into(&mut text, other),
        }
        self.mode = Mode::Reason(question, choice, text);
        None
    }

    fn give(&mut self, question: Question, choice: Choice, reason: &str) -> Effect {
        let Question { record, current, edit } = question;
        let verdict = match (choice, edit) {
            (Choice::Reject, _) => Verdict::Reject,
            (Choice::Grant(scope), None) => Verdict::Approve { scope },
            (Choice::Grant(scope), Some(edit)) => Verdict::Modify { scope, edited: edit.edited },
        };
        self.answering.insert(record.proposal.clone());
        Effect::Answer(Box::new(Answer::new(record, current.as_ref(), verdict, reason)))
    }
}

/// For how long an approval may hold.
#[must_use]
pub fn scopes(question: &Question) -> &'static [Scope] {
    match (&question.edit, question.record.content.kind()) {
        (Some(Edit { edited: Edited::Route { .. }, .. }), _) => &[Scope::Bottle],
        (_, ProposalKind::Egress) => &[Scope::Once, Scope::Bottle, Scope::Keep],
        _ => &[Scope::Once, Scope::Bottle],
    }
}

/// What an approval changes.
#[must_use]
pub fn effect(question: &Question) -> Vec<Line> {
    if let Some(edit) = &question.edit {
        return edit.effect.clone();
    }
    let Some(current) = &question.current else { return Vec::new() };
    let approved = crate::deciding::preview::approval(&question.record.content, &current.policy);
    approved.unwrap_or_else(|why| vec![Line::Warning(why)])
}

fn type_into(text: &mut String, action: Action) {
    match action {
        Action::Type(typed) => {
            let room = LONGEST.saturating_sub(text.chars().count());
            text.extend(typed.chars().filter(|c| !c.is_control()).take(room));
        }
        Action::Backspace => drop(text.pop()),
        Action::Clear => text.clear(),
        _ => {}
    }
}
