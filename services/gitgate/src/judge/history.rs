//! The new commits, and which of them change what the forge runs (G7).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::batch::{Kind, Lookup};
use super::parse::{Commit, Entry, Headers, Mode, entries};
use super::program::Repository;
use super::trouble::Trouble;
use super::workflow::{self, Interest};
use crate::object::ObjectId;

/// The largest commit, tag or tree that is read, in bytes.
const RECORD: u64 = 16 << 20;
/// Directories in each other that are looked into.
const DEPTH: usize = 16;
/// Tags of tags that are followed.
const TAGS: usize = 16;
/// Workflow files of one commit.
const FILES: usize = 10_000;

/// The new commits, by name.
#[derive(Debug, Default)]
pub(crate) struct History {
    commits: HashMap<ObjectId, (u32, Commit)>,
    /// By root tree: its entries that have to do with workflows.
    roots: HashMap<ObjectId, Vec<Kept>>,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    name: Vec<u8>,
    mode: Mode,
    id: ObjectId,
}

/// Workflow files by path, with what they are.
type Files = BTreeMap<Vec<u8>, (Mode, ObjectId)>;

impl History {
    pub(crate) fn commit(&mut self, id: &ObjectId, at: u32, commit: Commit) {
        self.commits.insert(id.clone(), (at, commit));
    }

    pub(crate) fn root(&mut self, id: &ObjectId, tree: &[Entry<'_>]) {
        self.roots.insert(id.clone(), kept(tree));
    }
}

fn kept(tree: &[Entry<'_>]) -> Vec<Kept> {
    let of_interest = tree.iter().filter(|entry| workflow::interest(entry.name) != Interest::None);
    of_interest.filter_map(keep).collect()
}

fn keep(entry: &Entry<'_>) -> Option<Kept> {
    Some(Kept { name: entry.name.to_vec(), mode: entry.mode, id: entry.id()? })
}

/// Reads what the look has not kept.
pub(crate) struct Reader<'a> {
    history: History,
    lookup: Lookup,
    repository: &'a Repository<'a>,
    /// By what a root tree holds of interest.
    files: HashMap<Vec<Kept>, Rc<Files>>,
    /// Root trees of commits that are not new.
    old: HashMap<ObjectId, ObjectId>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(history: History, repository: &'a Repository<'a>) -> Result<Self, Trouble> {
        let lookup = Lookup::new(repository)?;
        Ok(Self { history, lookup, repository, files: HashMap::new(), old: HashMap::new() })
    }

    /// For each ref that gets a new tip: the workflow files that are other ones with it than without it.
    ///
    /// A new commit changes a file when none of its parents has it so. Where upstream's default branch moves, what it
    /// has changes as well, whoever made the commits.
    pub(crate) fn changes(&mut self, default: Option<&str>) -> Result<Vec<BTreeSet<Vec<u8>>>, Trouble> {
        let mut changing: HashMap<ObjectId, BTreeSet<Vec<u8>>> = HashMap::new();
        let commits: Vec<_> =
            self.history.commits.iter().map(|(id, (_, commit))| (id.clone(), commit.clone())).collect();
        for (id, commit) in commits {
            self.repository.deadline.left()?;
            let paths = self.changed_by(&commit)?;
            if !paths.is_empty() {
                changing.insert(id, paths);
            }
        }
        let mut changes = Vec::new();
        for update in &self.repository.push.updates {
            let mut paths = BTreeSet::new();
            if let Some(new) = &update.new {
                self.collect(new, &changing, &mut paths)?;
                let is_default = default.is_some_and(|name| name.eq_ignore_ascii_case(update.name.as_str()));
                if let Some(old) = update.old.as_ref().filter(|_| is_default) {
                    paths.extend(self.between(old, new)?);
                }
            }
            changes.push(paths);
        }
        Ok(changes)
    }

    fn changed_by(&mut self, commit: &Commit) -> Result<BTreeSet<Vec<u8>>, Trouble> {
        let new = self.files_of(&commit.tree)?;
        let mut parents = Vec::new();
        for parent in &commit.parents {
            let tree = self.tree_of(parent)?;
            parents.push(self.files_of(&tree)?);
        }
        if parents.iter().any(|parent| Rc::ptr_eq(parent, &new)) {
            return Ok(BTreeSet::new());
        }
        let paths = new.keys().chain(parents.iter().flat_map(|parent| parent.keys()));
        let differs = |path: &&Vec<u8>| parents.iter().all(|parent| parent.get(*path) != new.get(*path));
        let is_there = |path: &&Vec<u8>| !parents.is_empty() || new.contains_key(*path);
        Ok(paths.filter(differs).filter(is_there).cloned().collect())
    }

    /// What differs between two tips.
    fn between(&mut self, old: &ObjectId, new: &ObjectId) -> Result<BTreeSet<Vec<u8>>, Trouble> {
        let mut files = Vec::new();
        for id in [old, new] {
            let commit = self.peel(id)?;
            files.push(match commit {
                Some(commit) => {
                    let tree = self.tree_of(&commit)?;
                    self.files_of(&tree)?
                }
                None => Rc::default(),
            });
        }
        let paths = files[0].keys().chain(files[1].keys());
        Ok(paths.filter(|path| files[0].get(*path) != files[1].get(*path)).cloned().collect())
    }

    /// Adds what the new commits that a tip reaches change.
    fn collect(
        &mut self,
        tip: &ObjectId,
        changing: &HashMap<ObjectId, BTreeSet<Vec<u8>>>,
        paths: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), Trouble> {
        if changing.is_empty() {
            return Ok(());
        }
        let mut waiting: Vec<ObjectId> = self.peel(tip)?.into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(id) = waiting.pop() {
            let Some((_, commit)) = self.history.commits.get(&id) else { continue };
            if seen.insert(id.clone()) {
                self.repository.deadline.left()?;
                paths.extend(changing.get(&id).into_iter().flatten().cloned());
                waiting.extend(commit.parents.iter().cloned());
            }
        }
        Ok(())
    }

    /// The commit that a tip is, or that its tag names.
    fn peel(&mut self, tip: &ObjectId) -> Result<Option<ObjectId>, Trouble> {
        let mut id = tip.clone();
        for _ in 0..TAGS {
            if self.history.commits.contains_key(&id) {
                return Ok(Some(id));
            }
            id = match self.lookup.kind(&id)? {
                Kind::Commit => return Ok(Some(id)),
                Kind::Tree | Kind::Blob => return Ok(None),
                Kind::Tag => {
                    let (_, bytes) = self.lookup.get(&id, RECORD)?;
                    let tag = Headers::read(&bytes).and_then(|headers| headers.tag());
                    tag.map_err(|error| Trouble::object(&id, error))?.object
                }
            };
        }
        Err(Trouble::object(tip, format!("it is a tag of a tag, more than {TAGS} times over")))
    }

    fn tree_of(&mut self, commit: &ObjectId) -> Result<ObjectId, Trouble> {
        if let Some((_, known)) = self.history.commits.get(commit) {
            return Ok(known.tree.clone());
        }
        if let Some(tree) = self.old.get(commit) {
            return Ok(tree.clone());
        }
        let (kind, bytes) = self.lookup.get(commit, RECORD)?;
        if kind != Kind::Commit {
            return Err(Trouble::object(commit, "it is named as a commit and is none"));
        }
        let read = Headers::read(&bytes).and_then(|headers| headers.commit());
        let tree = read.map_err(|error| Trouble::object(commit, error))?.tree;
        self.old.insert(commit.clone(), tree.clone());
        Ok(tree)
    }

    fn files_of(&mut self, root: &ObjectId) -> Result<Rc<Files>, Trouble> {
        let kept = match self.history.roots.get(root) {
            Some(kept) => kept.clone(),
            None => {
                let kept: Vec<_> = self
                    .read_tree(root)?
                    .into_iter()
                    .filter(|e| workflow::interest(&e.name) != Interest::None)
                    .collect();
                self.history.roots.insert(root.clone(), kept.clone());
                kept
            }
        };
        if let Some(files) = self.files.get(&kept) {
            return Ok(Rc::clone(files));
        }
        let mut files = Files::new();
        for entry in &kept {
            self.enter(entry, &entry.name, workflow::interest(&entry.name), 0, &mut files)?;
        }
        let files = Rc::new(files);
        self.files.insert(kept, Rc::clone(&files));
        Ok(files)
    }

    fn enter(
        &mut self,
        entry: &Kept,
        path: &[u8],
        interest: Interest,
        depth: usize,
        files: &mut Files,
    ) -> Result<(), Trouble> {
        if entry.mode != Mode::Tree {
            // What is no directory where a directory is expected is a change like any other.
            files.insert(path.to_vec(), (entry.mode, entry.id.clone()));
            return Ok(());
        }
        if depth == DEPTH || files.len() > FILES {
            return Err(Trouble::object(&entry.id, "its workflow files are too many, or lie too deep"));
        }
        for child in self.read_tree(&entry.id)? {
            let below = interest.below(&child.name);
            if below != Interest::None {
                let path = [path, b"/", &child.name].concat();
                self.enter(&child, &path, below, depth + 1, files)?;
            }
        }
        Ok(())
    }

    fn read_tree(&mut self, id: &ObjectId) -> Result<Vec<Kept>, Trouble> {
        self.repository.deadline.left()?;
        let (kind, bytes) = self.lookup.get(id, RECORD)?;
        if kind != Kind::Tree {
            return Err(Trouble::object(id, "it is named as a tree and is none"));
        }
        let tree = entries(&bytes, id.as_str().len() / 2).map_err(|error| Trouble::object(id, error))?;
        Ok(tree.iter().filter_map(keep).collect())
    }

    /// A file of a tip's root, if it is there and not larger than `most`.
    pub(crate) fn file_at_root(
        &mut self,
        tip: &ObjectId,
        name: &[u8],
        most: u64,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(commit) = self.peel(tip)? else { return Ok(None) };
        let tree = self.tree_of(&commit)?;
        let entry = self.read_tree(&tree)?.into_iter().find(|entry| entry.name == name);
        let Some(entry) = entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)) else {
            return Ok(None);
        };
        self.blob(&entry.id, most).map(Some)
    }

    /// A blob that is not larger than `most`.
    pub(crate) fn blob(&mut self, id: &ObjectId, most: u64) -> Result<Vec<u8>, Trouble> {
        Ok(self.lookup.get(id, most)?.1)
    }
}
