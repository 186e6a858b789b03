//! A sidecar's log, bounded: an agent can make its sidecar complain as often as it likes.

use std::io::{self, PipeWriter};
use std::path::PathBuf;

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

/// The size of a log file, in bytes, at which it becomes the older one of the two that are kept.
pub(super) const MOST: u64 = 4 << 20;
/// Begins a file after the first.
const ROLLED: &[u8] =
    "… older lines are in the file with .old at its end, and those before them are gone\n".as_bytes();
/// How much is read at once.
const PIECE: usize = 16 * 1024;

/// Takes what a sidecar writes until nobody can write any more, or until it is dropped.
pub(super) struct SidecarLog(JoinSet<()>);

impl SidecarLog {
    /// Writes to `path` and rolls it over to `path.old` at `most` bytes; returns the end to write to.
    ///
    /// # Errors
    /// The file cannot be made, or the process is out of descriptors.
    pub(super) fn open(path: PathBuf, most: u64) -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        let file = std::fs::File::options().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        let mut task = JoinSet::new();
        task.spawn(take(reader, Rolling { path, file: file.into(), size, most }));
        Ok((Self(task), writer))
    }

    /// Waits until everything that was written is in the file. Cancel-safe.
    pub(super) async fn end(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Reads to the end, whatever becomes of the file: a full disk must not stop the sidecar.
async fn take(mut pipe: pipe::Receiver, mut log: Rolling) {
    let mut piece = Vec::with_capacity(PIECE);
    let mut told = false;
    while pipe.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
        if let Err(error) = log.write(&piece).await
            && !std::mem::replace(&mut told, true)
        {
            let path = log.path.display().to_string();
            tracing::warn!(path, error = base::error::chain(&error), "a sidecar's log cannot be written");
        }
        piece.clear();
    }
}

struct Rolling {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
}

impl Rolling {
    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.size.saturating_add(piece.len() as u64) > self.most {
            fs::rename(&self.path, self.path.with_added_extension("old")).await?;
            self.file = File::create(&self.path).await?;
            self.size = ROLLED.len() as u64;
            self.file.write_all(ROLLED).await?;
        }
        self.file.write_all(piece).await?;
        // A file of Tokio's answers before it has written.
        self.file.flush().await?;
        self.size += piece.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[tokio::test]
    async fn the_newest_lines_stay_and_the_size_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("egress.log");
        let (mut log, mut writer) = SidecarLog::open(path.clone(), 100_000).unwrap();
        let writing = std::thread::spawn(move || {
            for line in 0..100_000 {
                writeln!(writer, "line {line}").unwrap();
            }
        });
        log.end().await;
        writing.join().unwrap();
        let (old, new) = (path.with_extension("log.old"), std::fs::read(&path).unwrap());
        assert!(new.starts_with(ROLLED) && new.ends_with(b"line 99999\n"));
        let kept = std::fs::read(old).unwrap();
        assert!(kept.len() <= 100_000 && new.len() <= 100_000, "{} {}", kept.len(), new.len());
        // Nothing between the two is lost.
        let all = [&kept[ROLLED.len()..], &new[ROLLED.len()..]].concat();
        let lines = String::from_utf8(all).unwrap();
        let numbers: Vec<u32> = lines.lines().skip(1).map(|l| l[5..].parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
    }
}
