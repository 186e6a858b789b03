//! A tree against the JSON Schema of the type it shall become: every unknown key, missing key and wrong type at
//! once, each at its place. What fits comes out as JSON for serde.
//!
//! The schema decides how a scalar is read, so that a text stays the text that was written (`NO`, `1.10`, `08`).
//! Only what `schemars` derives from our own types is understood: `$ref`, `anyOf`, `oneOf`, `type`, `properties`,
//! `required`, `additionalProperties`, `items`, `const`, `enum`, `pattern`, `format: cidr` and number bounds.

use std::collections::HashMap;

use policy::problem::{KeyPath, Step};
use serde_json::{Map, Value as Json};

use crate::tree::{Fault, Node, Pair, Value};

mod alternatives;
mod scalar;

use alternatives::{Alternatives, describe};

/// Extra help for a key that is unknown in a known way: the place, the key, and what to say.
pub(crate) type Advice = fn(at: &KeyPath, key: &str) -> Option<String>;

/// What came out of comparing a tree with a schema.
pub(crate) struct Shaped {
    /// What fits; none if the whole does not.
    pub(crate) json: Option<Json>,
    pub(crate) faults: Vec<Fault>,
    /// Items that did not fit are missing in `json`: for each shortened list, which item of the file each is.
    kept: HashMap<KeyPath, Vec<usize>>,
}

impl Shaped {
    /// The path in the file of something at a path in `json`.
    pub(crate) fn original(&self, path: &KeyPath) -> KeyPath {
        let (mut shaped, mut original) = (KeyPath::root(), KeyPath::root());
        for step in path.steps() {
            match step {
                Step::Key(key) => {
                    shaped = shaped.key(key);
                    original = original.key(key);
                }
                Step::Item(index) => {
                    let kept = self.kept.get(&shaped).and_then(|kept| kept.get(*index));
                    original = original.item(*kept.unwrap_or(index));
                    shaped = shaped.item(*index);
                }
            }
        }
        original
    }
}

/// Compares a tree with a schema.
pub(crate) fn shape(root: &Node, schema: &Json, advice: Advice) -> Shaped {
    let mut shaper = Shaper { schema, advice, faults: Vec::new(), kept: HashMap::new() };
    let at = Paths { original: KeyPath::root(), shaped: KeyPath::root() };
    let json = shaper.value(root, schema, &at);
    Shaped { json, faults: shaper.faults, kept: shaper.kept }
}

struct Shaper<'s> {
    schema: &'s Json,
    advice: Advice,
    faults: Vec<Fault>,
    kept: HashMap<KeyPath, Vec<usize>>,
}

struct Paths {
    original: KeyPath,
    shaped: KeyPath,
}

impl Paths {
    fn key(&self, key: &str) -> Self {
        Self { original: self.original.key(key), shaped: self.shaped.key(key) }
    }
}

/// A value of which the schema says nothing, read as YAML's core schema does (YAML 1.2.2, section 10.3).
fn document(node: &Node) -> Json {
    match &node.value {
        Value::Empty => Json::Null,
        Value::Scalar { text, plain: true } => match text.as_str() {
            "null" | "~" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            number => match number.parse::<i64>() {
                Ok(whole) => Json::from(whole),
                Err(_) => decimal(number).unwrap_or_else(|| Json::String(text.clone())),
            },
        },
        Value::Scalar { text, .. } => Json::String(text.clone()),
        Value::List(items) => items.iter().map(document).collect(),
        Value::Map(pairs) => pairs.iter().map(|pair| (pair.key.clone(), document(&pair.value))).collect(),
    }
}

/// `1.5`, but not `inf` or `1e5`, which nobody writes and means a number.
fn decimal(text: &str) -> Option<Json> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse::<f64>().ok().filter(|_| plain).map(Json::from)
}

impl<'s> Shaper<'s> {
    fn value(&mut self, node: &Node, schema: &'s Json, at: &Paths) -> Option<Json> {
        let choices = Alternatives::of(schema, self.schema);
        if choices.anything {
            return Some(document(node));
        }
        let fitting = match &node.value {
            Value::Empty => None,
            Value::Scalar { text, plain } => match scalar::read(text, *plain, &choices) {
                Ok(json) => return Some(json),
                Err(message) => {
                    self.fault(node, at, message);
                    return None;
                }
            },
            Value::List(items) => choices.list.map(|schema| self.list(items, schema, at)),
            Value::Map(_) if choices.maps.is_empty() => None,
            Value::Map(pairs) => return self.map(node, pairs, &choices.maps, at),
        };
        if fitting.is_none() {
            let given = match node.value {
                Value::Empty => "this is empty",
                Value::List(_) => "this is a list",
                Value::Map(_) | Value::Scalar { .. } => "this is a map of keys",
            };
            self.fault(node, at, format!("{given}; give {}", describe(&choices)));
        }
        fitting
    }

    fn list(&mut self, items: &[Node], schema: &'s Json, at: &Paths) -> Json {
        let mut kept = Vec::with_capacity(items.len());
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at_item = Paths { original: at.original.item(index), shaped: at.shaped.item(values.len()) };
            if let Some(value) = self.value(item, &schema["items"], &at_item) {
                kept.push(index);
                values.push(value);
            }
        }
        self.kept.insert(at.shaped.clone(), kept);
        Json::Array(values)
    }

    fn map(&mut self, node: &Node, pairs: &[Pair], schemas: &[&'s Json], at: &Paths) -> Option<Json> {
        let schema = self.choose(node, schemas, at)?;
        let known = schema["properties"].as_object();
        let mut map = Map::new();
        for pair in pairs {
            let at_key = at.key(&pair.key);
            let property = known.and_then(|known| known.get(&pair.key));
            match property.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object())) {
                Some(property) => {
                    if let Some(value) = self.value(&pair.value, property, &at_key) {
                        map.insert(pair.key.clone(), value);
                    }
                }
                None => self.unknown(pair, known, at),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let mut complete = true;
        for key in required {
            if node.get(key).is_none() {
                self.fault(node, at, format!("the key `{key}` is missing"));
            }
            complete &= map.contains_key(key);
        }
        complete.then_some(Json::Object(map))
    }

    /// Of several kinds of map, the one whose fixed key has the value that is given.
    fn choose(&mut self, node: &Node, schemas: &[&'s Json], at: &Paths) -> Option<&'s Json> {
        let [_, _, ..] = schemas else { return schemas.first().copied() };
        let tag =
            schemas[0]["properties"].as_object()?.iter().find(|(_, value)| value.get("const").is_some())?.0;
        let kind = |schema: &'s Json| schema["properties"][tag]["const"].as_str();
        let kinds: Vec<&str> = schemas.iter().copied().filter_map(kind).collect();
        let Some(pair) = node.get(tag) else {
            self.fault(node, at, format!("the key `{tag}` is missing; one of {}", kinds.join(", ")));
            return None;
        };
        let given = match &pair.value.value {
            Value::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let chosen = schemas.iter().copied().find(|schema| kind(schema) == Some(given));
        if chosen.is_none() {
            self.fault(&pair.value, &at.key(tag), scalar::not_among(given, &kinds));
        }
        chosen
    }

    fn unknown(&mut self, pair: &Pair, known: Option<&Map<String, Json>>, at: &Paths) {
        let names: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let advice = (self.advice)(&at.original, &pair.key).unwrap_or_else(|| {
            policy::check::nearest(&pair.key, names.iter().copied()).map_or_else(
                || format!("known here: {}", names.join(", ")),
                |near| format!("did you mean `{near}`?"),
            )
        });
        let message = format!("there is no such key here; {advice}");
        self.faults.push(Fault { place: pair.key_place, at: at.original.key(&pair.key), message });
    }

    fn fault(&mut self, node: &Node, at: &Paths, message: String) {
        self.faults.push(Fault { place: node.place, at: at.original.clone(), message });
    }
}
