//! Key-value buckets with typed values.

use std::marker::PhantomData;
use std::time::Duration;

use async_nats::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::Bus;
use crate::direct::{Entry, Query};
use crate::envelope::{self, MESSAGE_ID, from_json, to_json};
use crate::error::BusError;
use crate::follow::Since;
use crate::layout::Bucket;
use crate::publish::{Publication, WRONG_LAST_SEQUENCE};
use crate::watch::Watch;

/// A bucket whose values are of type `T`. Keys are slugs and ids: text that is one token of a subject.
pub struct KeyValue<T> {
    bus: Bus,
    name: &'static str,
    kind: PhantomData<fn() -> T>,
}

/// A value and the revision that a change of it must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    /// Its revision.
    pub revision: u64,
    /// When the bucket stored it.
    pub at: Timestamp,
    /// Whether the bucket forgets it by itself; see [`KeyValue::update_for`].
    pub expires: bool,
}

impl<T> Value<T> {
    pub(crate) fn of(value: T, entry: &Entry) -> Self {
        let expires = entry.headers.get(TIME_TO_LIVE).is_some();
        Self { value, revision: entry.sequence, at: entry.at, expires }
    }
}

/// More than any bucket keeps of a key.
const MOST_HISTORY: u64 = 64;
const OPERATION: &str = "KV-Operation";
const ROLL_UP: &str = "Nats-Rollup";
const TIME_TO_LIVE: &str = "Nats-TTL";
/// How long a removal can be seen by those who watch; after that nothing of the key is left.
const REMOVAL: Duration = Duration::from_secs(60 * 60);
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

impl Bus {
    /// A bucket that was provisioned.
    #[must_use]
    pub fn bucket<T>(&self, bucket: &Bucket<T>) -> KeyValue<T> {
        KeyValue { bus: self.clone(), name: bucket.name, kind: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> KeyValue<T> {
    /// The value of a key.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when it is not a `T`, [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn get(&self, key: &str) -> Result<Option<Value<T>>, BusError> {
        let Some(entry) = self.last(key).await?.filter(|entry| !is_deletion(entry)) else { return Ok(None) };
        self.value(key, &entry).map(Some)
    }

    /// The values that the bucket still has of a key, oldest first, the current one last; empty when it was removed.
    ///
    /// # Errors
    /// As [`KeyValue::get`].
    pub async fn history(&self, key: &str) -> Result<Vec<Value<T>>, BusError> {
        let query = Query {
            seq: Some(1),
            next_by_subj: Some(self.subject(key)),
            batch: Some(MOST_HISTORY),
            ..Query::default()
        };
        let entries = self.bus.read(&stream(self.name), &query).await?;
        let start = entries.iter().rposition(is_deletion).map_or(0, |last| last + 1);
        entries[start..].iter().map(|entry| self.value(key, entry)).collect()
    }

    /// Stores a value only if the key has none. Returns its revision.
    ///
    /// # Errors
    /// [`BusError::Conflict`] when it has one, [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn create(&self, key: &str, value: &T) -> Result<u64, BusError> {
        match self.write(key, value, (Some(0), None)).await {
            Err(BusError::Conflict { doing, expected }) => match self.last(key).await? {
                Some(entry) if is_deletion(&entry) => {
                    self.write(key, value, (Some(entry.sequence), None)).await
                }
                _ => Err(BusError::Conflict { doing, expected }),
            },
            written => written,
        }
    }

    /// Stores a value only if the key's revision is still `revision`. Returns the new one.
    ///
    /// # Errors
    /// [`BusError::Conflict`] when it is another, [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn update(&self, key: &str, value: &T, revision: u64) -> Result<u64, BusError> {
        self.write(key, value, (Some(revision), None)).await
    }

    /// The same with a last value, instead of all before it: after `keep` (at least a second) the bucket forgets the
    /// key, and tells nobody.
    ///
    /// # Errors
    /// As [`KeyValue::update`].
    pub async fn update_for(
        &self,
        key: &str,
        value: &T,
        revision: u64,
        keep: Duration,
    ) -> Result<u64, BusError> {
        self.write(key, value, (Some(revision), Some(keep))).await
    }

    /// Stores a value, whatever was there. Returns its revision.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn put(&self, key: &str, value: &T) -> Result<u64, BusError> {
        self.write(key, value, (None, None)).await
    }

    /// Removes a key's value and its history; a key without one stays so.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn delete(&self, key: &str) -> Result<(), BusError> {
        let mut headers = self.headers();
        headers.insert(OPERATION, "PURGE");
        headers.insert(ROLL_UP, "sub");
        headers.insert(TIME_TO_LIVE, seconds(REMOVAL).as_str());
        let message = Publication { subject: self.subject(key), headers, payload: bytes::Bytes::new() };
        self.bus.store(message, self.bus.deadline).await.map(drop)
    }

    /// All keys that have a value, sorted.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn keys(&self) -> Result<Vec<String>, BusError> {
        let mut watch = self.watch().await?;
        let mut keys = std::collections::BTreeSet::new();
        while let Some((key, exists)) = watch.stored_key().await? {
            if exists {
                keys.insert(key)
            } else {
                keys.remove(&key)
            };
        }
        Ok(keys.into_iter().collect())
    }

    /// The current values, then every change, in order.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn watch(&self) -> Result<Watch<T>, BusError> {
        let prefix = self.subject("");
        Watch::open(&self.bus, &stream(self.name), prefix, Since::All).await
    }

    /// Every change from now on, in order.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Deadline`].
    pub async fn watch_new(&self) -> Result<Watch<T>, BusError> {
        let prefix = self.subject("");
        Watch::open(&self.bus, &stream(self.name), prefix, Since::Now).await
    }

    async fn write(
        &self,
        key: &str,
        value: &T,
        (expected, keep): (Option<u64>, Option<Duration>),
    ) -> Result<u64, BusError> {
        let doing = self.doing("writing", key);
        let mut headers = self.headers();
        if let Some(expected) = expected {
            headers.insert(EXPECTED, expected.to_string().as_str());
        }
        if let Some(keep) = keep {
            headers.insert(ROLL_UP, "sub");
            headers.insert(TIME_TO_LIVE, seconds(keep).as_str());
        }
        let id = headers.get(MESSAGE_ID).cloned();
        let message = Publication { subject: self.subject(key), headers, payload: to_json(&doing, value)? };
        match self.bus.store(message, self.bus.deadline).await {
            Ok(stored) => Ok(stored.sequence),
            Err(BusError::Refused { code: WRONG_LAST_SEQUENCE, .. }) => match self.last(key).await? {
                // A server that was restarted may have forgotten that the first try of this very write was stored.
                Some(entry) if entry.headers.get(MESSAGE_ID) == id.as_ref() => Ok(entry.sequence),
                _ => Err(BusError::Conflict { doing, expected: expected.unwrap_or_default() }),
            },
            Err(error) => Err(error),
        }
    }

    fn value(&self, key: &str, entry: &Entry) -> Result<Value<T>, BusError> {
        from_json(&entry.subject, &entry.payload)
            .map(|value| Value::of(value, entry))
            .map_err(|malformed| BusError::Malformed { doing: self.doing("reading", key), malformed })
    }

    async fn last(&self, key: &str) -> Result<Option<Entry>, BusError> {
        let query = Query { last_by_subj: Some(self.subject(key)), ..Query::default() };
        self.bus.read_one(&stream(self.name), &query).await
    }

    /// With an id of its own, so that a write whose confirmation got lost can be tried again: the server then answers
    /// as it did the first time, before it compares revisions; and if it does not, the id tells whose write is there.
    fn headers(&self) -> HeaderMap {
        let mut headers = envelope::headers(self.bus.next_trace());
        headers.insert(MESSAGE_ID, base::id::ExchangeId::random().as_str());
        headers
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    fn doing(&self, what: &str, key: &str) -> String {
        format!("{what} {} in bucket {}", base::inert(key, 80), self.name)
    }
}

/// A time to live as the server reads it, which takes no less than a second.
fn seconds(time: Duration) -> String {
    time.as_secs().max(1).to_string()
}

/// The stream behind a bucket.
pub(crate) fn stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

pub(crate) fn is_deletion(entry: &Entry) -> bool {
    entry.headers.get(OPERATION).is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}
