//! The trail's files in a home.
//!
//! | file under `<home>/audit/` | what it is | written by |
//! |---|---|---|
//! | `key` | the private key, 0600 | the supervisor, once |
//! | `key.pem` | its public half | the supervisor |
//! | `checkpoints.jsonl` | the first record and every checkpoint, as stored | the supervisor, appended |
//! | `seen.json` | the last checkpoint that the operator's tools have seen | the operator's tools |

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::key::{AuditKey, KeyError, Keys, write_new};
use super::line::{Anchor, Digest, Line};

/// Where a home keeps them.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

/// More than a checkpoint has bytes.
const LONGEST_LINE: u64 = 16 * 1024;

impl Place {
    /// Of this home.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self(home.join("audit"))
    }

    /// The public key's file.
    #[must_use]
    pub fn public_key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// Loads the key; makes it if there is none and was none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn key(&self) -> Result<AuditKey, KeyError> {
        let file = |source| KeyError::File { path: self.0.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(file)?;
        let path = self.0.join("key");
        if !path.exists() && !self.checkpoints().exists() {
            AuditKey::make(&path)?;
        }
        let key = AuditKey::load(&path)?;
        write_new(&self.public_key(), key.public().to_pem().as_bytes()).map_err(file)?;
        Ok(key)
    }

    /// The public keys that this home knows; none when no supervisor ran here.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn known_keys(&self) -> Result<Option<Keys>, KeyError> {
        let path = self.public_key();
        match std::fs::read_to_string(&path) {
            Ok(text) => Keys::parse(&text).map(Some).map_err(|_| KeyError::Invalid { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::File { path, source }),
        }
    }

    /// The last whole line of the local checkpoints: the stored bytes of a signed record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        let mut file = match std::fs::File::open(self.checkpoints()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(2 * LONGEST_LINE)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        // A line without its end was being written when the power went.
        let Some(end) = tail.iter().rposition(|&byte| byte == b'\n') else { return Ok(None) };
        let start = tail[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        Ok(Some(tail[start..end].to_vec()))
    }

    /// Appends a signed record to the local checkpoints; on disk when this returns.
    pub(super) fn add_checkpoint(&self, bytes: &[u8]) -> io::Result<()> {
        let path = self.checkpoints();
        let mut file = OpenOptions::new().append(true).create(true).read(true).mode(0o600).open(path)?;
        let mut line = Vec::with_capacity(bytes.len() + 2);
        // After a torn line the next one begins anew.
        if !ends_well(&mut file)? {
            line.push(b'\n');
        }
        line.extend_from_slice(bytes);
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()
    }

    /// The checkpoints that were seen before: the last one of the local file, and the last one that the operator's
    /// tools remember.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub fn anchors(&self) -> io::Result<Vec<Anchor>> {
        let invalid = |path: PathBuf| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no checkpoint", path.display()))
        };
        let mut anchors = Vec::new();
        if let Some(bytes) = self.last_checkpoint()? {
            let line = Line::parse(&bytes).map_err(|_| invalid(self.checkpoints()))?;
            anchors.push(Anchor { sequence: line.sequence, hash: Digest::of(&bytes) });
        }
        match std::fs::read(self.seen()) {
            Ok(text) => anchors.push(serde_json::from_slice(&text).map_err(|_| invalid(self.seen()))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(anchors)
    }

    /// Remembers a checkpoint that was verified, unless a later one is remembered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember(&self, checkpoint: Anchor) -> io::Result<()> {
        let known = std::fs::read(self.seen()).ok();
        let known = known.and_then(|text| serde_json::from_slice::<Anchor>(&text).ok());
        if known.is_some_and(|known| known.sequence >= checkpoint.sequence) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&mut file, &checkpoint)?;
        file.as_file().sync_all()?;
        file.persist(self.seen()).map_err(|error| error.error)?;
        Ok(())
    }

    /// The file of the local checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints.jsonl")
    }

    fn seen(&self) -> PathBuf {
        self.0.join("seen.json")
    }
}

fn ends_well(file: &mut std::fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
