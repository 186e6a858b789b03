//! `${NAME}` in the texts of a provider.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// Names that the launcher fills in when the bottle starts.
///
/// | name | stands for |
/// |---|---|
/// | `session` | the id of the conversation |
/// | `instructions` | the path of the file with the agent's prompt |
/// | `door` | the URL of the bottle's MCP server |
/// | `home`, `workspace` | directories of the agent |
/// | `label`, `color` | what the operator calls the bottle; `color` is empty where none was chosen |
/// | `placeholder` | a text that stands where the program wants a credential |
/// | `placeholder_jwt` | the same for programs that want a JSON Web Token (RFC 7519), with a far expiry |
/// | `now` | the time of the launch (RFC 3339) |
pub const AT_LAUNCH: [&str; 10] = [
    "session",
    "instructions",
    "door",
    "home",
    "workspace",
    "label",
    "color",
    "placeholder",
    "placeholder_jwt",
    "now",
];

/// Values by name.
pub type Values = BTreeMap<String, String>;

/// One part of a text.
enum Part<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, left)) = after.split_once('}') else { break };
        parts.push(Part::Text(before));
        parts.push(Part::Name(name));
        rest = left;
    }
    parts.push(Part::Text(rest));
    parts
}

/// The names that stand in a text.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    parts(text).into_iter().filter_map(|part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// The text with the values that are known; a name without one stays as it is.
#[must_use]
pub fn fill(text: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Name(name) => match values.get(name) {
                Some(value) => filled.push_str(value),
                None => {
                    filled.push_str("${");
                    filled.push_str(name);
                    filled.push('}');
                }
            },
        }
    }
    filled
}

/// The document with the values that are known in its texts, keys aside. A text that is one name alone, of an option
/// whose value is a whole number or a truth, becomes that.
#[must_use]
pub fn fill_json(json: &Json, values: &Values, typed: &BTreeMap<String, Json>) -> Json {
    match json {
        Json::String(text) => {
            let alone = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            match alone.and_then(|name| typed.get(name)) {
                Some(value) => value.clone(),
                None => Json::String(fill(text, values)),
            }
        }
        Json::Array(items) => items.iter().map(|item| fill_json(item, values, typed)).collect(),
        Json::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), fill_json(value, values, typed))).collect()
        }
        other => other.clone(),
    }
}

/// The document without the members whose value is one of these names alone.
#[must_use]
pub fn without(json: &Json, names: &[&str]) -> Json {
    let is_named = |value: &Json| {
        let alone = value.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
        alone.is_some_and(|name| names.contains(&name))
    };
    match json {
        Json::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !is_named(value));
            kept.map(|(key, value)| (key.clone(), without(value, names))).collect()
        }
        other => other.clone(),
    }
}

/// Every text of a document.
pub fn texts<'j>(json: &'j Json, found: &mut Vec<&'j str>) {
    match json {
        Json::String(text) => found.push(text),
        Json::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Json::Object(map) => map.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names_are_filled_and_others_stay() {
        let values = Values::from([("a".to_owned(), "1".to_owned())]);
        for (text, filled) in [
            ("${a}", "1"),
            ("x${a}y${b}z", "x1y${b}z"),
            ("${", "${"),
            ("$a {a} ${a", "$a {a} ${a"),
            ("${${a}}", "${${a}}"),
            ("", ""),
        ] {
            assert_eq!(fill(text, &values), filled, "{text}");
        }
        assert_eq!(names("${a} and ${b.c}").collect::<Vec<_>>(), ["a", "b.c"]);
    }

    #[test]
    fn members_that_stand_for_nothing_are_left_out() {
        let json =
            serde_json::json!({ "a": "${gone}", "b": { "c": "${gone}", "d": "${here}" }, "e": "x ${gone}" });
        let kept = serde_json::json!({ "b": { "d": "${here}" }, "e": "x ${gone}" });
        assert_eq!(without(&json, &["gone"]), kept);
        assert_eq!(without(&json, &[]), json);
    }

    proptest! {
        #[test]
        fn without_values_a_text_stays_as_it_is(text in "[ab${}.]{0,30}") {
            prop_assert_eq!(fill(&text, &Values::new()), text);
        }
    }
}
