//! What is on the screen, and what a key or a message does to it. Pure: no terminal, no bus, no clock.

mod deck;

use std::collections::{HashMap, HashSet};

use base::id::{ProposalId, Slug};
use bus::Change;
use bus::message::proposal::{
    DecideReply, Edited, ProposalKind, ProposalRecord, ProposalState, Scope, Verdict,
};
use bus::message::revision::PolicyRevision;

pub use deck::{Card, Deck};

use super::input::Action;
use crate::deciding::edit::{Edit, editable};
use crate::deciding::{Answer, Line, answer};

/// Cards that one press of a page key passes over, and lines of a text.
const PAGE: usize = 10;
/// Characters of a filter or a reason.
const LONGEST: usize = 1000;

/// What the keys go to.
#[derive(Debug, Default)]
pub enum Mode {
    /// The list.
    #[default]
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
#[derive(Debug, Default)]
pub struct State {
    /// The proposals that wait.
    pub deck: Deck,
    /// What the keys go to.
    pub mode: Mode,
    /// How far the card's text is scrolled.
    pub scroll: usize,
    /// What happened last.
    pub note: Option<Note>,
    /// Whether the bus is away.
    pub is_away: bool,
    policies: HashMap<Slug, PolicyRevision>,
    answering: HashSet<ProposalId>,
    /// Entries that another release wrote.
    unreadable: HashSet<String>,
}

// What is shown.
impl State {
    /// How many entries cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// The selected card, its bottle's policy, and whether an answer to it is on its way.
    #[must_use]
    pub fn card(&self) -> Option<(&Card, Option<&PolicyRevision>, bool)> {
        let card = self.deck.selected()?;
        let record = &card.record;
        Some((card, self.policies.get(&record.bottle), self.answering.contains(&record.proposal)))
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
        if !matches!(record.state, ProposalState::Pending { .. }) {
            self.close(&record.proposal, "an approval of it is being applied");
        }
        self.deck.put(record);
    }

    fn remove(&mut self, proposal: &ProposalId) {
        self.deck.remove(proposal);
        self.close(proposal, "it ended meanwhile");
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
            Mode::Browse => self.browse(&action),
            Mode::Help => None,
            Mode::Filter => {
                self.filter(action);
                None
            }
            Mode::Scope(question) => self.scope(question, &action),
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

    fn browse(&mut self, action: &Action) -> Option<Effect> {
        match action {
            Action::Down => self.moved(|deck| deck.on(1)),
            Action::Up => self.moved(|deck| deck.back(1)),
            Action::PageDown => self.moved(|deck| deck.on(PAGE)),
            Action::PageUp => self.moved(|deck| deck.back(PAGE)),
            Action::First => self.moved(|deck| deck.select(0)),
            Action::Last => self.moved(|deck| deck.select(usize::MAX)),
            Action::ScrollDown => self.scroll += PAGE / 2,
            Action::ScrollUp => self.scroll = self.scroll.saturating_sub(PAGE / 2),
            Action::Filter => self.mode = Mode::Filter,
            Action::Help => self.mode = Mode::Help,
            Action::Cancel => self.deck.refilter(String::new()),
            Action::Approve => self.ask(|question| {
                if question.current.is_none() {
                    return Err("the bottle has no policy any more: it can only be rejected".to_owned());
                }
                Ok(Mode::Scope(question))
            }),
            Action::Reject => self.ask(|question| Ok(Mode::Reason(question, Choice::Reject, String::new()))),
            Action::Edit => return self.edit(),
            _ => {}
        }
        None
    }

    fn moved(&mut self, to: impl FnOnce(&mut Deck)) {
        to(&mut self.deck);
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
            _ if question.current.is_none() => {
                Err("the bottle has no policy any more: it can only be rejected".to_owned())
            }
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
        let mut text = self.deck.filter().to_owned();
        match action {
            Action::Confirm => return self.mode = Mode::Browse,
            Action::Cancel => {
                self.mode = Mode::Browse;
                text.clear();
            }
            other => type_into(&mut text, other),
        }
        self.deck.refilter(text);
    }

    fn scope(&mut self, question: Box<Question>, action: &Action) -> Option<Effect> {
        match action {
            Action::Choose(scope) if scopes(&question).contains(scope) => {
                let choice = Choice::Grant(*scope);
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

    fn reason(
        &mut self,
        question: Box<Question>,
        choice: Choice,
        mut text: String,
        action: Action,
    ) -> Option<Effect> {
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
        (Some(Edit { edited: Edited::Route { .. }, .. }), _) | (_, ProposalKind::Capability) => {
            &[Scope::Bottle]
        }
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
    let approved = crate::deciding::preview::approval(&question.record, &current.policy);
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
