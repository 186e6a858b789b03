//! Exactly what is new: what the agent sent, and what the new tips reach and upstream's refs do not.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use handover::gitgate::GateLimits;

use super::batch::Lookup;
use super::parse::Headers;
use super::program::{Repository, View};
use super::trouble::Trouble;
use crate::object::ObjectId;

/// The longest line that git writes of an object: its name and a path.
const LONGEST_LINE: usize = 64 << 10;
/// The largest commit, in bytes.
const RECORD: u64 = 16 << 20;
/// Bytes of paths that are kept for naming files; what comes later is named by its object alone.
const PATHS: usize = 64 << 20;

/// An object to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: ObjectId,
    /// Where it was first reached, for files and directories. Untrusted bytes, and only for naming it.
    pub(crate) path: Option<Box<str>>,
    /// The place in the list of the commit that brought it.
    pub(crate) commit: Option<u32>,
    /// Whether a new tip reaches it.
    pub(crate) is_reached: bool,
}

/// Everything that is new, the oldest commits first, each followed by what it brought.
pub(crate) fn list(repository: &Repository<'_>, limits: &GateLimits) -> Result<Vec<Listed>, Trouble> {
    let mut listed = reached(repository, limits)?;
    disown(repository, &mut listed)?;
    let known: HashSet<&ObjectId> = listed.iter().map(|listed| &listed.id).collect();
    let mut stray = Vec::new();
    for id in quarantined(repository, limits)? {
        if !known.contains(&id) {
            stray.push(id);
        }
    }
    drop(known);
    // What completes a thin pack is the mirror's own: it neither comes from the agent nor leaves with this push.
    let mine = held_by_mirror(repository, &stray)?;
    let strays = stray.into_iter().filter(|id| !mine.contains(id));
    listed.extend(strays.map(|id| Listed { id, path: None, commit: None, is_reached: false }));
    check_count(listed.len(), limits)?;
    Ok(listed)
}

/// What is reached by a tag, or is a tip without being a commit, git lists behind the first commit and before that
/// commit's tree. No commit brought it.
fn disown(repository: &Repository<'_>, listed: &mut [Listed]) -> Result<(), Trouble> {
    let Some(first) = listed.iter().position(|listed| listed.path.is_none()) else { return Ok(()) };
    let commit = u32::try_from(first).ok();
    let tips: HashSet<&ObjectId> =
        repository.push.updates.iter().filter_map(|update| update.new.as_ref()).collect();
    let is_tip = |listed: &Listed| listed.path.is_some() && tips.contains(&listed.id);
    if !listed.iter().any(is_tip) {
        return Ok(());
    }
    let (_, bytes) = Lookup::new(repository)?.get(&listed[first].id, RECORD)?;
    let read = Headers::read(&bytes).and_then(|headers| headers.commit());
    let tree = read.map_err(|error| Trouble::object(&listed[first].id, error))?.tree;
    let of_first = listed.iter_mut().skip(first + 1).take_while(|listed| listed.commit == commit);
    for listed in of_first.take_while(|listed| listed.id != tree) {
        listed.commit = None;
    }
    Ok(())
}

fn check_count(count: usize, limits: &GateLimits) -> Result<(), Trouble> {
    if count as u64 > limits.objects {
        return Err(Trouble::TooLarge { what: "objects", most: limits.objects });
    }
    Ok(())
}

/// What the new tips reach and upstream's refs, as the mirror has them, do not.
fn reached(repository: &Repository<'_>, limits: &GateLimits) -> Result<Vec<Listed>, Trouble> {
    let doing = "listing what is new";
    let tips = repository.push.updates.iter().filter_map(|update| update.new.as_ref());
    let input = repository.lines(tips.map(ObjectId::as_str))?;
    let arguments = [
        "rev-list",
        "--objects",
        "--in-commit-order",
        "--topo-order",
        "--reverse",
        "--stdin",
        "--not",
        "--all",
    ];
    let mut input = BufReader::new(repository.start(doing, View::Both, &arguments, Some(input))?);
    let mut listed: Vec<Listed> = Vec::new();
    let (mut line, mut commit, mut room) = (Vec::new(), None, PATHS);
    loop {
        line.clear();
        let read = (&mut input).take(LONGEST_LINE as u64).read_until(b'\n', &mut line);
        if read.map_err(|error| input.get_ref().failed(error))? == 0 {
            break;
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(Trouble::git(doing, "a line of its answer is too long or cut off"));
        };
        let (id, path) = match text.iter().position(|byte| *byte == b' ') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let id = read_id(id).ok_or_else(|| Trouble::git(doing, "a line of its answer names no object"))?;
        // A commit is the one kind that is written without a space behind it.
        if path.is_none() {
            commit = u32::try_from(listed.len()).ok();
        }
        let path = path.filter(|path| path.len() <= room).map(|path| {
            room -= path.len();
            String::from_utf8_lossy(path).into_owned().into_boxed_str()
        });
        listed.push(Listed { id, path, commit, is_reached: true });
        check_count(listed.len(), limits)?;
    }
    input.into_inner().succeed()?;
    Ok(listed)
}

fn read_id(text: &[u8]) -> Option<ObjectId> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Everything in the quarantine, whatever reaches it.
fn quarantined(repository: &Repository<'_>, limits: &GateLimits) -> Result<Vec<ObjectId>, Trouble> {
    let doing = "listing what was sent";
    let Some(quarantine) = &repository.push.quarantine else { return Ok(Vec::new()) };
    let arguments =
        ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize)"];
    let running = repository.start(doing, View::Quarantine, &arguments, None)?;
    let mut input = BufReader::new(running);
    let (mut found, mut bytes, mut line) = (Vec::new(), 0u64, String::new());
    loop {
        line.clear();
        if input.read_line(&mut line).map_err(|error| input.get_ref().failed(error))? == 0 {
            break;
        }
        let read = line
            .trim_end()
            .split_once(' ')
            .and_then(|(id, size)| Some((id.parse::<ObjectId>().ok()?, size.parse::<u64>().ok()?)));
        let (id, size) = read.ok_or_else(|| Trouble::git(doing, "a line of its answer cannot be read"))?;
        bytes = bytes.saturating_add(size);
        check_sizes(size, bytes, limits)?;
        found.push(id);
        check_count(found.len(), limits)?;
    }
    input.into_inner().succeed()?;
    let held = held(quarantine).map_err(Trouble::io("counting what was sent"))?;
    if held != found.len() as u64 {
        return Err(Trouble::git(doing, format!("it lists {} objects, and {held} were sent", found.len())));
    }
    Ok(found)
}

/// How many objects a directory holds: as many as its packs say, and each file in the directories for single ones.
fn held(quarantine: &Path) -> io::Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(quarantine)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "pack" {
            for pack in std::fs::read_dir(entry.path())? {
                let path = pack?.path();
                if path.extension().is_some_and(|extension| extension == "pack") {
                    let mut header = [0; 12];
                    std::fs::File::open(path)?.read_exact(&mut header)?;
                    let [.., a, b, c, d] = header;
                    count += u64::from(u32::from_be_bytes([a, b, c, d]));
                }
            }
        } else if name.len() == 2 {
            count += std::fs::read_dir(entry.path())?.count() as u64;
        }
    }
    Ok(count)
}

/// Holds an object, and all so far, to the limits.
pub(crate) fn check_sizes(size: u64, sum: u64, limits: &GateLimits) -> Result<(), Trouble> {
    if size > limits.object_bytes {
        return Err(Trouble::TooLarge { what: "bytes in one object", most: limits.object_bytes });
    }
    if sum > limits.unpacked_bytes {
        return Err(Trouble::TooLarge { what: "bytes in all objects", most: limits.unpacked_bytes });
    }
    Ok(())
}

/// Which of these the mirror has.
fn held_by_mirror(repository: &Repository<'_>, ids: &[ObjectId]) -> Result<HashSet<ObjectId>, Trouble> {
    let doing = "looking for objects in the mirror";
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let input = repository.lines(ids.iter().map(ObjectId::as_str))?;
    let arguments = ["cat-file", "--batch-check=%(objectname)", "--buffer"];
    let mut input = BufReader::new(repository.start(doing, View::Mirror, &arguments, Some(input))?);
    let mut held = HashMap::new();
    let mut line = String::new();
    for id in ids {
        line.clear();
        input.read_line(&mut line).map_err(|error| input.get_ref().failed(error))?;
        let is_held = match line.trim_end().strip_prefix(id.as_str()) {
            Some("") => true,
            Some(" missing") => false,
            _ => return Err(Trouble::git(doing, "it answered about another object")),
        };
        held.insert(id, is_held);
    }
    input.into_inner().succeed()?;
    Ok(held.into_iter().filter(|(_, is_held)| *is_held).map(|(id, _)| id.clone()).collect())
}
