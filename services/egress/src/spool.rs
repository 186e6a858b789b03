//! Records on disk while the bus is away: one file, appended to, replayed in order, emptied when all of it is
//! delivered. It survives the process, and a power failure but for its last second. What the bus refuses for good is
//! kept beside it, for a person to look at.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use handover::spool::{DELIVERED, RECORDS};
use serde::Serialize;

pub use bus::message::egress::Parcel;

/// Bytes of space that are kept for the next messages.
const KEPT: usize = 256 * 1024;

/// The file, and how much of it was delivered.
pub(crate) struct Spool {
    file: File,
    /// What is being appended, kept for its space: growing to it and giving it back costs more than writing it.
    text: Vec<u8>,
    /// Whether the file may hold what the disk does not.
    unsynced: bool,
    mark: Counter,
    batch: Counter,
    refused: PathBuf,
    length: u64,
    delivered: u64,
    /// Bytes of what the bus refused.
    parked: u64,
    limit: u64,
}

/// What the bus refused, as it is kept.
#[derive(Serialize)]
struct Parked<'a> {
    reason: &'a str,
    parcel: &'a Parcel,
}

impl Spool {
    /// Opens the spool in a directory of its own, with what an earlier process left there.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn open(directory: &Path, limit: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let path = directory.join(RECORDS);
        let opened = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let mut file = opened.with_context(|| format!("opening {}", path.display()))?;
        let length = end_line(&mut file).with_context(|| format!("reading {}", path.display()))?;
        let (mark, batch) = (Counter::open(directory, DELIVERED)?, Counter::open(directory, "batch")?);
        let delivered = mark.get().filter(|mark| *mark <= length).unwrap_or(0);
        let refused = directory.join("refused");
        let parked = std::fs::metadata(&refused).map_or(0, |file| file.len());
        Ok(Self {
            file,
            text: Vec::new(),
            unsynced: false,
            mark,
            batch,
            refused,
            length,
            delivered,
            parked,
            limit,
        })
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.delivered == self.length
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.length.saturating_sub(self.delivered)
    }

    /// Whether no further record may come to be.
    pub(crate) fn is_full(&self) -> bool {
        self.length.saturating_add(self.parked) >= self.limit
    }

    /// Appends messages, also over the limit: what has happened is recorded.
    ///
    /// # Errors
    /// The disk is full or gone. Nothing of it counts as written then.
    pub(crate) fn append(&mut self, parcels: &[Parcel]) -> io::Result<()> {
        self.text.clear();
        self.text.shrink_to(KEPT);
        for parcel in parcels {
            serde_json::to_writer(&mut self.text, parcel)?;
            self.text.push(b'\n');
        }
        if let Err(error) = self.file.write_all(&self.text) {
            // A line that was begun must not garble the next one.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += self.text.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Brings what was appended to the disk itself. It may take long.
    ///
    /// # Errors
    /// The disk's own; then it is tried again the next time.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Keeps a message that the bus will never take, with the reason, in a file of its own.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn park(&mut self, parcel: &Parcel, reason: &str) -> io::Result<()> {
        let mut text = serde_json::to_vec(&Parked { reason, parcel })?;
        text.push(b'\n');
        OpenOptions::new().create(true).append(true).open(&self.refused)?.write_all(&text)?;
        self.parked += text.len() as u64;
        Ok(())
    }

    /// The next messages, at most `count`, and the place after them. A line that is none is passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn next(&mut self, count: usize) -> io::Result<(Vec<Parcel>, u64)> {
        self.file.seek(SeekFrom::Start(self.delivered))?;
        let mut reader = BufReader::new(&self.file);
        let mut parcels = Vec::new();
        let mut place = self.delivered;
        let mut line = Vec::new();
        while parcels.len() < count {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            place += read as u64;
            match serde_json::from_slice(&line) {
                Ok(parcel) => parcels.push(parcel),
                Err(_) => tracing::error!("a spooled record cannot be read and is passed over"),
            }
        }
        Ok((parcels, place))
    }

    /// Notes that everything before `place` was delivered; a spool without more is emptied.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn delivered(&mut self, place: u64) -> io::Result<()> {
        self.delivered = place;
        if self.is_empty() && self.length > 0 {
            self.file.set_len(0)?;
            (self.length, self.delivered) = (0, 0);
        }
        self.mark.set(self.delivered)
    }

    /// The number of the bottle's last batch, which goes on counting after a restart.
    pub(crate) fn last_batch(&self) -> u64 {
        self.batch.get().unwrap_or(0)
    }

    /// Notes the number of a batch before it is sent, so that it is never used twice.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn note_batch(&self, batch: u64) -> io::Result<()> {
        self.batch.set(batch)
    }
}

/// A file that holds one number, always as long as the longest: it is overwritten in place, since a file that is cut
/// and written anew costs a write to the disk each time.
struct Counter(File);

impl Counter {
    fn open(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let path = directory.join(name);
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        opened.map(Self).with_context(|| format!("opening {}", path.display()))
    }

    fn get(&self) -> Option<u64> {
        let mut text = [0; LONGEST];
        let read = self.0.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..read]).ok()?.trim().parse().ok()
    }

    fn set(&self, number: u64) -> io::Result<()> {
        self.0.write_all_at(format!("{number:0LONGEST$}").as_bytes(), 0)
    }
}

/// Digits of the longest number.
const LONGEST: usize = 20;

/// Ends a line that a killed process had begun. The length of the file.
fn end_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            return Ok(length + 1);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::message::Version;
    use bus::message::egress::Log;

    fn log(batch: u64) -> Parcel {
        Parcel::Log(Log { v: Version, bottle: "agent-abcde".parse().unwrap(), batch, lines: Vec::new() })
    }

    #[test]
    fn gives_back_in_order_what_an_earlier_process_left() {
        let home = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(home.path(), 1000).unwrap();
        assert!(spool.is_empty());
        spool.append(&[log(1), log(2), log(3)]).unwrap();
        let (first, place) = spool.next(1).unwrap();
        assert_eq!(first, [log(1)]);
        spool.delivered(place).unwrap();
        drop(spool);

        let mut spool = Spool::open(home.path(), 1000).unwrap();
        spool.append(&[log(4)]).unwrap();
        let (rest, place) = spool.next(10).unwrap();
        assert_eq!(rest, [log(2), log(3), log(4)]);
        spool.delivered(place).unwrap();
        assert!(spool.is_empty());
        assert_eq!(std::fs::metadata(home.path().join("records")).unwrap().len(), 0);
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let home = tempfile::tempdir().unwrap();
        Spool::open(home.path(), 1000).unwrap().append(&[log(1)]).unwrap();
        let mut torn = OpenOptions::new().append(true).open(home.path().join("records")).unwrap();
        torn.write_all(br#"{"is":"log","v":1"#).unwrap();
        let mut spool = Spool::open(home.path(), 1000).unwrap();
        spool.append(&[log(2)]).unwrap();
        assert_eq!(spool.next(10).unwrap().0, [log(1), log(2)]);
    }

    #[test]
    fn what_the_bus_refuses_is_kept_and_counts() {
        let home = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(home.path(), 10).unwrap();
        spool.park(&log(1), "too large").unwrap();
        assert!(spool.is_empty() && spool.is_full());
        let kept = std::fs::read_to_string(home.path().join("refused")).unwrap();
        assert!(
            kept.starts_with(r#"{"reason":"too large","parcel":{"is":"log""#) && kept.ends_with('\n'),
            "{kept}"
        );
        assert!(Spool::open(home.path(), 10).unwrap().is_full());
    }

    #[test]
    fn is_full_at_its_limit_and_counts_batches_on() {
        let home = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(home.path(), 10).unwrap();
        assert!(!spool.is_full());
        spool.append(&[log(1)]).unwrap();
        assert!(spool.is_full());
        spool.note_batch(7).unwrap();
        assert_eq!(Spool::open(home.path(), 10).unwrap().last_batch(), 7);
    }
}
