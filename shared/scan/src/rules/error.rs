//! Why a rule file is not taken.

use std::fmt;

/// A rule file that is not taken, with the place of what is wrong.
#[derive(Debug)]
pub struct RuleError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1; 0 when it concerns the file as a whole.
    pub line: usize,
    /// The rule's id, where it is about a rule.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: RuleProblem,
}

impl RuleError {
    pub(super) fn of_file(file: &str, problem: RuleProblem) -> Self {
        Self { file: file.to_owned(), line: 0, rule: None, problem }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(rule) = &self.rule {
            write!(f, ": rule `{}`", base::inert::inert(rule, 80))?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for RuleError {}

/// What is wrong with a rule file.
#[derive(Debug, thiserror::Error)]
pub enum RuleProblem {
    /// Not TOML, or not the schema.
    #[error("{0}")]
    Schema(String),
    /// A rule without an id cannot be spoken of.
    #[error("a rule has no `id`")]
    NoId,
    /// Two rules of one file share an id.
    #[error("stands twice; rename one")]
    Twice,
    /// An expression that the linear-time engine does not take.
    #[error("`{key}`: {reason}")]
    Expression {
        /// The key that holds it.
        key: &'static str,
        /// What the engine says.
        reason: String,
    },
    /// `secretGroup` names a group that the expression does not have.
    #[error("`secretGroup` is {group}, but `regex` has {groups} groups")]
    Group {
        /// As given.
        group: usize,
        /// How many there are.
        groups: usize,
    },
    /// An allow list that would allow nothing, or by a word that is not in the schema.
    #[error("allow list: {0}")]
    Allow(&'static str),
    /// A part of the schema that makes no sense without a repository around it.
    #[error("`{0}` is not supported; take it out")]
    Unsupported(&'static str),
    /// More than the matcher can hold.
    #[error("cannot build the keyword matcher: {0}")]
    Keywords(aho_corasick::BuildError),
    /// More rules than an index can name.
    #[error("more than {0} rules")]
    TooMany(usize),
}
