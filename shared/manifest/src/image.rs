//! What an agent's container is made of (`image`), and the settings of image builds.

use std::path::{Path, PathBuf};

use policy::problem::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `image` of a bottle or a provider; one of its keys. Only the backend `docker` makes use of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageFile {
    /// The Dockerfile that the image is built from: an absolute path, or one below the bot-bottle home; in a provider's
    /// file below the provider's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// An image that is on the engine, by its name and tag. It is never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where the image of an agent comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Image {
    /// It is built from this file, whose path is absolute.
    Dockerfile(PathBuf),
    /// It is on the engine under this name.
    Name(String),
}

/// `images` of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageSettings {
    /// The image of a bottle where neither it nor its provider names one; `debian:bookworm-slim` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<String>,
    /// A file with certificates (PEM) that image builds trust beside those of the image, for networks that inspect TLS: an
    /// absolute path, or one below the bot-bottle home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_ca: Option<String>,
}

impl ImageSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The file with the certificates, for a home.
    #[must_use]
    pub fn extra_ca(&self, home: &Path) -> Option<PathBuf> {
        self.extra_ca.as_ref().map(|path| home.join(path))
    }

    pub(crate) fn check(&self, at: &KeyPath, problems: &mut Problems) {
        if self.extra_ca.as_ref().is_some_and(|path| !is_path(path)) {
            problems.push(&at.key("extra_ca"), PATH);
        }
    }
}

impl ImageFile {
    /// Where it comes from; a relative path is below this directory.
    pub(crate) fn within(&self, directory: &Path) -> Option<Image> {
        match (&self.dockerfile, &self.name) {
            (Some(path), _) => Some(Image::Dockerfile(directory.join(path))),
            (None, Some(name)) => Some(Image::Name(name.clone())),
            (None, None) => None,
        }
    }

    pub(crate) fn check(&self, at: &KeyPath, problems: &mut Problems) {
        match (&self.dockerfile, &self.name) {
            (Some(path), None) if !is_path(path) => problems.push(&at.key("dockerfile"), PATH),
            (None, Some(name)) if !is_image(name) => {
                problems.push(
                    &at.key("name"),
                    "the name of an image, such as node:22 or registry.example:5000/team/agent:3",
                );
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => problems.push(at, "give one of `dockerfile` and `name`"),
        }
    }
}

const PATH: &str = "the path of a file, absolute or relative, without `..`; `~` is not known here";

fn is_path(text: &str) -> bool {
    let clean = !text.is_empty() && text.len() <= 4096 && !text.starts_with('~');
    clean && !text.contains('\0') && text.split('/').all(|part| part != "..") && !text.ends_with('/')
}

/// Parts with slashes between, then perhaps a tag, perhaps a digest. The engine knows the rest of the rules.
fn is_image(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    text.len() <= 255
        && text.bytes().all(known)
        && text.split(['/', ':', '@']).all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_told_from_other_texts() {
        for good in ["debian", "node:22", "a.example:5000/team/agent:v1.2_3", "x@sha256:0123abcd"] {
            assert!(is_image(good), "{good}");
        }
        for bad in ["", "-v", "a b", "a:", "/a", "a//b", "a:$TAG", "a;b"] {
            assert!(!is_image(bad), "{bad}");
        }
    }

    #[test]
    fn a_path_is_below_a_directory_or_absolute() {
        let image = |path: &str| ImageFile { dockerfile: Some(path.to_owned()), name: None };
        let found = |path| image(path).within(Path::new("/home"));
        assert_eq!(found("a/Dockerfile"), Some(Image::Dockerfile("/home/a/Dockerfile".into())));
        assert_eq!(found("/b/Dockerfile"), Some(Image::Dockerfile("/b/Dockerfile".into())));
        for bad in ["", "../x", "a/../../x", "~/Dockerfile", "a/"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
