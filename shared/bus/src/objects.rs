//! The object store: large values in pieces, streamed both ways.
//!
//! It is laid out as NATS' own object stores are (`$O.<store>.C.<id>` for pieces, `$O.<store>.M.<name>` for what is
//! known about an object), so that their tools can read it; but it is read with direct requests and cleared with
//! roll-up messages, which need no right to create consumers or to purge streams.

use base::id::ExchangeId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::connection::Bus;
use crate::direct::{Entry, Query};
use crate::envelope::{self, MESSAGE_ID, Malformed, from_json, to_json};
use crate::error::BusError;
use crate::follow::{Since, Tail};
use crate::publish::Publication;

/// An object store that was provisioned.
pub struct Objects {
    bus: Bus,
    store: &'static str,
}

/// What is known about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// The store.
    pub bucket: String,
    /// Tells one version of it from the next.
    pub nuid: String,
    /// Bytes.
    pub size: u64,
    /// Pieces.
    pub chunks: u64,
    /// `SHA-256=` and the hash in URL-safe base64.
    pub digest: String,
    /// When it was stored.
    #[serde(rename = "mtime")]
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

const PIECE: usize = 128 * 1024;
const ROLL_UP: &str = "Nats-Rollup";
const TIME_TO_LIVE: &str = "Nats-TTL";

impl Bus {
    /// An object store that was provisioned: [`crate::layout::TRANSCRIPTS`].
    #[must_use]
    pub fn objects(&self, store: &'static str) -> Objects {
        Objects { bus: self.clone(), store }
    }
}

impl Objects {
    /// Stores an object, in constant memory; one of the same name is replaced once this one is complete.
    ///
    /// # Errors
    /// The content cannot be read, [`BusError::Denied`], [`BusError::Deadline`]. Nothing of it is visible then.
    pub async fn put<R: AsyncRead + Unpin>(&self, name: &str, content: R) -> Result<ObjectInfo, BusError> {
        self.put_as(name, &ExchangeId::random(), content).await
    }

    /// The same for whoever must be able to clear away what is there of it should it not be completed: [`Objects::abandon`].
    /// The id is this version's own, and never used before.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn put_as<R: AsyncRead + Unpin>(
        &self,
        name: &str,
        version: &ExchangeId,
        mut content: R,
    ) -> Result<ObjectInfo, BusError> {
        let doing = self.doing("storing", name);
        let old = self.info(name).await?;
        let nuid = version.to_string();
        let (mut size, mut chunks, mut hash) = (0_u64, 0_u64, Sha256::new());
        loop {
            let piece = read_piece(&mut content).await;
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    let _ = self.clear(&nuid).await;
                    return Err(BusError::Client { doing: doing.clone(), source: Box::new(error) });
                }
            };
            if piece.is_empty() {
                break;
            }
            size += piece.len() as u64;
            chunks += 1;
            hash.update(&piece);
            if let Err(error) = self.publish(self.pieces(&nuid), piece, &[]).await {
                // Best effort: what cannot be cleared now is invisible, and only takes space.
                let _ = self.clear(&nuid).await;
                return Err(error);
            }
        }
        let digest = digest(hash);
        let at = base::clock::Clock::System.now();
        let bucket = self.store.to_owned();
        let info =
            ObjectInfo { name: name.to_owned(), bucket, nuid, size, chunks, digest, at, deleted: false };
        self.publish(self.meta(name), to_json(&doing, &info)?, &[]).await?;
        if let Some(old) = old {
            self.clear(&old.nuid).await?;
        }
        Ok(info)
    }

    /// Writes an object's content to `to`; none when there is no such object.
    ///
    /// # Errors
    /// The content is not what was stored, `to` cannot be written, [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn get<W: AsyncWrite + Unpin>(
        &self,
        name: &str,
        mut to: W,
    ) -> Result<Option<ObjectInfo>, BusError> {
        let Some(info) = self.info(name).await? else { return Ok(None) };
        let doing = self.doing("reading", name);
        let failed = |error| BusError::Client { doing: doing.clone(), source: Box::new(error) };
        let mut pieces = Tail::open(&self.bus, &self.stream(), &self.pieces(&info.nuid), Since::All).await?;
        let (mut chunks, mut hash) = (0_u64, Sha256::new());
        while chunks < info.chunks {
            let Some(piece) = pieces.stored().await? else { break };
            hash.update(&piece.payload);
            to.write_all(&piece.payload).await.map_err(failed)?;
            chunks += 1;
        }
        to.flush().await.map_err(failed)?;
        if digest(hash) == info.digest {
            return Ok(Some(info));
        }
        let reason =
            "the content is not the one that was stored, or it was replaced while it was read".into();
        let malformed = Malformed { subject: self.meta(name), reason };
        Err(BusError::Malformed { doing, malformed })
    }

    /// What is known about an object; none when there is no such object.
    ///
    /// # Errors
    /// [`BusError::Malformed`], [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn info(&self, name: &str) -> Result<Option<ObjectInfo>, BusError> {
        let query = Query { last_by_subj: Some(self.meta(name)), ..Query::default() };
        let Some(entry) = self.bus.read_one(&self.stream(), &query).await? else { return Ok(None) };
        let info = self.read_info(name, &entry)?;
        Ok((!info.deleted).then_some(info))
    }

    /// Removes an object; one that is not there stays so.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn delete(&self, name: &str) -> Result<(), BusError> {
        let Some(info) = self.info(name).await? else { return Ok(()) };
        let nuid = info.nuid.clone();
        let gone = ObjectInfo { size: 0, chunks: 0, digest: String::new(), deleted: true, ..info };
        let gone = to_json(&self.doing("removing", name), &gone)?;
        self.publish(self.meta(name), gone, &[(ROLL_UP, "sub")]).await?;
        self.clear(&nuid).await
    }

    /// Removes what there is of a version that was begun, whether or not it was completed.
    ///
    /// # Errors
    /// [`BusError::Malformed`], [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn abandon(&self, name: &str, version: &ExchangeId) -> Result<(), BusError> {
        match self.info(name).await? {
            Some(info) if info.nuid == version.as_str() => self.delete(name).await,
            _ => self.clear(version.as_str()).await,
        }
    }

    /// Every object, by name.
    ///
    /// # Errors
    /// [`BusError::Malformed`], [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn list(&self) -> Result<Vec<ObjectInfo>, BusError> {
        let all = format!("$O.{}.M.>", self.store);
        let mut metas = Tail::open(&self.bus, &self.stream(), &all, Since::All).await?;
        let mut objects = std::collections::BTreeMap::new();
        while let Some(entry) = metas.stored().await? {
            let info = self.read_info("an object", &entry)?;
            // The stream is in order of time: the last one counts.
            objects.insert(info.name.clone(), info);
        }
        Ok(objects.into_values().filter(|info| !info.deleted).collect())
    }

    /// Replaces all pieces of one version by an empty message that goes away by itself.
    async fn clear(&self, nuid: &str) -> Result<(), BusError> {
        self.publish(self.pieces(nuid), Bytes::new(), &[(ROLL_UP, "sub"), (TIME_TO_LIVE, "1s")]).await
    }

    async fn publish(
        &self,
        subject: String,
        payload: Bytes,
        extra: &[(&'static str, &str)],
    ) -> Result<(), BusError> {
        let mut headers = envelope::headers(self.bus.next_trace());
        headers.insert(MESSAGE_ID, ExchangeId::random().as_str());
        for (name, value) in extra {
            headers.insert(*name, *value);
        }
        self.bus.store(Publication { subject, headers, payload }, self.bus.deadline).await.map(drop)
    }

    fn read_info(&self, name: &str, entry: &Entry) -> Result<ObjectInfo, BusError> {
        from_json(&entry.subject, &entry.payload)
            .map_err(|malformed| BusError::Malformed { doing: self.doing("reading", name), malformed })
    }

    fn stream(&self) -> String {
        format!("OBJ_{}", self.store)
    }

    fn pieces(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.store)
    }

    fn meta(&self, name: &str) -> String {
        format!("$O.{}.M.{}", self.store, URL_SAFE.encode(name))
    }

    fn doing(&self, what: &str, name: &str) -> String {
        format!("{what} {} in store {}", base::inert(name, 80), self.store)
    }
}

fn digest(hash: Sha256) -> String {
    format!("SHA-256={}", URL_SAFE.encode(hash.finalize()))
}

async fn read_piece<R: AsyncRead + Unpin>(content: &mut R) -> std::io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    content.take(PIECE as u64).read_to_end(&mut piece).await?;
    Ok(piece.into())
}
