//! One text for one value, so that hashes and signatures are over what was meant.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Content;

/// SHA-256, in hex, of a content's canonical JSON: without spaces, the keys of every object in order.
#[must_use]
pub fn content_hash(content: &Content) -> String {
    hex::encode(Sha256::digest(canonical(content)))
}

/// The canonical JSON of a value of ours.
pub(super) fn canonical(value: &impl Serialize) -> String {
    // Messages hold only text, numbers, lists and maps with text keys, which always have a JSON form.
    in_order(serde_json::to_value(value).unwrap_or_default()).to_string()
}

fn in_order(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(key, value)| (key, in_order(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text_whatever_the_order_of_its_keys() {
        let read = |text: &str| canonical(&serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read(r#"{"b": {"c":[{"e":3,"d":2}]},"a":1}"#), r#"{"a":1,"b":{"c":[{"d":2,"e":3}]}}"#);
        assert_ne!(read(r#"{"a":[1,2]}"#), read(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn a_content_has_the_hash_of_its_text() {
        let text = r#"{"host":"a.example","kind":"egress","methods":["GET"]}"#;
        let content: Content = serde_json::from_str(text).unwrap();
        assert_eq!(content_hash(&content), hex::encode(Sha256::digest(text)));
    }
}
