//! What looks like a secret and is none.

use super::document::RawAllow;
use super::error::RuleProblem;
use super::expression::{Expression, Match};

/// How much of a line is looked at on each side of a match, in bytes: a body may be one line.
const LINE_REACH: usize = 1024;

/// What an allow condition's expressions are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

/// An allow list.
#[derive(Debug)]
pub(super) struct Allow {
    /// The rules it speaks of; all, when empty.
    rules: Vec<String>,
    target: Target,
    regexes: Option<Expression>,
    /// Lower case.
    stopwords: Vec<String>,
    /// Both the expressions and the stop words must speak for it.
    all: bool,
    /// Needs a file or a commit too, which a body does not have.
    never: bool,
}

/// A match on trial.
pub(super) struct Context<'a> {
    pub(super) text: &'a [u8],
    pub(super) found: &'a Match,
    /// Whether the rule also matches another text.
    pub(super) still_matches: &'a dyn Fn(&[u8]) -> bool,
}

impl Allow {
    pub(super) fn new(raw: &RawAllow) -> Result<Self, RuleProblem> {
        let all = match raw.condition.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("" | "OR" | "||") => false,
            Some("AND" | "&&") => true,
            Some(_) => return Err(RuleProblem::Allow("`condition` is `AND` or `OR`")),
        };
        let target = match raw.regex_target.as_deref() {
            None | Some("" | "secret") => Target::Secret,
            Some("match") => Target::Match,
            Some("line") => Target::Line,
            Some(_) => return Err(RuleProblem::Allow("`regexTarget` is `secret`, `match` or `line`")),
        };
        let elsewhere = !(raw.commits.is_empty() && raw.paths.is_empty());
        if raw.regexes.is_empty() && raw.stopwords.is_empty() && !elsewhere {
            return Err(RuleProblem::Allow("names no `regexes`, `stopwords`, `paths` or `commits`"));
        }
        let bad = |reason| RuleProblem::Expression { key: "regexes", reason };
        let regexes =
            (!raw.regexes.is_empty()).then(|| Expression::new(&raw.regexes)).transpose().map_err(bad)?;
        Ok(Self {
            rules: raw.target_rules.clone(),
            target,
            regexes: regexes.map(|(expression, _)| expression),
            stopwords: raw.stopwords.iter().map(|word| word.to_ascii_lowercase()).collect(),
            all,
            never: all && elsewhere,
        })
    }

    pub(super) fn check(&self) -> Result<(), RuleProblem> {
        let checked = self.regexes.as_ref().map_or(Ok(()), Expression::check);
        checked.map_err(|reason| RuleProblem::Expression { key: "regexes", reason })
    }

    pub(super) fn concerns(&self, rule: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|id| id == rule)
    }

    pub(super) fn allows(&self, context: &Context<'_>) -> bool {
        if self.never {
            return false;
        }
        let by_regex = || self.regexes.as_ref().map(|regexes| regexes.is_match(self.target.of(context)));
        let by_word = || (!self.stopwords.is_empty()).then(|| self.stopped(context));
        if self.all {
            by_regex().unwrap_or(true) && by_word().unwrap_or(true)
        } else {
            by_regex().unwrap_or(false) || by_word().unwrap_or(false)
        }
    }

    /// A stop word excuses a text that is no token without it. Otherwise whoever may write the text would append
    /// the word to a real token.
    fn stopped(&self, context: &Context<'_>) -> bool {
        let Match { whole, secret } = context.found;
        let lower = context.text[secret.clone()].to_ascii_lowercase();
        self.stopwords.iter().any(|word| {
            let mut places = memchr::memmem::find_iter(&lower, word.as_bytes()).peekable();
            if places.peek().is_none() {
                return false;
            }
            let mut rest = context.text[whole.start..secret.start].to_vec();
            let mut kept = secret.start;
            for place in places {
                rest.extend_from_slice(&context.text[kept..secret.start + place]);
                kept = secret.start + place + word.len();
            }
            rest.extend_from_slice(&context.text[kept..whole.end]);
            !(context.still_matches)(&rest)
        })
    }
}

impl Target {
    fn of<'a>(self, context: &Context<'a>) -> &'a [u8] {
        let Match { whole, secret } = context.found;
        let text = context.text;
        match self {
            Self::Secret => &text[secret.clone()],
            Self::Match => &text[whole.clone()],
            Self::Line => {
                let earliest = whole.start.saturating_sub(LINE_REACH);
                let latest = whole.end.saturating_add(LINE_REACH).min(text.len());
                let start = memchr::memrchr(b'\n', &text[earliest..whole.start])
                    .map_or(earliest, |at| earliest + at + 1);
                let end = memchr::memchr(b'\n', &text[whole.end..latest]).map_or(latest, |at| whole.end + at);
                &text[start..end]
            }
        }
    }
}
