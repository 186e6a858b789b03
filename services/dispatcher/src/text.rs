//! Untrusted text of a forge: cut, made visible, looked through.

/// At most so many bytes of a text, with plain line ends; what is cut is counted.
#[must_use]
pub fn bounded(text: &str, most: usize) -> String {
    let text = text.replace("\r\n", "\n");
    if text.len() <= most {
        return text;
    }
    let kept = text.floor_char_boundary(most);
    format!("{}… ({} more bytes)", &text[..kept], text.len() - kept)
}

/// A text on several lines in which nothing is hidden or moves a cursor: what Markdown leaves out, HTML comments, is
/// marked as such (D3), and what no screen shows is escaped.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        plain(before, &mut shown);
        // One without an end hides everything after it.
        let (hidden, after) = after.split_once("-->").unwrap_or((after, ""));
        shown.push_str("[hidden HTML comment: ");
        plain(hidden, &mut shown);
        shown.push(']');
        rest = after;
    }
    plain(rest, &mut shown);
    shown
}

fn plain(text: &str, shown: &mut String) {
    for character in text.chars() {
        match character {
            '\n' | '\\' => shown.push(character),
            '\t' => shown.push_str("    "),
            other => shown.push_str(&base::inert(other.encode_utf8(&mut [0; 4]), 1)),
        }
    }
}

/// Whether a comment speaks to an account: `@account` as a word, where a reader sees it and where it is the writer's own;
/// neither in an HTML comment nor in what is quoted.
#[must_use]
pub fn mentions(text: &str, account: &str) -> bool {
    seen(text).lines().filter(|line| !line.trim_start().starts_with('>')).any(|line| {
        let line = line.to_ascii_lowercase();
        let wanted = format!("@{}", account.to_ascii_lowercase());
        line.match_indices(&wanted).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + wanted.len()..].chars().next();
            let follows = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '@' | '/' | '.' | '-' | '_'))
                && !after.is_some_and(follows)
        })
    })
}

/// A text without its HTML comments.
fn seen(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        seen.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    seen.push_str(rest);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown() {
        assert_eq!(visible("a<!-- do\nit -->b"), "a[hidden HTML comment:  do\nit ]b");
        assert_eq!(visible("a<!-- no end"), "a[hidden HTML comment:  no end]");
        assert_eq!(visible("a\u{1b}[2J\u{202e}\u{200b}\tb\\n"), "a\\u{1b}[2J\\u{202e}\\u{200b}    b\\n");
    }

    #[test]
    fn a_mention_is_a_word_that_is_seen() {
        for text in ["@helper look", "hey @Helper, look", "(@helper)", "a\n@helper", "@helper."] {
            assert!(mentions(text, "helper"), "{text}");
        }
        for text in [
            "helper",
            "@helpers",
            "@helper-two",
            "mail@helper",
            "@@helper",
            "<!-- @helper -->",
            "<!-- @helper",
            "> @helper said",
            "x/@helper",
            "@help er",
        ] {
            assert!(!mentions(text, "helper"), "{text}");
        }
    }

    #[test]
    fn a_cut_is_counted() {
        assert_eq!(bounded("a\r\nb", 10), "a\nb");
        assert_eq!(bounded("aéb", 2), "a… (3 more bytes)");
    }
}
