//! Lets a push through, or not (G4 to G7): its refs by rules, every new object by two scans, workflow files by a person.
//!
//! ```text
//! names ─▶ refs ─▶ list what is new ─▶ look through it ─┬▶ findings ─▶ none, excused (ask), or refused
//!                                     └▶ gitleaks ──────┘
//!                                     └▶ workflow files ─▶ allowed, asked for, or refused
//! ```
//!
//! Nothing that a push brings decides about it: no configuration, attribute, ignore file or comment. What such a thing
//! excuses is shown to a person. Whatever fails, takes too long or cannot be read, refuses.

pub mod archive;
mod asking;
mod batch;
mod contents;
mod deadline;
mod facts;
mod history;
mod listing;
mod look;
mod naming;
pub mod parse;
mod pattern;
mod place;
mod program;
mod questions;
pub mod rules;
mod second;
mod trouble;
mod work;
mod workflow;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Secret;
use base::clock::Clock;
use base::id::Slug;
use bus::Bus;
use bus::message::proposal::Content;
use futures::future::BoxFuture;
use handover::gitgate::GateLimits;
use manifest::{RefRules, WorkflowRule};
use scan::{Detectors, Enabled, Known, RuleError, Shape};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::git::Git;
use crate::judging::{Judging, Passed, Refused};
use crate::progress::Progress;
use crate::push::Push;
use asking::Asking;
use deadline::Deadline;
use rules::{RefRefusal, Rules};
use second::Opinions;
use trouble::Trouble;
use work::{Judged, Work};

/// How long after a push the next gitleaks is started: when this push has gone upstream, which it would slow down.
const REST: Duration = Duration::from_secs(1);

/// What a [`Judge`] is made of.
pub struct JudgeConfig {
    /// The bottle.
    pub bottle: Slug,
    /// Says what time it is.
    pub clock: Clock,
    /// The bus, when there is one.
    pub bus: watch::Receiver<Option<Bus>>,
    /// The bottle's policy revision, which proposals are made against.
    pub revision: u64,
    /// Whether a person can be asked.
    pub supervise: bool,
    /// The git program.
    pub git: Git,
    /// The gitleaks program.
    pub gitleaks: PathBuf,
    /// The operator's own secret rules in the gitleaks schema, if there are any.
    pub rules: Option<String>,
    /// The bottle's canary.
    pub canary: Option<Secret>,
    /// The gate's own secrets, with what they are called.
    pub secrets: Vec<(String, Secret)>,
    /// Limits.
    pub limits: GateLimits,
    /// What holds for each repository.
    pub repos: BTreeMap<String, RepoRules>,
    /// A directory for lists and configurations, which nobody else writes to.
    pub scratch: PathBuf,
}

/// What holds for one repository.
#[derive(Clone, Debug, Default)]
pub struct RepoRules {
    /// Which refs a push may touch.
    pub refs: RefRules,
    /// What becomes of changed workflow files.
    pub workflows: WorkflowRule,
}

/// Why there is no judge.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The operator's rules.
    #[error("the operator's secret rules cannot be used")]
    Rules(#[from] RuleError),
    /// The second opinion cannot be prepared.
    #[error("gitleaks cannot be prepared: {0}")]
    Gitleaks(String),
}

/// Judges the pushes of one bottle.
pub struct Judge {
    work: Arc<Work>,
    repos: BTreeMap<String, (Rules, WorkflowRule)>,
    opinions: Arc<Opinions>,
    asking: Arc<Asking>,
    /// Hears persons' answers.
    _answers: JoinSet<()>,
    /// Starts the next gitleaks.
    rest: Mutex<JoinSet<()>>,
}

impl Judge {
    /// Starts it, with a gitleaks that waits for the first push. Must be called on a runtime.
    ///
    /// # Errors
    /// [`JudgeError`].
    pub fn start(config: JudgeConfig) -> Result<Self, JudgeError> {
        let rules = match &config.rules {
            Some(text) => Arc::new(scan::Rules::parse(text, "the operator's rules")?),
            None => scan::Rules::standard(),
        };
        let secrets = config.secrets.into_iter().map(|(name, value)| Known {
            name: name.into(),
            value,
            is_canary: false,
        });
        let known = secrets.chain(config.canary.map(canary)).collect();
        let detectors = Arc::new(Detectors::new(rules, known, Secret::new(random_key())));
        let opinions = Opinions::new(config.gitleaks, &config.scratch, config.rules.as_deref());
        let opinions = Arc::new(opinions.map_err(|error| JudgeError::Gitleaks(base::error::chain(&error)))?);
        opinions.expect();
        let asking = Asking::new(config.bottle, config.clock, config.bus, config.revision, config.supervise);
        let asking = Arc::new(asking);
        let mut answers = JoinSet::new();
        answers.spawn(asking::follow(Arc::clone(&asking)));
        let repos = config.repos.into_iter();
        Ok(Self {
            work: Arc::new(Work {
                git: config.git,
                detectors,
                limits: config.limits,
                scratch: config.scratch,
            }),
            repos: repos.map(|(name, repo)| (name, (Rules::new(&repo.refs), repo.workflows))).collect(),
            opinions,
            asking,
            _answers: answers,
            rest: Mutex::default(),
        })
    }

    async fn decide(&self, push: &Push, progress: &Progress) -> Result<Passed, Refused> {
        let Some((rules, workflows)) = self.repos.get(&push.repo) else {
            return Err(refused("this gate has no rules for the repository".to_owned(), None));
        };
        if let Some(refusal) = self.names(push) {
            return Err(refusal);
        }
        // Drop it, and everything that works on this push stops.
        let (deadline, _owner) = Deadline::after(self.work.limits.scan_seconds);
        let grants = self.refs(push, rules, &deadline).await?;
        let judged = self.objects(push, &deadline, progress, *workflows == WorkflowRule::Allow).await?;
        let objects = judged.objects;
        let questions = questions::of(push, &judged, *workflows).map_err(|why| Refused {
            reason: why,
            findings: judged.findings.clone(),
            objects: Some(objects),
        })?;
        let hold = Duration::from_secs(self.work.limits.hold_seconds);
        let answered = self.asking.settle(&questions, hold, progress).await;
        answered.map_err(|why| Refused {
            reason: why,
            findings: judged.findings.clone(),
            objects: Some(objects),
        })?;
        self.asking.use_up(questions.iter().chain(&grants));
        Ok(Passed { objects })
    }

    /// Names of refs and push options, which go upstream as they are. One in which something is found is not repeated.
    fn names(&self, push: &Push) -> Option<Refused> {
        let holds = |text: &str| !self.is_harmless(text);
        let what = if push.updates.iter().any(|update| holds(update.name.as_str())) {
            "the name of a ref"
        } else if push.options.iter().any(|option| holds(option)) || holds(&push.options.concat()) {
            "a push option"
        } else {
            return None;
        };
        Some(refused(format!("there is a secret in {what}; nothing was sent on"), None))
    }

    /// The grants that the refs make use of.
    async fn refs(&self, push: &Push, rules: &Rules, deadline: &Deadline) -> Result<Vec<Content>, Refused> {
        let facts = self.work.run(push, deadline, |work, repository| facts::of(repository, work)).await;
        let mut wanted = facts.map_err(|trouble| in_trouble(&trouble, None))?;
        let mut grants = Vec::new();
        for wanted in &mut wanted {
            let grant = questions::ref_grant(&push.repo, wanted);
            wanted.is_granted = self.asking.is_granted(&grant);
            if wanted.is_granted {
                grants.push(grant);
            }
        }
        match rules::check(&wanted, rules) {
            Ok(()) => Ok(grants),
            Err(refusals) => {
                let open = wanted.iter().filter(|wanted| refusals.iter().any(|r| r.name == wanted.name));
                let open: Vec<_> = open.map(|wanted| questions::ref_grant(&push.repo, wanted)).collect();
                Err(self.refuse_refs(&refusals, open).await)
            }
        }
    }

    /// Says why, and asks a person where one can grant all of it.
    async fn refuse_refs(&self, refusals: &[RefRefusal], open: Vec<Content>) -> Refused {
        let mut lines: Vec<String> = refusals.iter().take(questions::REFS).map(ToString::to_string).collect();
        if refusals.len() > lines.len() {
            lines.push(format!("and {} more refs", refusals.len() - lines.len()));
        }
        let can_be_asked = refusals.iter().all(|refusal| refusal.why.can_be_granted());
        if can_be_asked && open.len() > questions::REFS {
            lines.push(format!("a person is asked about {} refs at a time: push fewer", questions::REFS));
        } else if can_be_asked {
            lines.extend(self.asking.propose_all(open).await);
        }
        refused(lines.join("\n"), None)
    }

    /// Everything that is new, looked through twice.
    async fn objects(
        &self,
        push: &Push,
        deadline: &Deadline,
        progress: &Progress,
        any_workflow: bool,
    ) -> Result<Judged, Refused> {
        let begun = self.opinions.begin();
        let (feeder, opinion) = begun.map_err(|trouble| in_trouble(&trouble, None))?;
        let said = progress.clone();
        let looked = self
            .work
            .run(push, deadline, move |work, repository| work.look(repository, feeder, &said, any_workflow));
        let looked = looked.await.map_err(|trouble| in_trouble(&trouble, None))?;
        let objects = Some(looked.objects());
        let left = deadline.left().map_err(|trouble| in_trouble(&trouble, objects))?;
        let second = timeout(left, opinion.finish(looked.fed())).await;
        let second = second.unwrap_or_else(|_| Err(deadline.time_up()));
        let second = second.map_err(|trouble| in_trouble(&trouble, objects))?;
        let judged =
            self.work.run(push, deadline, move |work, repository| looked.judge(work, repository, second));
        judged.await.map_err(|trouble| in_trouble(&trouble, objects))
    }

    fn rest(&self) {
        let opinions = Arc::clone(&self.opinions);
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        // One that waits is not needed any more, and one that is over is forgotten.
        *rest = JoinSet::new();
        rest.spawn(async move {
            tokio::time::sleep(REST).await;
            opinions.expect();
        });
    }
}

impl Judging for Judge {
    /// As it stands, and with its parts put together.
    fn is_harmless(&self, text: &str) -> bool {
        let plain: String = text.chars().filter(|c| *c != '/').collect();
        [text, &plain].into_iter().all(|text| {
            let found = self.work.detectors.scan(text.as_bytes(), Enabled::default(), &Shape::Plain);
            found.is_ok_and(|found| found.is_empty())
        })
    }

    fn expect(&self, _repo: &str) {
        self.opinions.expect();
    }

    fn judge<'a>(&'a self, push: &'a Push, progress: &'a Progress) -> BoxFuture<'a, Result<Passed, Refused>> {
        Box::pin(async move {
            let decided = self.decide(push, progress).await;
            self.rest();
            decided
        })
    }
}

fn refused(reason: String, objects: Option<u64>) -> Refused {
    Refused { reason, findings: Vec::new(), objects }
}

fn in_trouble(trouble: &Trouble, objects: Option<u64>) -> Refused {
    refused(base::error::chain(trouble), objects)
}

fn canary(value: Secret) -> Known {
    Known { name: "canary".into(), value, is_canary: true }
}

/// What digests are made with.
fn random_key() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// When a wait for a person is over.
fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}
