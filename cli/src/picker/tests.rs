//! The list without a terminal.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::view;
use super::{Entry, Key, Picker, Step};

fn entries() -> Vec<Entry> {
    [
        ("reviewer", "Reviews pull requests.", false),
        ("broken", "3:1: unknown key", true),
        ("writer", "Writes", false),
    ]
    .map(|(name, about, is_broken)| Entry { name: name.parse().unwrap(), about: about.to_owned(), is_broken })
    .to_vec()
}

fn screen(picker: &mut Picker) -> String {
    let mut terminal = Terminal::new(TestBackend::new(50, 5)).unwrap();
    terminal.draw(|frame| view::draw(frame, picker)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn it_is_filtered_walked_through_and_picked_from() {
    let mut picker = Picker::new("start which agent? ", entries());
    insta::assert_snapshot!(screen(&mut picker), @r#"
    "start which agent?                                "
    "> reviewer  Reviews pull requests.                "
    "  broken    broken: 3:1: unknown key              "
    "  writer    Writes                                "
    "type to look for one   ↓ ↑ Enter   Esc leaves     "
    "#);
    assert_eq!(picker.press(Key::Down), Step::Stay);
    assert_eq!(picker.press(Key::Enter), Step::Stay);
    assert!(screen(&mut picker).contains("it is broken"));
    for sign in "WRIT".chars() {
        picker.press(Key::Type(sign));
    }
    assert_eq!(picker.shown().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["writer"]);
    assert_eq!(picker.press(Key::Enter), Step::Pick("writer".parse().unwrap()));
    picker.press(Key::Type('x'));
    assert_eq!(picker.press(Key::Enter), Step::Stay);
    assert!(screen(&mut picker).contains("nothing has these words"));
    picker.press(Key::Clear);
    assert_eq!(picker.shown().count(), 3);
    assert_eq!(picker.press(Key::Escape), Step::Leave);
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Down),
        Just(Key::Up),
        Just(Key::First),
        Just(Key::Last),
        Just(Key::Enter),
        Just(Key::Backspace),
        Just(Key::Clear),
        any::<char>().prop_filter("a sign", |c| !c.is_control()).prop_map(Key::Type),
        prop::sample::select(vec!['w', 'r', ' ']).prop_map(Key::Type),
    ]
}

proptest! {
    #[test]
    fn what_is_meant_is_shown_and_nothing_broken_is_picked(keys in prop::collection::vec(key(), 0..60)) {
        let mut picker = Picker::new("start which agent? ", entries());
        for key in keys {
            if let Step::Pick(name) = picker.press(key) {
                prop_assert_ne!(name.as_str(), "broken");
            }
            prop_assert_eq!(picker.meant().is_some(), picker.shown().count() > 0);
            screen(&mut picker);
        }
    }
}
