//! Expressions as rule files write them, compiled when first needed.

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::meta::Regex;
use regex_automata::util::syntax::Config as Syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::head::Heads;
use super::syntax::from_go;

/// The largest program an expression may become, in bytes.
const PROGRAM_LIMIT: usize = 2 << 20;
/// The cache that an expression's search may fill, in bytes.
const CACHE_LIMIT: usize = 256 << 10;

/// One or several alternative expressions.
#[derive(Debug)]
pub(super) struct Expression {
    /// In the engine's syntax.
    patterns: Vec<String>,
    compiled: OnceLock<Option<Regex>>,
}

/// What is known of an expression before it is compiled.
pub(super) struct Shape {
    /// Explicit groups.
    pub(super) groups: usize,
    /// The longest match in bytes, when there is one.
    pub(super) longest: Option<usize>,
    /// What every match begins with, when that is known.
    pub(super) heads: Option<Heads>,
}

/// A match and the part of it that is the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) whole: Range<usize>,
    pub(super) secret: Range<usize>,
}

impl Expression {
    /// Translates and parses; the shape is that of the first pattern. The error is the parser's, on one line.
    pub(super) fn new(patterns: &[String]) -> Result<(Self, Shape), String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| from_go(pattern)).collect();
        let parsed = patterns.iter().map(|pattern| parse(pattern)).collect::<Result<Vec<_>, _>>()?;
        let first = parsed.first().ok_or("no expression")?;
        let properties = first.properties();
        let shape = Shape {
            groups: properties.explicit_captures_len(),
            longest: properties.maximum_len(),
            heads: Heads::of(first),
        };
        Ok((Self { patterns, compiled: OnceLock::new() }, shape))
    }

    /// Compiles and lets go again.
    pub(super) fn check(&self) -> Result<(), String> {
        compile(&self.patterns).map(drop)
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        // What cannot be judged is not allowed: without a program nothing is excused. Checked before, it has one.
        self.compiled().is_some_and(|regex| regex.is_match(text))
    }

    /// The first match in `range` of `text`, which sees the text around the range. The secret is the given group or,
    /// for 0, the first group that took part and is not empty, or the whole match.
    pub(super) fn find(
        &self,
        text: &[u8],
        range: Range<usize>,
        anchored: bool,
        group: usize,
    ) -> Option<Match> {
        let regex = self.compiled()?;
        let mode = if anchored { Anchored::Yes } else { Anchored::No };
        let whole = regex.search(&Input::new(text).range(range.clone()).anchored(mode))?.range();
        if regex.captures_len() == 1 {
            return Some(Match { secret: whole.clone(), whole });
        }
        let mut captures = regex.create_captures();
        // Up to the range's end, as before: a group may end on what stands after the match.
        let input = Input::new(text).range(whole.start..range.end).anchored(Anchored::Yes);
        regex.search_captures(&input, &mut captures);
        let secret = if group > 0 {
            captures.get_group(group)
        } else {
            (1..captures.group_len())
                .filter_map(|group| captures.get_group(group))
                .find(|span| !span.is_empty())
        };
        Some(Match { secret: secret.map_or_else(|| whole.clone(), |span| span.range()), whole })
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.patterns).ok()).as_ref()
    }
}

fn syntax() -> Syntax {
    Syntax::new().unicode(false).utf8(false).nest_limit(64)
}

fn parse(pattern: &str) -> Result<Hir, String> {
    regex_automata::util::syntax::parse_with(pattern, &syntax()).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    })
}

fn compile(patterns: &[String]) -> Result<Regex, String> {
    let limits = Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(PROGRAM_LIMIT))
        .hybrid_cache_capacity(CACHE_LIMIT)
        .onepass(false)
        .dfa(false);
    Regex::builder()
        .syntax(syntax())
        .configure(limits)
        .build_many(patterns)
        .map_err(|error| base::error::chain(&error))
}
