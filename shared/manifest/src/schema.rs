//! The JSON Schemas of the two kinds of frontmatter: what files are checked with, and what editors offer (M11).

use schemars::schema_for;
use serde_json::{Map, Value as Json};

use crate::agent::AgentFile;
use crate::bottle::BottleFile;
use crate::dispatch::DispatchFile;
use crate::grants::GrantsFile;
use crate::provider::ProviderFile;
use crate::settings::Settings;

/// The schema of a bottle's frontmatter.
#[must_use]
pub fn bottle() -> Json {
    without_null(schema_for!(BottleFile).to_value())
}

/// The schema of an agent's frontmatter.
#[must_use]
pub fn agent() -> Json {
    without_null(schema_for!(AgentFile).to_value())
}

/// The schema of a grants file's frontmatter.
#[must_use]
pub fn grants() -> Json {
    without_null(schema_for!(GrantsFile).to_value())
}

/// The schema of the settings.
#[must_use]
pub fn settings() -> Json {
    without_null(schema_for!(Settings).to_value())
}

/// The schema of the dispatcher's file.
#[must_use]
pub fn dispatch() -> Json {
    without_null(schema_for!(DispatchFile).to_value())
}

/// The schema of a provider's file.
#[must_use]
pub fn provider() -> Json {
    without_null(schema_for!(ProviderFile).to_value())
}

/// A key that is not wanted is left out, so that `null`, which is how the derive writes "optional", is no value.
fn without_null(schema: Json) -> Json {
    match schema {
        Json::Object(map) => {
            let mut map: Map<String, Json> =
                map.into_iter().map(|(key, value)| (key, without_null(value))).collect();
            if let Some(Json::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = &kinds[..] {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(variants)) = map.get_mut("anyOf") {
                variants.retain(|variant| variant["type"] != "null");
            }
            Json::Object(map)
        }
        Json::Array(items) => Json::Array(items.into_iter().map(without_null).collect()),
        other => other,
    }
}
