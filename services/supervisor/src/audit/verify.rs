//! Whether a trail is whole: record by record, in constant memory.

use std::fmt;

use serde::Serialize;

use super::key::Keys;
use super::line::{Anchor, Digest, Line, split};

/// The most records in a row that no signature vouches for: the writer seals before, so a trail with more is none of its
/// own, and a chain written anew could not be told from it.
pub const MOST_UNSEALED: u64 = 255;

/// The first bad record, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which: its place in the trail.
    pub sequence: u64,
    /// What is wrong.
    #[serde(flatten)]
    pub why: Why,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// It is no record of this version.
    Unreadable {
        /// What is wrong with it, harmless to show.
        reason: String,
    },
    /// It is not what the records around it were chained to.
    Edited,
    /// It, or the next one, is not what it was; there is nothing after them to tell which.
    EitherEdited,
    /// It is nowhere; another record is at its place.
    Missing {
        /// Which one is there.
        found: u64,
    },
    /// It is further on; another record is at its place.
    Moved {
        /// Which one is there.
        found: u64,
    },
    /// The trail ends before it, and a later checkpoint has been seen.
    Truncated {
        /// The checkpoint that was seen.
        seen: u64,
    },
    /// It is signed by a key that is not known.
    UnknownKey {
        /// The key that it names, harmless to show.
        key: String,
    },
    /// Its signature is missing or does not hold: it was edited, or a record before it was and the chain written anew.
    BadSignature,
    /// It is too far from the last signed record.
    Unsealed,
    /// Another record was seen at its place before: the trail was rolled back and written anew.
    Rewritten,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.sequence;
        match &self.why {
            Why::Unreadable { reason } => write!(f, "record {n} cannot be read: {reason}"),
            Why::Edited => write!(f, "record {n} was edited: the records around it are chained to another"),
            Why::EitherEdited => write!(f, "record {n} or the one after it, the last, was edited"),
            Why::Missing { found } => write!(f, "record {n} is missing: record {found} is at its place"),
            Why::Moved { found } => {
                write!(f, "record {n} is not at its place: record {found} is there, and it comes later")
            }
            Why::Truncated { seen } => write!(
                f,
                "record {n} is missing: the trail ends before it, and record {seen} was there when it was looked at last"
            ),
            Why::UnknownKey { key } => write!(f, "record {n} is signed by a key that is not known: {key}"),
            Why::BadSignature => write!(
                f,
                "record {n} is not signed as it should be: it was edited, or one since the last checkpoint was and the \
                 chain after it written anew"
            ),
            Why::Unsealed => write!(
                f,
                "record {n} should be a signed checkpoint: there is none among the {MOST_UNSEALED} before it"
            ),
            Why::Rewritten => write!(
                f,
                "record {n} is another than was seen there before: the trail was cut off and written anew"
            ),
        }
    }
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many records from the beginning are good.
    pub records: u64,
    /// How many of them, at the end, are chained but not signed yet.
    pub unsealed: u64,
    /// The last signed one of them.
    pub checkpoint: Option<Anchor>,
    /// The first bad record, if there is one.
    pub fault: Option<Fault>,
}

/// Verifies a trail from its first record on.
pub struct Verifier<'k> {
    keys: &'k Keys,
    anchors: Vec<Anchor>,
    last: Anchor,
    /// The last record does not follow the one before it; the next record tells which of the two is bad.
    torn: bool,
    sealed: Option<Anchor>,
    fault: Option<Fault>,
}

impl<'k> Verifier<'k> {
    /// With the keys that may have signed it, and records that were seen before.
    #[must_use]
    pub fn new(keys: &'k Keys, anchors: impl IntoIterator<Item = Anchor>) -> Self {
        Self {
            keys,
            anchors: anchors.into_iter().collect(),
            last: Anchor { sequence: 0, hash: Digest::ZERO },
            torn: false,
            sealed: None,
            fault: None,
        }
    }

    /// Takes the next record's stored bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(fault) = &mut self.fault {
            if let (Why::Missing { found }, Ok(line)) = (&fault.why, Line::parse(bytes))
                && line.sequence == fault.sequence
            {
                fault.why = Why::Moved { found: *found };
            }
            return;
        }
        let anchor = Anchor { sequence: self.last.sequence + 1, hash: Digest::of(bytes) };
        match self.judge(bytes, anchor) {
            Ok(Good { fits, signed }) => {
                self.torn = !fits;
                self.last = anchor;
                if signed {
                    self.sealed = Some(anchor);
                }
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// Whether more records could not change the report.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| !matches!(fault.why, Why::Missing { .. }))
    }

    /// How many records were good so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.last.sequence
    }

    /// There are no more records.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let end = self.last.sequence;
        if self.fault.is_none() && self.torn {
            self.fault = Some(Fault { sequence: end - 1, why: Why::EitherEdited });
        }
        let beyond = self.anchors.iter().map(|anchor| anchor.sequence).filter(|seen| *seen > end).max();
        if let (None, Some(seen)) = (&self.fault, beyond) {
            self.fault = Some(Fault { sequence: end + 1, why: Why::Truncated { seen } });
        }
        let records = self.fault.as_ref().map_or(end, |fault| fault.sequence - 1);
        let checkpoint = self.sealed.filter(|sealed| sealed.sequence <= records);
        let unsealed = records - checkpoint.map_or(0, |sealed| sealed.sequence).min(records);
        Report { records, unsealed, checkpoint, fault: self.fault }
    }

    fn judge(&self, bytes: &[u8], here: Anchor) -> Result<Good, Fault> {
        let n = here.sequence;
        let line = match Line::parse(bytes) {
            Ok(line) => line,
            Err(_) if self.torn => return Err(edited(n - 2)),
            Err(error) => {
                let reason = base::inert(&error.to_string(), 200);
                return Err(Fault { sequence: n, why: Why::Unreadable { reason } });
            }
        };
        let fits = line.previous == self.last.hash;
        if self.torn {
            // A record that this one follows is as it was.
            return Err(edited(if fits { n - 2 } else { n - 1 }));
        }
        if line.sequence != n {
            let why = if fits { Why::Edited } else { Why::Missing { found: line.sequence } };
            return Err(Fault { sequence: n, why });
        }
        let signed = self.is_signed(&line, bytes).map_err(|why| Fault { sequence: n, why })?;
        let seen = self.anchors.iter().find(|anchor| anchor.sequence == n);
        if seen.is_some_and(|seen| seen.hash != here.hash) {
            return Err(Fault { sequence: n, why: Why::Rewritten });
        }
        if !fits && n == 1 {
            return Err(edited(1));
        }
        // What is signed, or was seen, is as it was; so the one before it is not.
        if !fits && (signed || seen.is_some()) {
            return Err(edited(n - 1));
        }
        let since = n - self.sealed.map_or(0, |sealed| sealed.sequence);
        if !signed && (n == 1 || since > MOST_UNSEALED) {
            return Err(Fault { sequence: n, why: Why::Unsealed });
        }
        Ok(Good { fits, signed })
    }

    fn is_signed(&self, line: &Line<'_>, bytes: &[u8]) -> Result<bool, Why> {
        if line.signature.is_none() && !line.must_be_signed() {
            return Ok(false);
        }
        let name = line.decision.key.as_deref().unwrap_or_default();
        let key = self.keys.find(name).ok_or_else(|| Why::UnknownKey { key: base::inert(name, 80) })?;
        match split(bytes) {
            Some((signed, signature)) if key.has_signed(signed, signature) => Ok(true),
            _ => Err(Why::BadSignature),
        }
    }
}

struct Good {
    fits: bool,
    signed: bool,
}

fn edited(sequence: u64) -> Fault {
    Fault { sequence, why: Why::Edited }
}

#[cfg(test)]
mod tests;
