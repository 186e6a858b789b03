//! The JSON Schemas of the two kinds of frontmatter: what files are checked with, and what editors offer (M11).

use schemars::schema_for;
use serde_json::Value as Json;

use crate::agent::AgentFile;
use crate::bottle::BottleFile;

/// The schema of a bottle's frontmatter.
#[must_use]
pub fn bottle() -> Json {
    schema_for!(BottleFile).to_value()
}

/// The schema of an agent's frontmatter.
#[must_use]
pub fn agent() -> Json {
    schema_for!(AgentFile).to_value()
}
