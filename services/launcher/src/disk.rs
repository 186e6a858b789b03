//! Keeping a bottle's home within its limit. No kernel lets an ordinary user limit a directory on the host's disk, so
//! it is measured.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat, statvfs};

/// The shortest time from one measurement to the next.
const PAUSE: Duration = Duration::from_secs(2);
/// And how many times longer than the measurement itself it is: this much of a processor's time goes into it.
const SHARE: u32 = 20;
/// What every file and directory counts at least, so that their number is limited too.
const LEAST: u64 = 4096;
/// Bytes that bottles leave to their host. This also stops what cannot be measured: files that were deleted and are
/// still open, and directories that are closed to the launcher or nested deeper than a path can say.
const RESERVE: u64 = 512 << 20;

/// Why a bottle must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// Its home is over its limit of this many bytes.
    Home(u64),
    /// The host has only this many bytes left.
    Host(u64),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(limit) => write!(f, "disk: the home grew over its limit of {} MiB", limit >> 20),
            Self::Host(free) => write!(
                f,
                "disk: the host has {} MiB left where the bottles' state is, and bottles leave it {} MiB",
                free >> 20,
                RESERVE >> 20
            ),
        }
    }
}

fn judge(taken: u64, limit: u64, free: u64) -> Option<Full> {
    match () {
        () if taken > limit => Some(Full::Home(limit)),
        () if free < RESERVE => Some(Full::Host(free)),
        () => None,
    }
}

/// Completes, with the reason, when `home` takes more than `limit` bytes, or when the host's disk is nearly full.
pub(crate) async fn filled(home: PathBuf, limit: u64) -> String {
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let (looked, began) = (home.clone(), Instant::now());
        let full = tokio::task::spawn_blocking(move || look(&looked, limit)).await;
        match full.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(Some(full)) => return full.to_string(),
            Ok(None) => {}
            Err(error) => {
                let home = home.display().to_string();
                tracing::warn!(home, error = base::error::chain(&error), "a home was not measured");
            }
        }
        pause = PAUSE.max(began.elapsed() * SHARE);
    }
}

fn look(home: &Path, limit: u64) -> io::Result<Option<Full>> {
    let host = statvfs(home)?;
    Ok(judge(taken(home, limit)?, limit, host.f_bavail.saturating_mul(host.f_frsize)))
}

/// The bytes that a tree takes, or some number above `enough` when it takes more than that. Links are not followed, nor
/// other file systems entered.
fn taken(tree: &Path, enough: u64) -> io::Result<u64> {
    const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    const INSIDE: ResolveFlags =
        ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);
    let top = openat(CWD, tree, DIRECTORY.union(OFlags::NOFOLLOW), Mode::empty())?;
    let mut total = 0_u64;
    let mut left = vec![PathBuf::from(".")];
    while let Some(path) = left.pop() {
        // It may be gone by now; see RESERVE for the rest.
        let Ok(directory) = openat2(&top, &path, DIRECTORY, Mode::empty(), INSIDE) else { continue };
        for entry in Dir::read_from(&directory)?.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
            // A file with many names is found under each of them.
            let names = if is_directory { 1 } else { stat.st_nlink.max(1) };
            let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
            total = total.saturating_add(bytes.max(LEAST) / names);
            if total > enough {
                return Ok(total);
            }
            if is_directory {
                left.push(path.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_a_tree_takes() {
        let home = tempfile::tempdir().unwrap();
        let within = |bytes: std::ops::Range<u64>| {
            let found = taken(home.path(), u64::MAX).unwrap();
            assert!(bytes.contains(&found), "{found} is not in {bytes:?}");
        };
        within(0..1);
        fs::create_dir_all(home.path().join("a/b/c")).unwrap();
        fs::write(home.path().join("a/b/c/file"), vec![1; MIB as usize]).unwrap();
        within(MIB..MIB + MIB / 8);
        // Neither a second name nor a hole nor what a link points to takes anything.
        fs::hard_link(home.path().join("a/b/c/file"), home.path().join("again")).unwrap();
        fs::File::create(home.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        symlink("/usr", home.path().join("usr")).unwrap();
        symlink("..", home.path().join("a/up")).unwrap();
        within(MIB..MIB + MIB / 8);
        for number in 0..256 {
            fs::write(home.path().join(format!("a/{number}")), "").unwrap();
        }
        within(2 * MIB..2 * MIB + MIB / 8);
        assert!((MIB + 1..2 * MIB).contains(&taken(home.path(), MIB).unwrap()));
    }

    #[test]
    fn when_a_bottle_must_end() {
        for (taken, limit, free, expected) in [
            (10, 10, RESERVE, None),
            (11, 10, RESERVE, Some(Full::Home(10))),
            (0, 10, RESERVE - 1, Some(Full::Host(RESERVE - 1))),
            (11, 10, 0, Some(Full::Home(10))),
        ] {
            assert_eq!(judge(taken, limit, free), expected, "{taken} {limit} {free}");
        }
        insta::assert_snapshot!(Full::Home(16 << 30), @"disk: the home grew over its limit of 16384 MiB");
        insta::assert_snapshot!(
            Full::Host(100 << 20),
            @"disk: the host has 100 MiB left where the bottles' state is, and bottles leave it 512 MiB"
        );
    }
}
