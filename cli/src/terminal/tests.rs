//! What a hostile program can make a terminal do: nothing that is not listed.

use proptest::prelude::*;

use super::filter::{Filter, LONGEST};

fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut filter, mut passed) = (Filter::default(), Vec::new());
    pieces.iter().for_each(|piece| filter.push(piece, &mut passed));
    passed
}

#[test]
fn what_draws_passes_as_it_is() {
    for drawn in [
        "plain text\r\n\ttab\u{8}\u{7} é 漢字 👩‍💻",
        "\x1b[1;31mred\x1b[38;2;1;2;3m\x1b[48:5:7m\x1b[4:3m\x1b[0m",
        "\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[3A\x1b[5r\x1b[2S\x1b[2T\x1b[4h\x1b[4l",
        "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1000h\x1b[?1006h\x1b[?2026h\x1b[?2026l",
        "\x1b7\x1b8\x1bM\x1b=\x1b>\x1b(0\x1b(B\x0e\x0f\x1b#8\x1bc",
        "\x1b[5 q\x1b[!p\x1b[>4;2m\x1b[>1u\x1b[=3;1u\x1b[<u",
        // Questions whose answers are numbers.
        "\x1b[c\x1b[>c\x1b[6n\x1b[5n\x1b[?6n\x1b[?u\x1b[?2026$p\x1b[14t\x1b[18t\x1b]11;?\x1b\\",
    ] {
        assert_eq!(String::from_utf8(filtered(&[drawn.as_bytes()])).unwrap(), drawn);
    }
    assert_eq!(filtered(&[b"\x1b]10;?\x07"]), b"\x1b]10;?\x1b\\");
    assert_eq!(filtered(&[b"\x1b[?25;1049;3l"]), b"\x1b[?25l\x1b[?1049l");
}

#[test]
fn what_is_none_of_its_business_does_not_pass() {
    for hostile in [
        "\x1b]52;c;ZXZpbA==\x07", // writes the clipboard
        "\x1b]52;c;?\x1b\\",      // reads it
        "\x1b]0;title\x07",
        "\x1b]2;title\x1b\\",
        "\x1b[22;0t",
        "\x1b[23t",
        "\x1b[21t",
        "\x1b[20t",
        "\x1b[>2t",
        "\x1b]8;;https://evil.example/\x1b\\", // links under another text
        "\x1b]4;1;rgb:00/00/00\x07",
        "\x1b]10;#000000\x07",
        "\x1b]104\x07",
        "\x1b]50;font\x07",
        "\x1b]7;file:///etc\x07",
        "\x1b]9;note\x07",
        "\x1b]777;notify;a;b\x07",
        "\x1b]1337;File=:AAAA\x07",
        "\x1b]133;A\x07",
        "\x1bP$qm\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
        "\x1bPq#0~\x1b\\",
        "\x1b_Gt=f,f=100;L2V0Yy9wYXNzd2Q=\x1b\\", // shows a file of the operator's
        "\x1b^private\x1b\\",
        "\x1bXstring\x1b\\",
        "\x05", // the answerback
        "\x1bZ",
        "\x1b[=c",
        "\x1b[x",
        "\x1b[?15n",
        "\x1b[1;1;1;1;1;1*y",
        "\x1b[1$w",
        "\x1b[&w",
        "\x1b[i",
        "\x1b[5i",
        "\x1b[?5i", // prints
        "\x1b[2h",
        "\x1b[12h",
        "\x1b[?2l",
        "\x1b[?3h",
        "\x1b[?8l",
        "\x1b[?9001h",
        "\x1b[1;2;3;4;5T",
        "\x1b[8;9;9t",
        "\x1b[3t",
        "\x1b[2q",
        "\x1b[62\"p",
        "\x1b%G",
        "\x1b%@",
        "\x1b F",
        "\x1b G",
        "\x1bN",
        "\x1bO",
        "\x1bn",
        "\u{9b}31m\u{9d}52;c;eA==\u{9c}", // the same in one character each
        "\x1b[1;2;3;999999m",
        "\x1b[<u",
        "\x1b[<9u", // what it did not put there
        "\x00\x01\x11\x13\x7f",
    ] {
        let passed = filtered(&[hostile.as_bytes()]);
        let shown = String::from_utf8(passed).unwrap();
        assert!(!shown.contains(['\x1b', '\x07', '\u{9b}', '\u{9d}']), "{hostile:?} became {shown:?}");
        assert_eq!(
            filtered(&[hostile.as_bytes(), b"after"]).strip_suffix(b"after").map(<[u8]>::to_vec),
            Some(shown.into_bytes()),
            "{hostile:?} holds up what follows"
        );
    }
    // In bytes that are no UTF-8.
    assert_eq!(filtered(&[b"\x9b31m\x9d52;c;eA==\x9c"]), "\u{fffd}31m\u{fffd}52;c;eA==\u{fffd}".as_bytes());
}

#[test]
fn what_is_too_long_is_dropped_and_ends() {
    let long = "x".repeat(100 * LONGEST);
    for (begin, end) in [("\x1b]52;c;", "\x07"), ("\x1b]2;", "\x1b\\"), ("\x1bP", "\x1b\\")] {
        assert_eq!(filtered(&[format!("{begin}{long}{end}after").as_bytes()]), b"after");
    }
    let long = "1;".repeat(LONGEST);
    assert_eq!(filtered(&[format!("\x1b[{long}mafter").as_bytes()]), b"after");
}

#[test]
fn the_kind_of_terminal_is_answered_by_this_program() {
    let (mut filter, mut passed) = (Filter::default(), Vec::new());
    filter.push(b"\x1b[>0q\x1b[6n", &mut passed);
    assert_eq!((passed.as_slice(), filter.questions(), filter.questions()), (b"\x1b[6n".as_slice(), 1, 0));
    let answer = filter.answers();
    assert!(answer.starts_with(b"\x1bP>|bot-bottle ") && answer.ends_with(b"\x1b\\"));
    assert!(filter.answers().is_empty());
}

#[test]
fn nobody_is_asked_about_the_past_and_its_modes_are_known() {
    let (mut filter, mut passed) = (Filter::of_the_past(), Vec::new());
    filter.push(b"\x1b[6n\x1b]11;?\x07\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[?25l\x1b[?1006hx", &mut passed);
    assert_eq!(passed, b"\x1b[?1049h\x1b[?25l\x1b[?1006hx");
    assert_eq!(filter.modes.enter(), b"\x1b[>1u\x1b[?1049h\x1b[?25l\x1b[?1006h\x1b[>3u");
    let leave = filter.modes.leave();
    assert!(
        leave.starts_with(b"\x1b[<1u\x1b[?25h\x1b[?1006l\x1b[?1049l\x1b[<1u"),
        "{:?}",
        String::from_utf8_lossy(&leave)
    );
    filter.push(b"\x1b[<u\x1b[?1049l\x1b[<u\x1b[?25h\x1b[?1006l", &mut passed);
    assert_eq!(filter.modes, Filter::default().modes);
}

/// Bytes as a hostile program would choose them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\x1b".to_vec()),
        Just(b"\x1b[".to_vec()),
        Just(b"\x1b]".to_vec()),
        Just(b"\x1bP".to_vec()),
        Just(b"\x1b_".to_vec()),
        Just(b"\x1b\\".to_vec()),
        Just(b"\x07".to_vec()),
        Just(b"\x18".to_vec()),
        Just(b"52;c;".to_vec()),
        Just(b"11;?".to_vec()),
        Just(b"?1049h".to_vec()),
        Just(b">1u".to_vec()),
        Just(b"21t".to_vec()),
        Just("\u{9b}".as_bytes().to_vec()),
        Just(vec![0x9b]),
        Just(vec![0xe2, 0x82]),
        prop::collection::vec(any::<u8>(), 0..4),
        "[ -~]{0,3}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The sequences of an output, by the simplest reading there is; what is none is text.
fn sequences(passed: &[u8]) -> Vec<String> {
    let text = String::from_utf8(passed.to_vec()).unwrap();
    text.split('\x1b').skip(1).map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn however_it_is_cut_the_same_passes(bytes in hostile(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        prop_assert_eq!(filtered(&pieces), filtered(&[&bytes]));
    }

    #[test]
    fn only_what_is_listed_passes(bytes in hostile()) {
        let passed = filtered(&[&bytes]);
        let text = String::from_utf8(passed.clone()).unwrap();
        let is_allowed = |c: char| matches!(c, '\x1b' | '\x07'..='\x0f') || !c.is_control();
        prop_assert!(text.chars().all(is_allowed), "{text:?}");
        for sequence in sequences(&passed) {
            let mut rest = sequence.chars();
            match rest.next() {
                Some('[') => {
                    let last = rest.find(|c| ('@'..='~').contains(c));
                    prop_assert!(last.is_some_and(|last| !"iwxy{|}~".contains(last)), "{sequence:?}");
                }
                Some(']') => prop_assert!(["]10;?", "]11;?", "]12;?"].contains(&sequence.as_str()), "{sequence:?}"),
                Some(first) => prop_assert!("\\78=>DEHMc()*+#".contains(first), "{sequence:?}"),
                None => prop_assert!(false, "a lone escape"),
            }
        }
    }

    #[test]
    fn what_passed_once_passes_again(bytes in hostile()) {
        let once = filtered(&[&bytes]);
        // A pop without its push does not, and those of the first time are in it.
        prop_assert_eq!(filtered(&[&once]), once);
    }
}
