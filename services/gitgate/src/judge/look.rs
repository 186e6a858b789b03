//! Looks through everything that is new: every byte of every object, in every form that can be reached.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use handover::gitgate::GateLimits;
use scan::{Detector, Detectors, Enabled, Finding, Shape};

use super::batch::{Batch, Kind};
use super::contents::Contents;
use super::history::History;
use super::listing::{Listed, check_sizes};
use super::parse::{Entry, Headers, Mode, entries};
use super::place::{Excuse, Part, Spot, excuses_itself, line_at};
use super::program::Repository;
use super::second::Feeder;
use super::trouble::Trouble;
use crate::progress::Progress;

/// The largest commit, tag or tree, in bytes: a directory of 300,000 files.
const RECORD: u64 = 16 << 20;
/// Contents up to this size are there as a whole, so that a finding's line can be read.
const WHOLE: u64 = 1 << 20;
/// Bytes of larger contents that are looked at at once.
const PIECE: usize = 256 << 10;
/// Findings that are remembered; the others are counted.
pub(crate) const FINDINGS: usize = 100;
/// Between two words to the person who pushes.
const WORD: Duration = Duration::from_secs(2);

/// One judgement's look.
pub(crate) struct Look<'a> {
    detectors: &'a Arc<Detectors>,
    limits: &'a GateLimits,
    feeder: Feeder,
    /// The place in the list of the object that is looked at.
    at: u32,
    pieces: Vec<(u32, Part)>,
    found: Found,
    /// Bytes that may still be unpacked.
    budget: u64,
    /// Paths that gitleaks was given.
    paths: HashSet<u64>,
    hasher: RandomState,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) spots: Vec<Spot>,
    /// Those that were not kept.
    pub(crate) more: u64,
}

/// What a look comes to.
pub(crate) struct Seen {
    pub(crate) found: Found,
    pub(crate) history: History,
    pub(crate) feeder: Feeder,
    pub(crate) pieces: Vec<(u32, Part)>,
}

impl Found {
    /// Adds one, once for each line and rule.
    pub(crate) fn add(&mut self, spot: Spot) {
        let is_known = |known: &Spot| {
            (known.object, &known.rule, known.line, &known.part)
                == (spot.object, &spot.rule, spot.line, &spot.part)
        };
        if self.spots.iter().any(is_known) {
            return;
        }
        if self.spots.len() < FINDINGS { self.spots.push(spot) } else { self.more += 1 }
    }
}

/// Looks through all of the list.
pub(crate) fn look(
    repository: &Repository<'_>,
    listed: &[Listed],
    detectors: &Arc<Detectors>,
    limits: &GateLimits,
    feeder: Feeder,
    progress: &Progress,
) -> Result<Seen, Trouble> {
    let mut look = Look {
        detectors,
        limits,
        feeder,
        at: 0,
        pieces: Vec::new(),
        found: Found::default(),
        budget: limits.unpacked_bytes,
        paths: HashSet::new(),
        hasher: RandomState::new(),
    };
    let mut history = History::default();
    let mut batch = Batch::of(repository, listed.iter().map(|listed| &listed.id))?;
    let (mut sum, mut word) = (0u64, Instant::now());
    for (at, object) in (0..).zip(listed) {
        repository.deadline.left()?;
        if word.elapsed() > WORD {
            word = Instant::now();
            progress.say(&format!("looked through {at} of {} objects", listed.len()));
        }
        look.at = at;
        let (kind, size) = batch.next(&object.id)?;
        sum = sum.saturating_add(size);
        check_sizes(size, sum, limits)?;
        look.object(repository, object, kind, size, &mut batch, &mut history)?;
    }
    batch.finish()?;
    let Look { found, feeder, pieces, .. } = look;
    Ok(Seen { found, history, feeder, pieces })
}

impl Look<'_> {
    fn object(
        &mut self,
        repository: &Repository<'_>,
        object: &Listed,
        kind: Kind,
        size: u64,
        batch: &mut Batch,
        history: &mut History,
    ) -> Result<(), Trouble> {
        if kind == Kind::Blob {
            return self.blob(repository, size, batch);
        }
        if size > RECORD {
            let why = format!("it is a {} of more than {RECORD} bytes", kind.as_str());
            return Err(Trouble::object(&object.id, why));
        }
        let bytes = batch.whole(size)?;
        let bad = |error: &dyn std::fmt::Display| Trouble::object(&object.id, error);
        match kind {
            Kind::Commit => {
                let headers = Headers::read(&bytes).map_err(|error| bad(&error))?;
                history.commit(&object.id, self.at, headers.commit().map_err(|error| bad(&error))?);
                self.record(&bytes, &headers)
            }
            Kind::Tag => {
                let headers = Headers::read(&bytes).map_err(|error| bad(&error))?;
                headers.tag().map_err(|error| bad(&error))?;
                self.record(&bytes, &headers)
            }
            Kind::Tree | Kind::Blob => {
                let tree = entries(&bytes, object.id.as_str().len() / 2).map_err(|error| bad(&error))?;
                if object.path.as_deref().is_none_or(str::is_empty) {
                    history.root(&object.id, &tree);
                }
                self.tree(object, &bytes, &tree)
            }
        }
    }

    fn blob(&mut self, repository: &Repository<'_>, size: u64, batch: &mut Batch) -> Result<(), Trouble> {
        let mut contents = Contents::new(self, Part::File, 0);
        if size <= WHOLE {
            let bytes = batch.whole(size)?;
            return contents.end(self, bytes);
        }
        let mut piece = Vec::new();
        loop {
            repository.deadline.left()?;
            batch.piece(PIECE, &mut piece)?;
            if piece.is_empty() {
                return contents.end(self, Vec::new());
            }
            contents.push(self, &piece)?;
        }
    }

    /// A commit or a tag: as it stands, and its message with the ends of lines taken out.
    fn record(&mut self, bytes: &[u8], headers: &Headers<'_>) -> Result<(), Trouble> {
        let part = |at: usize| match headers.part(at) {
            "message" => Part::Message,
            name => Part::Header(name.into()),
        };
        self.text(bytes, |span| part(span.start))?;
        let joined = without(&bytes[headers.message..], |byte| byte.is_ascii_whitespace());
        self.text(&joined, |_| Part::Message)?;
        for (part, text) in
            [(Part::Headers, &bytes[..headers.message]), (Part::Message, &bytes[headers.message..])]
        {
            let piece = self.piece(part);
            self.feeder.add(piece, 1, text);
        }
        Ok(())
    }

    /// A directory: its bytes, which hold the names of submodules' commits too, its paths, and its names joined.
    fn tree(&mut self, object: &Listed, bytes: &[u8], tree: &[Entry<'_>]) -> Result<(), Trouble> {
        self.text(bytes, |_| Part::Names)?;
        let prefix = object.path.as_deref().unwrap_or_default();
        let (mut paths, mut names, mut links) = (Vec::new(), Vec::new(), Vec::new());
        for entry in tree {
            names.extend_from_slice(entry.name);
            if entry.mode == Mode::Submodule {
                links.extend_from_slice(entry.raw);
            }
            let path = if prefix.is_empty() {
                entry.name.to_vec()
            } else {
                [prefix.as_bytes(), b"/", entry.name].concat()
            };
            if self.paths.insert(self.hasher.hash_one(&path)) {
                paths.extend_from_slice(&path);
                paths.push(b'\n');
                if !prefix.is_empty() {
                    paths.extend(without(&path, |byte| byte == b'/'));
                    paths.push(b'\n');
                }
            }
        }
        for text in [&paths, &names, &links] {
            self.text(text, |_| Part::Names)?;
        }
        let piece = self.piece(Part::Names);
        self.feeder.add(piece, 1, &paths);
        Ok(())
    }

    /// Scans a text that is there as a whole.
    fn text(&mut self, text: &[u8], part: impl Fn(Range<usize>) -> Part) -> Result<(), Trouble> {
        let found = self.detectors.scan(text, Enabled::default(), &Shape::Plain);
        let found = found.map_err(|error| self.unscannable(&Part::Message, &error))?;
        for finding in found {
            let span = usize::try_from(finding.span.start).unwrap_or(0)..text.len();
            self.found(&part(span), &finding, None, None);
        }
        Ok(())
    }

    /// Notes a finding. `whole` is all of the contents that it is in, where they are there.
    pub(crate) fn found(&mut self, part: &Part, finding: &Finding, line: Option<u64>, whole: Option<&[u8]>) {
        let is_form = matches!(finding.detector, Detector::TokenPattern(_));
        let excuse = match whole.filter(|_| is_form && *part == Part::File) {
            None => Excuse::Impossible,
            Some(whole) => {
                let at = usize::try_from(finding.span.start).unwrap_or(usize::MAX);
                if excuses_itself(line_at(whole, at)) { Excuse::Comment } else { Excuse::None }
            }
        };
        let rule = match &finding.detector {
            Detector::TokenPattern(rule) => rule.to_string(),
            certain => certain.to_string(),
        };
        self.found.add(Spot { object: self.at, part: part.clone(), rule, line, excuse });
    }

    pub(crate) fn detectors(&self) -> Arc<Detectors> {
        Arc::clone(self.detectors)
    }

    /// A new piece for gitleaks.
    pub(crate) fn piece(&mut self, part: Part) -> u32 {
        self.pieces.push((self.at, part));
        u32::try_from(self.pieces.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn second(&mut self, piece: u32, line: u64, text: &[u8]) {
        self.feeder.add(piece, line, text);
    }

    /// Bytes that may still be unpacked from one packing.
    pub(crate) fn budget(&self) -> u64 {
        self.budget.min(self.limits.object_bytes)
    }

    /// Takes what was unpacked off the budget.
    pub(crate) fn spend(&mut self, part: &Part, bytes: usize) -> Result<(), Trouble> {
        match self.budget.checked_sub(bytes as u64) {
            Some(left) => self.budget = left,
            None => return Err(self.unscannable(part, &"the push unpacks into too much")),
        }
        Ok(())
    }

    pub(crate) fn unscannable(&self, part: &Part, why: &dyn std::fmt::Display) -> Trouble {
        Trouble::In { object: self.at, part: part.clone(), why: why.to_string() }
    }

    pub(crate) fn closed(&self, part: &Part, packing: &str) -> Trouble {
        self.unscannable(
            part,
            &format!("it is packed with {packing}; push it unpacked, or packed with gzip or zip"),
        )
    }

    /// A text without what would be found in it.
    pub(crate) fn scrubbed(&self, text: &str) -> String {
        scrubbed(self.detectors, text)
    }
}

/// A text without what would be found in it, to be shown.
pub(crate) fn scrubbed(detectors: &Detectors, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let joined = without(&bytes, |byte| byte == b'/');
    let is_clean = |text: &[u8]| {
        detectors.scan(text, Enabled::default(), &Shape::Plain).is_ok_and(|found| found.is_empty())
    };
    if is_clean(&bytes) && is_clean(&joined) {
        return text.to_owned();
    }
    scan::blot(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn without(text: &[u8], is_out: impl Fn(u8) -> bool) -> Vec<u8> {
    text.iter().copied().filter(|byte| !is_out(*byte)).collect()
}
