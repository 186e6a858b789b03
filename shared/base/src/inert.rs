//! Rendering of untrusted text (invariant 8).

use std::fmt::Write as _;

/// Makes text from an agent or a forge harmless to show: control characters (newlines and tabs too), bidirectional
/// marks, zero-width and tag characters become visible `\u{…}` escapes, so that the text can neither move the
/// cursor, recolour the screen, forge a line of output nor hide what it says.
///
/// `limit` is the largest number of characters kept; what is cut is counted at the end.
#[must_use]
pub fn inert(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    let mut rest = text.chars();
    for character in rest.by_ref().take(limit) {
        push_inert(&mut shown, character);
    }
    let cut = rest.count();
    if cut > 0 {
        // Writing to a String cannot fail.
        let _ = write!(shown, "… ({cut} more characters)");
    }
    shown
}

fn push_inert(shown: &mut String, character: char) {
    match character {
        '\\' => shown.push_str("\\\\"),
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if is_dangerous(c) => {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        }
        c => shown.push(c),
    }
}

/// Whether a character can change how its neighbours are shown, or is not shown at all.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00ad                  // soft hyphen
            | 0x034f                // combining grapheme joiner
            | 0x061c                // Arabic letter mark
            | 0x115f | 0x1160       // Hangul fillers
            | 0x17b4 | 0x17b5
            | 0x180b..=0x180f       // Mongolian selectors
            | 0x200b..=0x200f       // zero width and direction marks
            | 0x2028..=0x202f       // line separators, embeddings, overrides, narrow space
            | 0x2060..=0x206f       // invisible operators, isolates
            | 0x3164 | 0xffa0
            | 0xfe00..=0xfe0f       // variation selectors
            | 0xfeff                // byte order mark
            | 0xfff0..=0xfffb       // interlinear annotations
            | 0xe000..=0xf8ff       // private use: terminals' icon fonts
            | 0xe0000..=0xe0fff     // tags and selector supplement
            | 0xf0000..=0x10ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_what_moves_recolours_or_hides() {
        for (text, shown) in [
            ("plain text, umlauts äöü and 漢字", "plain text, umlauts äöü and 漢字"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("two\nlines\r\t", "two\\nlines\\r\\t"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("back\\slash", "back\\\\slash"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ] {
            assert_eq!(inert(text, 100), shown);
        }
    }

    #[test]
    fn says_how_much_it_cut() {
        assert_eq!(inert("abcdef", 4), "abcd… (2 more characters)");
        assert_eq!(inert("abcdef", usize::MAX), "abcdef");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_survives(text in ".*") {
            prop_assert!(!inert(&text, 1000).chars().any(is_dangerous));
        }

        #[test]
        fn different_texts_look_different(a in ".{0,40}", b in ".{0,40}") {
            prop_assert_eq!(a == b, inert(&a, 1000) == inert(&b, 1000));
        }
    }
}
