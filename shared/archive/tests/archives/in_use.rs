//! Trees in which an agent works while they are packed.

use std::fs;
use std::path::{Path, PathBuf};

use archive::{Limits, Odd, PackError, Rules, pack, unpack};
use tempfile::tempdir;

use super::WITH_LINKS;

const IN_USE: Rules = Rules { in_use: true, limits: Limits { bytes: 64 << 20, entries: 1000 }, ..WITH_LINKS };

/// Where an archive goes; with its first bytes something happens to what is being packed.
struct Meanwhile<F: FnMut()> {
    archive: Vec<u8>,
    happens: Option<F>,
}

impl<F: FnMut()> std::io::Write for Meanwhile<F> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if let Some(mut happens) = self.happens.take() {
            happens();
        }
        self.archive.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_tree_that_changes_meanwhile_is_packed_if_it_is_known_to_be_in_use() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let noise: Vec<u8> = (0..8 << 20).map(|_| rand_byte()).collect();
    let prepare = || {
        fs::write(from.path().join("a"), "before").unwrap();
        fs::write(from.path().join("big"), &noise).unwrap();
        fs::create_dir_all(from.path().join("gone/deep")).unwrap();
        fs::write(from.path().join("gone-too"), "x").unwrap();
        fs::write(from.path().join("z"), "after").unwrap();
    };
    let change = || {
        fs::File::options().write(true).open(from.path().join("big")).unwrap().set_len(1 << 20).unwrap();
        fs::remove_dir_all(from.path().join("gone")).unwrap();
        fs::remove_file(from.path().join("gone-too")).unwrap();
    };
    let pack_meanwhile = |rules: &Rules| {
        prepare();
        let mut to = Meanwhile { archive: Vec::new(), happens: Some(change) };
        pack(from.path(), &[PathBuf::new()], rules, &mut to).map(|contents| (contents, to.archive))
    };
    let error = pack_meanwhile(&Rules { in_use: false, ..IN_USE }).unwrap_err();
    assert!(matches!(error, PackError::Changed(path) if path == Path::new("big")));

    let (contents, archive) = pack_meanwhile(&IN_USE).unwrap();
    assert_eq!((contents.files, contents.directories, contents.torn), (3, 0, 1));
    unpack(&archive[..], to.path(), Path::new(""), Odd::Keep, IN_USE.limits).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("a")).unwrap(), "before");
    assert_eq!(fs::read_to_string(to.path().join("z")).unwrap(), "after");
    let big = fs::read(to.path().join("big")).unwrap();
    assert!(big.len() == noise.len() && big[..1 << 20] == noise[..1 << 20]);
    assert!(big.ends_with(&[0; 1 << 20]), "it is not filled up");
}

fn rand_byte() -> u8 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}

/// An agent may nest deeper than any path can say.
#[test]
fn what_is_deeper_than_a_path_can_say_is_left_out_of_a_tree_in_use() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let from = tempdir().unwrap();
    fs::write(from.path().join("file"), "x").unwrap();
    let name = "d".repeat(250);
    let mut here = openat(CWD, from.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        mkdirat(&here, name.as_str(), Mode::RWXU).unwrap();
        here = openat(&here, name.as_str(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    assert!(pack(from.path(), &[PathBuf::new()], &Rules { in_use: false, ..IN_USE }, Vec::new()).is_err());
    let mut archive = Vec::new();
    let contents = pack(from.path(), &[PathBuf::new()], &IN_USE, &mut archive).unwrap();
    assert_eq!((contents.files, contents.directories, contents.torn), (1, 16, 1));
    let to = tempdir().unwrap();
    unpack(&archive[..], to.path(), Path::new(""), Odd::Keep, IN_USE.limits).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("file")).unwrap(), "x");
}
