//! One file for each record, written whole and brought to the disk before it has its name.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use bus::message::push::{Accepted, Parcel};
use handover::spool::{INTENT, RECORD};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

/// Bytes of records that may wait.
const MOST: u64 = 64 << 20;
/// The ending of what the bus has refused.
const REFUSED: &str = "refused";

/// A file's name without its ending; in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

/// See the module.
pub(super) struct Store {
    directory: PathBuf,
    bytes: Arc<AtomicU64>,
}

impl Store {
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        let mut bytes = 0;
        let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(INTENT | RECORD | REFUSED) => bytes += entry.metadata()?.len(),
                // A file that never got its name.
                _ => fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?,
            }
        }
        Ok(Self { directory: directory.to_owned(), bytes: Arc::new(AtomicU64::new(bytes)) })
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= MOST
    }

    pub(super) async fn intend(&self, accepted: &Accepted) -> io::Result<Name> {
        self.write(&Parcel::Accepted(accepted.clone()), INTENT).await
    }

    pub(super) async fn keep(&self, parcel: &Parcel) -> io::Result<Name> {
        self.write(parcel, RECORD).await
    }

    pub(super) async fn confirm(&self, name: Name) -> io::Result<Name> {
        self.rename(name, INTENT, RECORD).await
    }

    /// Keeps what the bus will never take, for a person to look at.
    pub(super) async fn park(&self, name: Name) -> io::Result<Name> {
        self.rename(name, RECORD, REFUSED).await
    }

    pub(super) async fn forget(&self, name: Name) -> io::Result<()> {
        self.remove(name, INTENT).await
    }

    pub(super) async fn delivered(&self, name: Name) -> io::Result<()> {
        self.remove(name, RECORD).await
    }

    pub(super) fn intents(&self) -> Vec<(Name, Accepted)> {
        let parcels = self.read::<Parcel>(INTENT).into_iter();
        let accepted = parcels.filter_map(|(name, parcel)| match parcel {
            Parcel::Accepted(accepted) => Some((name, accepted)),
            Parcel::Rejected(_) => None,
        });
        accepted.collect()
    }

    pub(super) fn records(&self) -> Vec<(Name, Parcel)> {
        self.read(RECORD)
    }

    fn read<T: DeserializeOwned>(&self, ending: &str) -> Vec<(Name, T)> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let mut found = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_none_or(|other| other != ending) {
                continue;
            }
            let name = path.file_stem().map(|stem| Name(stem.to_string_lossy().into_owned()));
            let parcel = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
            match (name, parcel) {
                (Some(name), Some(parcel)) => found.push((name, parcel)),
                _ => {
                    tracing::error!(path = %path.display(), "a kept record cannot be read and is passed over");
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found
    }

    fn path(&self, name: &Name, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", name.0))
    }

    async fn write(&self, parcel: &impl Serialize, ending: &'static str) -> io::Result<Name> {
        let text = serde_json::to_vec(parcel)?;
        let name = Name(base::id::ExchangeId::random().to_string());
        let (target, directory) = (self.path(&name, ending), self.directory.clone());
        let length = text.len() as u64;
        blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(&directory)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&target)?;
            File::open(&directory)?.sync_all()
        })
        .await?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(name)
    }

    async fn rename(&self, name: Name, from: &'static str, to: &'static str) -> io::Result<Name> {
        let (old, new, directory) = (self.path(&name, from), self.path(&name, to), self.directory.clone());
        blocking(move || {
            fs::rename(old, new)?;
            File::open(&directory)?.sync_all()
        })
        .await?;
        Ok(name)
    }

    async fn remove(&self, name: Name, ending: &'static str) -> io::Result<()> {
        let path = self.path(&name, ending);
        let length = blocking(move || {
            let length = fs::metadata(&path)?.len();
            fs::remove_file(&path)?;
            Ok(length)
        })
        .await?;
        self.bytes.fetch_sub(length, Ordering::Relaxed);
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
