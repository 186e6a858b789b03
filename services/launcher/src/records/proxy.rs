//! Reads what a proxy has kept; see [`handover::spool`].

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bus::message::egress::Parcel;
use handover::spool::{DELIVERED, RECORDS};

use super::plain::{self, LONGEST};

/// The messages that wait, from the first.
pub(super) struct Waiting {
    file: BufReader<File>,
    mark: PathBuf,
    place: u64,
}

/// Whether any do.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn waits(directory: &Path) -> io::Result<bool> {
    let Some(file) = plain::open(&directory.join(RECORDS))? else { return Ok(false) };
    Ok(delivered(directory)? < file.metadata()?.len())
}

/// How many bytes the bus has.
fn delivered(directory: &Path) -> io::Result<u64> {
    let mut text = String::new();
    if let Some(file) = plain::open(&directory.join(DELIVERED))? {
        // What is no number counts as none: rather twice than never.
        let _ = file.take(64).read_to_string(&mut text);
    }
    Ok(text.trim().parse().unwrap_or(0))
}

impl Waiting {
    /// Nothing where there are no messages at all.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn open(directory: &Path) -> io::Result<Option<Self>> {
        let Some(mut file) = plain::open(&directory.join(RECORDS))? else { return Ok(None) };
        let place =
            Some(delivered(directory)?).filter(|place| file.metadata().is_ok_and(|m| *place <= m.len()));
        let place = file.seek(SeekFrom::Start(place.unwrap_or(0)))?;
        Ok(Some(Self { file: BufReader::new(file), mark: directory.join(DELIVERED), place }))
    }

    /// The next messages, at most `count`; none at the end. A line that is none is passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next(&mut self, count: usize) -> io::Result<Vec<Parcel>> {
        let mut parcels = Vec::new();
        let (mut line, mut is_rest) = (Vec::new(), false);
        while parcels.len() < count {
            line.clear();
            let read = self.file.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            self.place += read as u64;
            let is_whole = !is_rest;
            is_rest = line.last() != Some(&b'\n');
            match serde_json::from_slice(&line) {
                Ok(parcel) if is_whole => parcels.push(parcel),
                _ => tracing::error!("a kept record of a proxy cannot be read and is passed over"),
            }
        }
        Ok(parcels)
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
    use std::os::unix::fs::symlink;

    use bus::message::Version;
    use bus::message::egress::Log;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    fn line(batch: u64) -> String {
        let log = Log { v: Version, bottle: "agent-abcde".parse().unwrap(), batch, lines: Vec::new() };
        serde_json::to_string(&Parcel::Log(log)).unwrap() + "\n"
    }

    fn batches(parcels: &[Parcel]) -> Vec<u64> {
        let batch = |parcel: &Parcel| match parcel {
            Parcel::Log(log) => log.batch,
            Parcel::Blocked(_) => 0,
        };
        parcels.iter().map(batch).collect()
    }

    #[test]
    fn what_waits_comes_in_order_once_and_rubbish_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let overlong = format!("{{\"{}\n", "x".repeat(3 << 20));
        let lines = [line(1), line(2), "{]\n".to_owned(), overlong, line(3), line(4), line(5)].concat();
        fs::write(place.path().join(RECORDS), lines + "{\"is\":").unwrap();
        fs::write(place.path().join(DELIVERED), format!("{:020}", line(1).len())).unwrap();
        assert!(waits(place.path()).unwrap());
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        assert_eq!(batches(&waiting.next(2).unwrap()), [2, 3]);
        waiting.delivered().unwrap();
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        assert_eq!(batches(&waiting.next(9).unwrap()), [4, 5]);
        waiting.delivered().unwrap();
        assert!(!waits(place.path()).unwrap() && waiting.next(9).unwrap().is_empty());
    }

    #[test]
    fn nothing_but_a_plain_file_is_read() {
        let place = tempfile::tempdir().unwrap();
        let (other, records) = (place.path().join("other"), place.path().join(RECORDS));
        assert!(Waiting::open(place.path()).unwrap().is_none());
        fs::write(&other, line(1)).unwrap();
        symlink(&other, &records).unwrap();
        assert!(!waits(place.path()).unwrap() && Waiting::open(place.path()).unwrap().is_none());
        fs::remove_file(&records).unwrap();
        mknodat(CWD, &records, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(!waits(place.path()).unwrap());
        fs::remove_file(&records).unwrap();
        fs::create_dir(&records).unwrap();
        assert!(!waits(place.path()).unwrap());
    }

    #[test]
    fn a_mark_that_is_no_place_in_the_file_counts_as_none() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(RECORDS), line(1)).unwrap();
        fs::write(place.path().join(DELIVERED), "not a number").unwrap();
        let mut waiting = Waiting::open(place.path()).unwrap().unwrap();
        assert_eq!(batches(&waiting.next(9).unwrap()), [1]);
    }
}
