//! What a schema accepts, sorted by kind.

use serde_json::Value as Json;

/// The kinds of value that a schema accepts. `null` is never one of them: a key that is not wanted is left out.
#[derive(Default)]
pub(super) struct Alternatives<'s> {
    pub(super) anything: bool,
    /// A free text, with its `pattern` and `format`.
    pub(super) text: Option<&'s Json>,
    /// Fixed texts.
    pub(super) choices: Vec<&'s str>,
    /// A boolean, with its `const`.
    pub(super) boolean: Option<&'s Json>,
    /// A number, with its bounds.
    pub(super) number: Option<&'s Json>,
    pub(super) list: Option<&'s Json>,
    pub(super) maps: Vec<&'s Json>,
}

impl<'s> Alternatives<'s> {
    pub(super) fn of(schema: &'s Json, root: &'s Json) -> Self {
        let mut all = Self::default();
        all.add(schema, root);
        all
    }

    fn add(&mut self, schema: &'s Json, root: &'s Json) {
        if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
            return self.add(&root["$defs"][name], root);
        }
        if let Some(variants) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            return variants.iter().for_each(|variant| self.add(variant, root));
        }
        if let Some(choice) = schema["const"].as_str() {
            return self.choices.push(choice);
        }
        if let Some(choices) = schema["enum"].as_array() {
            return self.choices.extend(choices.iter().filter_map(Json::as_str));
        }
        match &schema["type"] {
            Json::String(kind) => self.add_kind(kind, schema),
            Json::Array(kinds) => {
                for kind in kinds.iter().filter_map(Json::as_str) {
                    self.add_kind(kind, schema);
                }
            }
            _ => self.anything = true,
        }
    }

    fn add_kind(&mut self, kind: &str, schema: &'s Json) {
        match kind {
            "string" => self.text = Some(schema),
            "boolean" => self.boolean = Some(schema),
            "integer" | "number" => self.number = Some(schema),
            "array" => self.list = Some(schema),
            "object" => self.maps.push(schema),
            _ => {}
        }
    }
}

/// What would be accepted, in words.
pub(super) fn describe(choices: &Alternatives<'_>) -> String {
    let mut words = Vec::new();
    if choices.text.is_some() {
        words.push("a text".to_owned());
    }
    if !choices.choices.is_empty() {
        words.push(format!("one of {}", choices.choices.join(", ")));
    }
    if let Some(schema) = choices.boolean {
        words.push(schema["const"].as_bool().map_or("true or false".to_owned(), |only| only.to_string()));
    }
    if let Some(schema) = choices.number {
        words.push(describe_number(schema));
    }
    if choices.list.is_some() {
        words.push("a list".to_owned());
    }
    if !choices.maps.is_empty() {
        words.push("a map of keys".to_owned());
    }
    words.join(", or ")
}

pub(super) fn describe_number(schema: &Json) -> String {
    let what = if schema["type"].to_string().contains("integer") { "a whole number" } else { "a number" };
    match (&schema["minimum"], &schema["maximum"]) {
        (Json::Null, Json::Null) => what.to_owned(),
        (least, Json::Null) => format!("{what} from {least}"),
        (Json::Null, most) => format!("{what} up to {most}"),
        (least, most) => format!("{what} from {least} to {most}"),
    }
}
