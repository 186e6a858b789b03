//! What is shown, what is typed, and which one is meant. Pure.

use base::id::AgentName;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One that can be picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The agent; a bottle's name is one that an agent could have.
    pub name: AgentName,
    /// A line about it, or what is wrong with it. Inert.
    pub about: String,
    /// It cannot be started.
    pub is_broken: bool,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// One on.
    Down,
    /// One back.
    Up,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// This one.
    Enter,
    /// None.
    Escape,
    /// One sign less.
    Backspace,
    /// No signs.
    Clear,
    /// One sign more.
    Type(char),
}

impl Key {
    /// What a key of the terminal means here.
    #[must_use]
    pub fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        if event.modifiers.contains(KeyModifiers::CONTROL) {
            return match event.code {
                KeyCode::Char('c' | 'd') => Some(Self::Escape),
                KeyCode::Char('n') => Some(Self::Down),
                KeyCode::Char('p') => Some(Self::Up),
                KeyCode::Char('u') => Some(Self::Clear),
                _ => None,
            };
        }
        match event.code {
            KeyCode::Down | KeyCode::Tab => Some(Self::Down),
            KeyCode::Up | KeyCode::BackTab => Some(Self::Up),
            KeyCode::Home => Some(Self::First),
            KeyCode::End => Some(Self::Last),
            KeyCode::Enter => Some(Self::Enter),
            KeyCode::Esc => Some(Self::Escape),
            KeyCode::Backspace => Some(Self::Backspace),
            KeyCode::Char(sign) if !sign.is_control() => Some(Self::Type(sign)),
            _ => None,
        }
    }
}

/// What a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The list is there still.
    Stay,
    /// The person leaves.
    Leave,
    /// This one.
    Pick(AgentName),
}

/// The longest text that is looked for.
const LONGEST: usize = 50;

/// The list.
#[derive(Clone, Debug)]
pub struct Picker {
    /// What is asked.
    pub(super) question: &'static str,
    entries: Vec<Entry>,
    /// What is looked for.
    pub(super) filter: String,
    /// The place of the one that is meant, among those that are shown.
    pub(super) chosen: usize,
    /// The first that is on the screen.
    pub(super) top: usize,
    /// Why nothing was picked.
    pub(super) note: Option<&'static str>,
}

impl Picker {
    /// A list of these below a question.
    #[must_use]
    pub fn new(question: &'static str, entries: Vec<Entry>) -> Self {
        Self { question, entries, filter: String::new(), chosen: 0, top: 0, note: None }
    }

    /// Those whose name or line has every word that was typed.
    pub fn shown(&self) -> impl Iterator<Item = &Entry> {
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        self.entries.iter().filter(move |entry| {
            let text = format!("{} {}", entry.name, entry.about.to_lowercase());
            words.iter().all(|word| text.contains(word))
        })
    }

    /// The one that is meant.
    #[must_use]
    pub fn meant(&self) -> Option<&Entry> {
        self.shown().nth(self.chosen)
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Step {
        self.note = None;
        let last = self.shown().count().saturating_sub(1);
        match key {
            Key::Down => self.chosen = (self.chosen + 1).min(last),
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::First => self.chosen = 0,
            Key::Last => self.chosen = last,
            Key::Escape => return Step::Leave,
            Key::Enter => match self.meant() {
                Some(entry) if !entry.is_broken => return Step::Pick(entry.name.clone()),
                Some(_) => self.note = Some("it is broken: `bot-bottle edit` repairs it"),
                None => self.note = Some("nothing has these words"),
            },
            Key::Backspace => drop(self.filter.pop()),
            Key::Clear => self.filter.clear(),
            Key::Type(sign) if self.filter.chars().count() < LONGEST => self.filter.push(sign),
            Key::Type(_) => {}
        }
        if matches!(key, Key::Backspace | Key::Clear | Key::Type(_)) {
            self.chosen = 0;
        }
        Step::Stay
    }
}
