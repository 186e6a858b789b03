//! Patterns of refs, as a manifest has them.

/// A pattern: `agent/*` means branches, `refs/tags/v*` is a name in full. `*` stands for one character or more, slashes
/// among them, as in a refspec of git: `agent/*` covers `agent/a/b`, and neither `agent` nor `agent/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What stands between the asterisks; one part for a name without any.
    parts: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. One that is no name of a ref matches nothing.
    #[must_use]
    pub(super) fn new(text: &str) -> Self {
        let full = if text.starts_with("refs/") { text.to_owned() } else { format!("refs/heads/{text}") };
        Self { parts: full.split('*').map(str::to_owned).collect() }
    }

    /// Whether it speaks of a ref outside branches and tags by name: an asterisk alone never reaches there.
    #[must_use]
    pub(super) fn names_space(&self, space: &str) -> bool {
        self.parts[0].starts_with(space)
    }

    /// Whether a full name matches. Linear in the name for each part.
    #[must_use]
    pub(super) fn matches(&self, name: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts[0] == name;
        };
        let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
        // Each asterisk takes at least one character, and the earliest place of what follows leaves most for the rest.
        for part in middle {
            let Some(after) = skip_one(rest) else { return false };
            let Some(at) = after.find(part.as_str()) else { return false };
            rest = &after[at + part.len()..];
        }
        skip_one(rest).is_some_and(|after| after.ends_with(last.as_str()))
    }
}

fn skip_one(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().map(|_| chars.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_asterisk_is_one_character_or_more() {
        for (pattern, name, is_match) in [
            ("main", "refs/heads/main", true),
            ("main", "refs/heads/mainly", false),
            ("agent/*", "refs/heads/agent/a", true),
            ("agent/*", "refs/heads/agent/a/b", true),
            ("agent/*", "refs/heads/agent/", false),
            ("agent/*", "refs/heads/agents/a", false),
            ("agent/*", "refs/tags/agent/a", false),
            ("*", "refs/heads/x", true),
            ("*", "refs/tags/x", false),
            ("refs/tags/v*", "refs/tags/v1", true),
            ("refs/tags/v*", "refs/tags/v", false),
            ("a*b*c", "refs/heads/axbxc", true),
            ("a*b*c", "refs/heads/abxc", false),
            ("a*bc", "refs/heads/abc", false),
            ("*ab", "refs/heads/abab", true),
            ("**", "refs/heads/x", false),
            ("**", "refs/heads/xy", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), is_match, "{pattern} {name}");
        }
    }

    fn slowly(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (1..=name.len()).any(|taken| slowly(rest, &name[taken..])),
            Some((c, rest)) => name.first() == Some(c) && slowly(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_slow_way_matches(pattern in "[ab/*]{1,8}", name in "[ab/]{1,12}") {
            let full: Vec<char> = format!("refs/heads/{pattern}").chars().collect();
            let ref_name = format!("refs/heads/{name}");
            let letters: Vec<char> = ref_name.chars().collect();
            prop_assert_eq!(Pattern::new(&pattern).matches(&ref_name), slowly(&full, &letters));
        }
    }
}
