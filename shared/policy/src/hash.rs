//! The content hash that names a policy.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::route::EgressPolicy;

/// SHA-256 of the policy's JSON with keys sorted and without white space, in lower-case hexadecimal. Equal policies
/// have equal hashes; the order of routes counts.
#[must_use]
pub fn content_hash(policy: &EgressPolicy) -> String {
    // A policy holds only strings, numbers, lists and maps with string keys, which always have a JSON form.
    let value = serde_json::to_value(policy).unwrap_or_default();
    hex::encode(Sha256::digest(sorted(value).to_string()))
}

/// The same value with the keys of every map in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
