//! Archives of trees that agents made, and archives that nobody should have made.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod forged;
mod in_use;
mod trees;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use archive::{Contents, Limits, Odd, PackError, Rules, pack, survey};

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 1000 };
const PLAIN: Rules = Rules { links: Odd::Skip, specials: Odd::Skip, in_use: false, limits: LIMITS };
const WITH_LINKS: Rules = Rules { links: Odd::Keep, ..PLAIN };

fn packed(root: &Path, paths: &[&str], rules: &Rules) -> Result<(Contents, Vec<u8>), PackError> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut archive = Vec::new();
    let contents = pack(root, &paths, rules, &mut archive)?;
    assert_eq!(survey(root, &paths, rules).unwrap(), contents);
    Ok((contents, archive))
}

/// A name beside every file and link of a tree, with what it holds.
fn shown(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else if meta.is_dir() {
                left.push(path);
            } else {
                lines.push(format!(
                    "{name} {:o} {:?}",
                    meta.mode() & 0o7777,
                    fs::read_to_string(&path).unwrap()
                ));
            }
        }
    }
    lines.sort();
    lines
}
