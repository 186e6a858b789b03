//! Whose the services of a home are: a locked file with the holder's process id in it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base::lock::Locked;

use crate::exit::Failure;

const FILE: &str = "host.lock";

/// What services are run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be there until somebody stops them.
    Up,
    /// For a `start`, and whoever else comes by while they run.
    Start,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Start => "start",
        }
    }
}

/// Held for as long as this process runs the services.
#[derive(Debug)]
pub struct Lock {
    _file: Locked,
}

/// The process that runs the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; unknown for the moment between taking the lock and writing it.
    pub pid: Option<i32>,
    /// What it runs them for; unknown at the same time.
    pub purpose: Option<Purpose>,
}

impl Lock {
    /// Takes the services of this home; nothing if another process has them.
    ///
    /// # Errors
    /// The lock file cannot be used.
    pub fn take(home: &Path, purpose: Purpose) -> Result<Option<Self>, Failure> {
        let Some(mut locked) = Locked::alone(open(home, FILE)?)? else { return Ok(None) };
        let file = locked.file();
        file.set_len(0).and_then(|()| file.rewind()).context("cannot write the lock file")?;
        // In one write, so that nobody reads half of it.
        let text = format!("{} {}\n", std::process::id(), purpose.word());
        file.write_all(text.as_bytes()).context("cannot write the lock file")?;
        Ok(Some(Self { _file: locked }))
    }

    /// Who has the services of this home, if somebody has.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn holder(home: &Path) -> Result<Option<Holder>, Failure> {
        if !home.join(FILE).exists() {
            return Ok(None);
        }
        let mut file = open(home, FILE)?;
        if Locked::shared(file.try_clone()?)?.is_some() {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text).context("cannot read the lock file")?;
        Ok(Some(parse(&text)))
    }
}

fn parse(text: &str) -> Holder {
    let (pid, purpose) = text.trim().split_once(' ').unwrap_or_default();
    let purpose = [Purpose::Up, Purpose::Start].into_iter().find(|known| known.word() == purpose);
    Holder { pid: pid.parse().ok(), purpose }
}

pub(super) fn open(home: &Path, name: &str) -> Result<File, Failure> {
    let path = home.join(name);
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    Ok(file.with_context(|| format!("cannot open {}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_the_services() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Lock::holder(home.path()).unwrap(), None);
        let lock = Lock::take(home.path(), Purpose::Start).unwrap().unwrap();
        assert!(Lock::take(home.path(), Purpose::Up).unwrap().is_none());
        let pid = i32::try_from(std::process::id()).ok();
        assert_eq!(Lock::holder(home.path()).unwrap(), Some(Holder { pid, purpose: Some(Purpose::Start) }));
        drop(lock);
        assert_eq!(Lock::holder(home.path()).unwrap(), None);
    }
}
