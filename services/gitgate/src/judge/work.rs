//! The part of a judgement that reads and scans, on a thread of its own.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bus::message::push::Finding;
use handover::gitgate::GateLimits;
use scan::Detectors;

use super::deadline::Deadline;
use super::history::Reader;
use super::listing::{self, Listed};
use super::look::{self, Found, Seen};
use super::naming::Names;
use super::parse::Ignored;
use super::place::{Excuse, Part, Spot, excuses_itself};
use super::program::Repository;
use super::second::{Fed, Feeder, SecondFinding};
use super::trouble::Trouble;
use crate::git::Git;
use crate::progress::Progress;
use crate::push::Push;

/// The ignore file whose entries excuse findings, in the root of a tip.
const IGNORE_FILE: &[u8] = b".gitleaksignore";
/// The largest file that is read for an excuse, in bytes.
const EXCUSE: u64 = 1 << 20;

/// What every judgement needs.
pub(crate) struct Work {
    pub(crate) git: Git,
    pub(crate) detectors: Arc<Detectors>,
    pub(crate) limits: GateLimits,
    pub(crate) scratch: PathBuf,
}

/// What our own look came to.
pub(crate) struct Looked {
    listed: Vec<Listed>,
    found: Found,
    fed: Fed,
    pieces: Vec<(u32, Part)>,
    history: super::history::History,
    workflows: Vec<BTreeSet<Vec<u8>>>,
}

/// What both looks came to.
pub(crate) struct Judged {
    pub(crate) objects: u64,
    pub(crate) findings: Vec<Finding>,
    /// Findings that were not kept.
    pub(crate) more: u64,
    /// The objects that the findings are in, if files excuse all of them.
    pub(crate) excused: Option<BTreeSet<String>>,
    /// For each ref: workflow files that change.
    pub(crate) workflows: Vec<Vec<String>>,
}

impl Work {
    /// Runs a part of a judgement where it may block.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        push: &Push,
        deadline: &Deadline,
        part: impl FnOnce(&Self, &Repository<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (work, push, deadline) = (Arc::clone(self), push.clone(), deadline.clone());
        let done = tokio::task::spawn_blocking(move || {
            let repository = Repository { git: &work.git, push: &push, scratch: &work.scratch, deadline };
            part(&work, &repository)
        });
        done.await.map_err(|error| Trouble::Io {
            doing: "judging the push",
            source: std::io::Error::other(error),
        })?
    }

    /// Lists what is new, and looks through it.
    pub(crate) fn look(
        &self,
        repository: &Repository<'_>,
        feeder: Feeder,
        progress: &Progress,
        any_workflow: bool,
    ) -> Result<Looked, Trouble> {
        let listed = listing::list(repository, &self.limits)?;
        progress.say(&format!("looking through {} new objects", listed.len()));
        let seen = look::look(repository, &listed, &self.detectors, &self.limits, feeder, progress);
        let seen = seen.map_err(|trouble| self.names(&listed).in_words(trouble))?;
        let Seen { found, history, feeder, pieces } = seen;
        let fed = feeder.end();
        let mut looked = Looked { listed, found, fed, pieces, history, workflows: Vec::new() };
        if !any_workflow {
            looked.workflows = self.workflows(repository, &mut looked.history)?;
        }
        Ok(looked)
    }

    fn workflows(
        &self,
        repository: &Repository<'_>,
        history: &mut super::history::History,
    ) -> Result<Vec<BTreeSet<Vec<u8>>>, Trouble> {
        let default = repository.push.default_branch.as_ref().map(crate::reference::RefName::as_str);
        Reader::new(std::mem::take(history), repository)?.changes(default)
    }

    fn names<'a>(&'a self, listed: &'a [Listed]) -> Names<'a> {
        Names { listed, detectors: &self.detectors }
    }
}

impl Looked {
    pub(crate) fn objects(&self) -> u64 {
        self.listed.len() as u64
    }

    pub(crate) fn fed(&self) -> &Fed {
        &self.fed
    }

    /// Puts both opinions together.
    pub(crate) fn judge(
        mut self,
        work: &Work,
        repository: &Repository<'_>,
        second: Vec<SecondFinding>,
    ) -> Result<Judged, Trouble> {
        if !(second.is_empty() && self.found.spots.is_empty()) {
            let mut reader = Reader::new(std::mem::take(&mut self.history), repository)?;
            self.join(second, &mut reader)?;
            self.excuse(repository, &mut reader)?;
        }
        let is_excused = |spot: &Spot| matches!(spot.excuse, Excuse::Comment | Excuse::Ignored);
        let Found { spots, more } = &self.found;
        let is_all_excused = !spots.is_empty() && *more == 0 && spots.iter().all(is_excused);
        let objects = spots.iter().map(|spot| self.listed[spot.object as usize].id.to_string());
        let names = work.names(&self.listed);
        let path = |path: &Vec<u8>| base::inert(&names.clean(&String::from_utf8_lossy(path)), 300);
        Ok(Judged {
            objects: self.objects(),
            findings: spots.iter().map(|spot| names.finding(spot)).collect(),
            more: *more,
            excused: is_all_excused.then(|| objects.collect()),
            workflows: self.workflows.iter().map(|paths| paths.iter().map(path).collect()).collect(),
        })
    }

    /// Adds what gitleaks has found and the gate's own scan has not.
    fn join(&mut self, second: Vec<SecondFinding>, reader: &mut Reader<'_>) -> Result<(), Trouble> {
        let ours: HashSet<(u32, Option<u64>, bool)> =
            self.found.spots.iter().map(|spot| (spot.object, spot.line, is_in_file(&spot.part))).collect();
        let mut seen = HashSet::new();
        for finding in second {
            let Some((object, part)) = self.pieces.get(finding.piece as usize).cloned() else {
                return Err(Trouble::SecondOpinion { why: "it found something nowhere".to_owned() });
            };
            let line = is_in_file(&part).then_some(finding.line);
            if ours.contains(&(object, line, is_in_file(&part))) || !seen.insert((object, line, part.clone()))
            {
                continue;
            }
            let mut excuse = Excuse::Impossible;
            if part == Part::File && self.found.spots.len() < look::FINDINGS {
                // One that is too large to be read excuses nothing.
                let bytes = reader.blob(&self.listed[object as usize].id, u64::MAX).unwrap_or_default();
                let text = usize::try_from(finding.line - 1)
                    .ok()
                    .and_then(|at| bytes.split(|b| *b == b'\n').nth(at));
                excuse = if text.is_some_and(excuses_itself) { Excuse::Comment } else { Excuse::None };
            }
            self.found.add(Spot { object, part, rule: finding.rule, line, excuse });
        }
        Ok(())
    }

    /// Marks what the ignore files of the new tips name.
    fn excuse(&mut self, repository: &Repository<'_>, reader: &mut Reader<'_>) -> Result<(), Trouble> {
        if self.found.spots.iter().all(|spot| spot.excuse != Excuse::None) {
            return Ok(());
        }
        let mut ignored = Ignored::default();
        for update in &repository.push.updates {
            if let Some(new) = &update.new
                && let Some(text) = reader.file_at_root(new, IGNORE_FILE, EXCUSE)?
            {
                ignored.join(Ignored::read(&text));
            }
        }
        for spot in self.found.spots.iter_mut().filter(|spot| spot.excuse == Excuse::None) {
            let path = self.listed[spot.object as usize].path.as_deref().unwrap_or_default();
            if spot.line.is_some_and(|line| ignored.names(path, line)) {
                spot.excuse = Excuse::Ignored;
            }
        }
        Ok(())
    }
}

fn is_in_file(part: &Part) -> bool {
    matches!(part, Part::File | Part::Inside(_))
}
