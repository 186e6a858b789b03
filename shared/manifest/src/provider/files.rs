//! The files that a provider places, from its pieces.

use std::path::{Component, Path, PathBuf};

use serde_json::Value as Json;

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// As it is.
    Text(String),
    /// Written as JSON.
    Json(Json),
    /// Written as TOML.
    Toml(Json),
}

/// A file below the agent's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Where, without `..`.
    pub path: PathBuf,
    /// What.
    pub content: Content,
}

/// A file that cannot be written beside another one of the same path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two parts of the provider write {path}, and not both as json or both as toml")]
pub struct TwoFiles {
    path: String,
}

/// Adds a file. Documents of one path and kind become one: maps are joined key by key, anything else of the later one
/// counts.
///
/// # Errors
/// There is one of that path and another kind, or of text.
pub(crate) fn add(files: &mut Vec<PlacedFile>, file: PlacedFile) -> Result<(), TwoFiles> {
    let Some(there) = files.iter_mut().find(|there| there.path == file.path) else {
        files.push(file);
        return Ok(());
    };
    match (&mut there.content, file.content) {
        (Content::Json(base), Content::Json(over)) | (Content::Toml(base), Content::Toml(over)) => {
            join(base, over);
            Ok(())
        }
        _ => Err(TwoFiles { path: base::inert(&file.path.to_string_lossy(), 200) }),
    }
}

fn join(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(there) => join(there, value),
                    None => drop(base.insert(key, value)),
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Whether a path is relative and stays below where it begins.
pub(crate) fn is_below(path: &str) -> bool {
    let path = Path::new(path);
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

impl Content {
    /// The file's bytes.
    ///
    /// # Errors
    /// The document holds what TOML cannot say, such as `null`.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Json(json) => serde_json::to_vec_pretty(json).map_err(|error| error.to_string()),
            Self::Toml(json) => {
                toml::to_string(json).map(String::into_bytes).map_err(|error| error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_of_one_path_become_one() {
        let file = |content| PlacedFile { path: "a.json".into(), content };
        let mut files = Vec::new();
        add(&mut files, file(Content::Json(json!({"a": {"b": 1, "c": [1]}, "d": 1})))).unwrap();
        add(&mut files, file(Content::Json(json!({"a": {"c": [2], "e": true}})))).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].content, Content::Json(json!({"a": {"b": 1, "c": [2], "e": true}, "d": 1})));
        assert!(add(&mut files, file(Content::Text("x".into()))).is_err());
        assert!(add(&mut files, file(Content::Toml(json!({})))).is_err());
    }

    #[test]
    fn a_path_stays_below_the_home() {
        for (path, good) in [
            ("a", true),
            (".a/b", true),
            ("/a", false),
            ("../a", false),
            ("a/../b", false),
            ("", false),
            (".", false),
        ] {
            assert_eq!(is_below(path), good, "{path:?}");
        }
    }

    #[test]
    fn each_kind_is_written_as_what_it_is() {
        let bytes = |content: Content| String::from_utf8(content.bytes().unwrap()).unwrap();
        assert_eq!(
            bytes(Content::Toml(json!({"a": {"b": "x\"y"}, "c": true}))),
            "c = true\n\n[a]\nb = 'x\"y'\n"
        );
        assert_eq!(bytes(Content::Json(json!({"a": 1}))), "{\n  \"a\": 1\n}");
        assert!(Content::Toml(json!({"a": null})).bytes().is_err());
    }
}
