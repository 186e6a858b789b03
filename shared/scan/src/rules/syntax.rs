//! Expressions in Go's syntax (RE2), as gitleaks files have them.

/// The same expression for the engine here, which reads three things differently: a brace that bounds nothing is a
/// character in Go, and so are `[` and doubled `&`, `-`, `~` inside a class.
pub(super) fn from_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut class: Option<usize> = None;
    while let Some(next) = rest.chars().next() {
        let taken = match (class, next) {
            (_, '\\') => escape_len(rest),
            (None, '[') => {
                let opened = class_open_len(rest);
                class = Some(0);
                opened
            }
            (Some(_), ']') => {
                class = None;
                1
            }
            (Some(_), '[') if rest.starts_with("[:") => rest.find(":]").map_or(1, |at| at + 2),
            (Some(_), '[' | '&' | '~') => {
                out.push('\\');
                1
            }
            (Some(_), '-') if rest.starts_with("--") => {
                out.push_str("\\-");
                rest = &rest[1..];
                continue;
            }
            (None, '{') if !is_bound(rest) => {
                out.push('\\');
                1
            }
            _ => next.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

/// A class may begin with `^`, and its first `]` is a member.
fn class_open_len(text: &str) -> usize {
    let negated = 1 + usize::from(text[1..].starts_with('^'));
    negated + usize::from(text[negated..].starts_with(']'))
}

/// The escape at the start of `text`; `\x{41}`, `\p{L}` and `\Q..\E` carry their braces with them.
fn escape_len(text: &str) -> usize {
    let mut chars = text.chars();
    chars.next();
    match chars.next() {
        Some('x' | 'p' | 'P') if text[2..].starts_with('{') => text.find('}').map_or(text.len(), |at| at + 1),
        Some(escaped) => 1 + escaped.len_utf8(),
        None => 1,
    }
}

/// `{3}`, `{3,}` or `{3,5}`.
fn is_bound(text: &str) -> bool {
    let Some((bound, _)) = text[1..].split_once('}') else { return false };
    let (low, high) = bound.split_once(',').unwrap_or((bound, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_as_it_is_meant() {
        for (go, here) in [
            ("a{3}b{2,}c{1,4}", "a{3}b{2,}c{1,4}"),
            (r"^\${[A-Z]+}$", r"^\$\{[A-Z]+}$"),
            (r"^{\d{0,2}}$", r"^\{\d{0,2}}$"),
            ("[[a&&b]", r"[\[a\&\&b]"),
            ("[]a]{", r"[]a]\{"),
            ("[^]a]", "[^]a]"),
            ("[[:alpha:]]", "[[:alpha:]]"),
            (r"[\]{]\x{41}", r"[\]{]\x{41}"),
        ] {
            assert_eq!(from_go(go), here, "{go}");
        }
    }

    /// Every `(?i)` in the middle, Go's named groups and its `\z` mean the same here.
    #[test]
    fn takes_what_gitleaks_files_use() {
        for pattern in [
            r"\b(ab(?i)[a-z]{3})(?:[\x60'\s;]|\\[nr]|$)",
            r"(?P<name>x)\z",
            r"(?:(?i)a|(?-i:B))",
            r"[\w.-]{0,50}?",
        ] {
            assert!(super::super::expression::Expression::new(&[pattern.to_owned()]).is_ok(), "{pattern}");
        }
    }
}
