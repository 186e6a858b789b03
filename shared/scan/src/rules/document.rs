//! The gitleaks schema as written, before anything is compiled.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::allow::Allow;
use super::error::{RuleError, RuleProblem};
use super::rule::Rule;

/// Indices of rules are `u16`.
const MOST_RULES: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawFile {
    #[serde(rename = "title")]
    _title: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "minVersion")]
    _min_version: Option<String>,
    extend: Option<RawExtend>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
    allowlist: Option<RawAllow>,
    #[serde(default)]
    allowlists: Vec<RawAllow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawExtend {
    #[serde(default)]
    use_default: bool,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    disabled_rules: Vec<String>,
}

/// A rule as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRule {
    #[serde(default)]
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) regex: Option<String>,
    pub(super) entropy: Option<f64>,
    pub(super) secret_group: Option<usize>,
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    #[serde(rename = "tags", default)]
    pub(super) _tags: Vec<String>,
    #[serde(default)]
    pub(super) skip_report: bool,
    pub(super) required: Option<toml::Value>,
    pub(super) allowlist: Option<RawAllow>,
    #[serde(default)]
    pub(super) allowlists: Vec<RawAllow>,
}

/// An allow list as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawAllow {
    #[serde(rename = "description")]
    _description: Option<String>,
    pub(super) condition: Option<String>,
    #[serde(default)]
    pub(super) target_rules: Vec<String>,
    #[serde(default)]
    pub(super) commits: Vec<String>,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    pub(super) regex_target: Option<String>,
    #[serde(default)]
    pub(super) regexes: Vec<String>,
    #[serde(default)]
    pub(super) stopwords: Vec<String>,
}

/// A rule with the place it came from.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) line: usize,
    pub(super) raw: RawRule,
}

/// A rule file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) file: String,
    pub(super) extends_standard: bool,
    pub(super) disabled: Vec<String>,
    pub(super) rules: Vec<Placed>,
    pub(super) allows: Vec<RawAllow>,
}

impl Document {
    pub(super) fn parse(text: &str, file: &str) -> Result<Self, RuleError> {
        let raw: RawFile = toml::from_str(text).map_err(|error| RuleError {
            file: file.to_owned(),
            line: error.span().map_or(0, |span| line_of(text, span.start)),
            rule: None,
            problem: RuleProblem::Schema(error.message().to_owned()),
        })?;
        let extend = raw.extend.unwrap_or_default();
        for (key, given) in [("extend.path", extend.path.is_some()), ("extend.url", extend.url.is_some())] {
            if given {
                return Err(RuleError::of_file(file, RuleProblem::Unsupported(key)));
            }
        }
        let rules = raw.rules.into_iter().map(|rule| {
            let line = line_of(text, rule.span().start);
            Placed { line, raw: rule.into_inner().with_old_allowlist() }
        });
        Ok(Self {
            file: file.to_owned(),
            extends_standard: extend.use_default,
            disabled: extend.disabled_rules,
            rules: rules.collect(),
            allows: raw.allowlist.into_iter().chain(raw.allowlists).collect(),
        })
    }

    pub(super) fn extends_standard(&self) -> bool {
        self.extends_standard
    }

    /// Refuses what cannot be used, in each rule as it was written.
    pub(super) fn check(&self) -> Result<(), RuleError> {
        let mut ids = BTreeSet::new();
        for placed in &self.rules {
            let problem = match placed.raw.check() {
                Err(problem) => problem,
                Ok(()) if !ids.insert(&placed.raw.id) => RuleProblem::Twice,
                Ok(()) => continue,
            };
            return Err(self.error(placed, problem));
        }
        for raw in &self.allows {
            Allow::new(raw)
                .and_then(|allow| allow.check())
                .map_err(|problem| RuleError::of_file(&self.file, problem))?;
        }
        Ok(())
    }

    /// The rules and the allow conditions over all of them.
    pub(super) fn into_rules(self) -> Result<(Vec<Rule>, Vec<Allow>), RuleError> {
        if self.rules.len() > MOST_RULES {
            return Err(RuleError::of_file(&self.file, RuleProblem::TooMany(MOST_RULES)));
        }
        let mut rules = Vec::with_capacity(self.rules.len());
        for placed in &self.rules {
            if let Some(rule) = Rule::new(&placed.raw).map_err(|problem| self.error(placed, problem))? {
                rules.push(rule);
            }
        }
        let allows = self.allows.iter().map(Allow::new).collect::<Result<_, _>>();
        Ok((rules, allows.map_err(|problem| RuleError::of_file(&self.file, problem))?))
    }

    fn error(&self, placed: &Placed, problem: RuleProblem) -> RuleError {
        let rule = Some(placed.raw.id.clone()).filter(|id| !id.is_empty());
        RuleError { file: self.file.clone(), line: placed.line, rule, problem }
    }
}

impl RawRule {
    /// `[rules.allowlist]` is the older spelling of one `[[rules.allowlists]]`.
    fn with_old_allowlist(mut self) -> Self {
        self.allowlists.extend(self.allowlist.take());
        self
    }

    /// Whether bodies can be judged by it: a rule over file names, or one that only serves other rules, cannot.
    pub(super) fn concerns_bodies(&self) -> bool {
        self.regex.is_some() && !self.skip_report
    }

    fn check(&self) -> Result<(), RuleProblem> {
        if self.id.is_empty() {
            return Err(RuleProblem::NoId);
        }
        if self.required.is_some() {
            return Err(RuleProblem::Unsupported("required"));
        }
        if let Some(rule) = Rule::new(self)? {
            rule.check()?;
        }
        Ok(())
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
