//! What a proxy has kept; see [`handover::spool`].

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bus::message::egress::Parcel;
use rustix::fs::CWD;

use super::LONGEST;
use super::foreign::Foreign;

/// The files, by the names that `handover::spool` says.
pub(super) const RECORDS: &CStr = c"records";
pub(super) const DELIVERED: &CStr = c"delivered";

/// The most that is read: twice what a proxy keeps.
const MOST: u64 = 128 << 20;
/// The most that is read at a time, but for a line.
const CHUNK: usize = 4 << 20;

/// Whether any messages wait.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn waits(directory: &Foreign) -> io::Result<bool> {
    let length = directory.length(RECORDS)?.unwrap_or(0);
    Ok(delivered(directory, length)? < length)
}

/// How many bytes the bus has. What is no number, or no place in the file, counts as none: rather twice than never.
fn delivered(directory: &Foreign, length: u64) -> io::Result<u64> {
    let text = directory.read(DELIVERED, 64)?;
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    Ok(number.filter(|number| *number <= length).unwrap_or(0))
}

/// The messages that wait.
pub(super) struct Waiting {
    file: BufReader<File>,
    mark: PathBuf,
    place: u64,
    is_cut: bool,
}

/// Some of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) parcels: Vec<Parcel>,
    /// Lines that are none.
    pub(super) unreadable: usize,
    pub(super) is_last: bool,
}

impl Waiting {
    /// Nothing where there are no messages at all.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(directory) = Foreign::open(CWD, path)? else { return Ok(None) };
        let Some(length) = directory.length(RECORDS)? else { return Ok(None) };
        let mut file = directory.file(RECORDS)?;
        let place = file.seek(SeekFrom::Start(delivered(&directory, length)?))?;
        let mark = path.join(handover::spool::DELIVERED);
        Ok(Some(Self { file: BufReader::new(file), mark, place, is_cut: false }))
    }

    /// The next messages, at most `count`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next(&mut self, count: usize) -> io::Result<Batch> {
        let (mut batch, mut line, mut bytes) = (Batch::default(), Vec::new(), 0);
        while batch.parcels.len() < count && bytes < CHUNK {
            line.clear();
            let left = MOST.saturating_sub(self.place).min(LONGEST);
            let read = self.file.by_ref().take(left).read_until(b'\n', &mut line)?;
            if read == 0 {
                batch.unreadable += usize::from(self.place >= MOST);
                batch.is_last = true;
                break;
            }
            bytes += read;
            self.place += read as u64;
            let is_whole = !std::mem::replace(&mut self.is_cut, line.last() != Some(&b'\n'));
            match serde_json::from_slice(&line) {
                Ok(parcel) if is_whole => batch.parcels.push(parcel),
                _ => batch.unreadable += usize::from(is_whole),
            }
        }
        Ok(batch)
    }

    /// Notes that the bus has everything that was read.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(super) fn delivered(&self) -> io::Result<()> {
        let new = self.mark.with_extension("new");
        fs::write(&new, self.place.to_string())?;
        fs::rename(new, &self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use bus::message::Version;
    use bus::message::egress::Log;

    fn line(batch: u64) -> String {
        let log = Log { v: Version, bottle: "agent-abcde".parse().unwrap(), batch, lines: Vec::new() };
        serde_json::to_string(&Parcel::Log(log)).unwrap() + "\n"
    }

    fn batches(batch: &Batch) -> Vec<u64> {
        let number = |parcel: &Parcel| match parcel {
            Parcel::Log(log) => log.batch,
            Parcel::Blocked(_) => 0,
        };
        batch.parcels.iter().map(number).collect()
    }

    fn foreign(place: &Path) -> Foreign {
        Foreign::open(CWD, place).unwrap().unwrap()
    }

    #[test]
    fn what_waits_comes_in_order_once_and_rubbish_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let overlong = format!("{{\"{}\n", "x".repeat(3 << 20));
        let lines = [line(1), line(2), "{]\n".to_owned(), overlong, line(3), line(4), line(5)].concat();
        fs::write(place.path().join("records"), lines + "{\"is\":").unwrap();
        fs::write(place.path().join("delivered"), format!("{:020}", line(1).len())).unwrap();
        assert!(waits(&foreign(place.path())).unwrap());
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        let batch = waiting.next(2).unwrap();
        assert_eq!((batches(&batch), batch.unreadable, batch.is_last), (vec![2, 3], 2, false));
        waiting.delivered().unwrap();
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        let batch = waiting.next(9).unwrap();
        assert_eq!((batches(&batch), batch.unreadable, batch.is_last), (vec![4, 5], 1, true));
        waiting.delivered().unwrap();
        assert!(!waits(&foreign(place.path())).unwrap());
    }

    #[test]
    fn the_files_have_the_names_that_a_proxy_gives_them() {
        assert_eq!(RECORDS.to_str(), Ok(handover::spool::RECORDS));
        assert_eq!(DELIVERED.to_str(), Ok(handover::spool::DELIVERED));
    }

    #[test]
    fn a_mark_that_is_no_place_in_the_file_counts_as_none() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("records"), line(1)).unwrap();
        for mark in ["not a number", "-1", "4096"] {
            fs::write(place.path().join("delivered"), mark).unwrap();
            assert!(waits(&foreign(place.path())).unwrap(), "{mark}");
            let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
            assert_eq!(batches(&waiting.next(9).unwrap()), [1], "{mark}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_to_be_a_proxys_ends_where_one_would() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("records"), line(1)).unwrap();
        let file = File::options().write(true).open(place.path().join("records")).unwrap();
        file.set_len(1 << 42).unwrap();
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        let (mut rounds, mut unreadable) = (0, 0);
        loop {
            let batch = waiting.next(64).unwrap();
            (rounds, unreadable) = (rounds + 1, unreadable + batch.unreadable);
            if batch.is_last {
                break;
            }
        }
        assert!(rounds < 64 && unreadable > 0, "{rounds} {unreadable}");
    }
}
