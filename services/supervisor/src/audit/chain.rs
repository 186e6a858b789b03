//! The chain: where it ends, how the next record is written, and how far the streams have been recorded.

use base::id::Slug;
use bus::message::Version;
use bus::message::audit::{AuditRecord, Component, Decision, Source};
use jiff::Timestamp;

use super::key::AuditKey;
use super::line::{Anchor, Digest, END, SIGNATURE};

/// A record without its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// See [`AuditRecord::at`].
    pub at: Timestamp,
    /// Which part decided.
    pub component: Component,
    /// The bottle, if one.
    pub bottle: Option<Slug>,
    /// The event that it records.
    pub source: Option<Source>,
    /// What was decided.
    pub decision: Decision,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    last: Anchor,
    read: Vec<Source>,
    unsealed: u64,
}

/// Why a record is not the next one of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNext {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It follows another record.
    #[error("it does not follow the record before it")]
    Torn,
}

impl Default for Chain {
    fn default() -> Self {
        Self { last: Anchor { sequence: 0, hash: Digest::ZERO }, read: Vec::new(), unsealed: 0 }
    }
}

impl Chain {
    /// A chain that is known to end, or to have ended, before this record.
    pub(super) fn before(record: &AuditRecord) -> Option<Self> {
        let hash = Digest::parse(&record.previous)?;
        let last = Anchor { sequence: record.sequence.checked_sub(1)?, hash };
        Some(Self { last, read: Vec::new(), unsealed: 0 })
    }

    /// The last record.
    #[must_use]
    pub fn last(&self) -> Anchor {
        self.last
    }

    /// How many records no signature vouches for yet.
    #[must_use]
    pub fn unsealed(&self) -> u64 {
        self.unsealed
    }

    /// How far a stream has been recorded.
    #[must_use]
    pub fn read(&self, stream: &str) -> u64 {
        self.read.iter().find(|source| source.stream == stream).map_or(0, |source| source.sequence)
    }

    /// The stored bytes of a next record that is not signed.
    ///
    /// # Errors
    /// It has no JSON form: a defect.
    pub fn next(&self, draft: Draft) -> serde_json::Result<Vec<u8>> {
        let Draft { at, component, bottle, source, decision } = draft;
        let Anchor { sequence, hash } = self.last;
        serde_json::to_vec(&AuditRecord {
            v: Version,
            sequence: sequence + 1,
            previous: hash.to_string(),
            at,
            component,
            bottle,
            source,
            decision,
            signature: None,
        })
    }

    /// The stored bytes of a next record that vouches for all before it: the first one, or a checkpoint.
    ///
    /// # Errors
    /// As [`Chain::next`].
    pub fn seal(&self, at: Timestamp, key: &AuditKey) -> serde_json::Result<Vec<u8>> {
        let name = key.public().to_string();
        let decision = match self.last.sequence {
            0 => Decision::Opened { key: name },
            _ => Decision::Checkpoint { key: name, read: self.read.clone() },
        };
        let draft = Draft { at, component: Component::Trail, bottle: None, source: None, decision };
        let mut bytes = self.next(draft)?;
        bytes.pop();
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(SIGNATURE.as_bytes());
        bytes.extend_from_slice(signature.as_bytes());
        bytes.extend_from_slice(END.as_bytes());
        Ok(bytes)
    }

    /// Takes a stored record in as the last one. Signatures are not looked at: that is for who verifies.
    ///
    /// # Errors
    /// [`NotNext`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<AuditRecord, NotNext> {
        let record: AuditRecord = serde_json::from_slice(bytes)
            .map_err(|error| NotNext::Unreadable(base::inert(&error.to_string(), 200)))?;
        if record.sequence != self.last.sequence + 1 || record.previous != self.last.hash.to_string() {
            return Err(NotNext::Torn);
        }
        self.last = Anchor { sequence: record.sequence, hash: Digest::of(bytes) };
        self.unsealed = if record.signature.is_some() { 0 } else { self.unsealed + 1 };
        if let Decision::Checkpoint { read, .. } = &record.decision {
            self.read.clone_from(read);
        }
        if let Some(source) = &record.source {
            match self.read.iter_mut().find(|read| read.stream == source.stream) {
                Some(read) => read.sequence = source.sequence,
                None => self.read.push(source.clone()),
            }
        }
        Ok(record)
    }
}
