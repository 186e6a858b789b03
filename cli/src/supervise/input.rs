//! Which key is which action. What a key means depends on what it goes to: a letter is a letter in a text.

use bus::message::proposal::Scope;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::Mode;

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// One card on.
    Down,
    /// One back.
    Up,
    /// Some on.
    PageDown,
    /// Some back.
    PageUp,
    /// To the oldest.
    First,
    /// To the newest.
    Last,
    /// On in the card's text.
    ScrollDown,
    /// Back in it.
    ScrollUp,
    /// Ask how long it shall be allowed.
    Approve,
    /// Ask why not.
    Reject,
    /// Have it edited.
    Edit,
    /// Choose what is listed.
    Filter,
    /// Show the keys.
    Help,
    /// For so long.
    Choose(Scope),
    /// This much text.
    Type(String),
    /// Without the last character.
    Backspace,
    /// Without any.
    Clear,
    /// What was typed.
    Confirm,
    /// Away from here.
    Cancel,
    /// The end.
    Quit,
}

/// The keys, as help shows them.
pub const KEYS: &[(&str, &str)] = &[
    ("↓ ↑  j k", "next, previous"),
    ("PgDn PgUp", "ten on, ten back"),
    ("Home End  g G", "oldest, newest"),
    ("Space b", "on and back in the text of a long card"),
    ("a", "approve; then o once, b until the bottle exits, k keep"),
    ("m", "grant something else: edit it in $EDITOR"),
    ("r", "reject, with a reason that the agent reads"),
    ("/", "list only what contains a text; Esc lists all"),
    ("?", "these keys"),
    ("q  Ctrl-C", "quit; what waits goes on waiting"),
];

/// The action of what came from the terminal, if it is one.
#[must_use]
pub fn action(event: &Event, mode: &Mode) -> Option<Action> {
    let takes_text = matches!(mode, Mode::Filter | Mode::Reason(..));
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(*key, mode, takes_text),
        // A text that is pasted is text: none of its letters answers anything.
        Event::Paste(text) if takes_text => Some(Action::Type(text.clone())),
        _ => None,
    }
}

fn of_key(key: KeyEvent, mode: &Mode, takes_text: bool) -> Option<Action> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Some(Action::Quit),
        KeyCode::Char('u') if is_control && takes_text => return Some(Action::Clear),
        KeyCode::Esc => return Some(Action::Cancel),
        KeyCode::Enter => return Some(Action::Confirm),
        _ if is_control || key.modifiers.contains(KeyModifiers::ALT) => return None,
        _ => {}
    }
    match mode {
        Mode::Browse => browsing(key.code),
        Mode::Help => Some(Action::Cancel),
        Mode::Scope(_) => match key.code {
            KeyCode::Char('o') => Some(Action::Choose(Scope::Once)),
            KeyCode::Char('b') => Some(Action::Choose(Scope::Bottle)),
            KeyCode::Char('k') => Some(Action::Choose(Scope::Keep)),
            _ => None,
        },
        Mode::Filter | Mode::Reason(..) => match key.code {
            KeyCode::Char(typed) => Some(Action::Type(typed.to_string())),
            KeyCode::Backspace => Some(Action::Backspace),
            _ => None,
        },
    }
}

fn browsing(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Char(' ') => Action::ScrollDown,
        KeyCode::Char('b') => Action::ScrollUp,
        KeyCode::Char('a') => Action::Approve,
        KeyCode::Char('m') => Action::Edit,
        KeyCode::Char('r') => Action::Reject,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Char('q') => Action::Quit,
        _ => return None,
    })
}
