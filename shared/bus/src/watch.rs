//! A bucket's values as they change.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bucket::{Value, is_deletion};
use crate::connection::Bus;
use crate::direct::Entry;
use crate::envelope::{Malformed, from_json};
use crate::error::BusError;
use crate::follow::{Since, Tail};

/// Every change, after the current values if those were asked for. A value that was replaced before it was read is passed over.
pub struct Watch<T> {
    tail: Tail,
    prefix: String,
    kind: PhantomData<fn() -> T>,
}

/// A key's value came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// The key.
    pub key: String,
    /// Its value now; none when it was removed.
    pub value: Option<Result<Value<T>, Malformed>>,
}

impl<T: DeserializeOwned> Watch<T> {
    pub(crate) async fn open(
        bus: &Bus,
        stream: &str,
        prefix: String,
        since: Since,
    ) -> Result<Self, BusError> {
        let tail = Tail::open(bus, stream, &format!("{prefix}>"), since).await?;
        Ok(Self { tail, prefix, kind: PhantomData })
    }

    /// The next change. Dropping the wait loses nothing.
    ///
    /// # Errors
    /// [`BusError::Denied`], [`BusError::Closed`].
    pub async fn next(&mut self) -> Result<Change<T>, BusError> {
        let entry = self.tail.next().await?;
        Ok(self.change(&entry))
    }

    /// The next change that is stored already; none when all current values have been seen.
    ///
    /// # Errors
    /// As [`Watch::next`], and [`BusError::Deadline`].
    pub async fn stored(&mut self) -> Result<Option<Change<T>>, BusError> {
        Ok(self.tail.stored().await?.map(|entry| self.change(&entry)))
    }

    /// The key of the next stored change, and whether it has a value.
    pub(crate) async fn stored_key(&mut self) -> Result<Option<(String, bool)>, BusError> {
        Ok(self.tail.stored().await?.map(|entry| (self.key(&entry), !is_deletion(&entry))))
    }

    fn change(&self, entry: &Entry) -> Change<T> {
        let key = self.key(entry);
        if is_deletion(entry) {
            return Change { key, value: None };
        }
        let value = from_json(&entry.subject, &entry.payload).map(|value| Value::of(value, entry));
        Change { key, value: Some(value) }
    }

    fn key(&self, entry: &Entry) -> String {
        entry.subject.strip_prefix(&self.prefix).unwrap_or(&entry.subject).to_owned()
    }
}
