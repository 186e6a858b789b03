//! Where an agent's image comes from, and the reading of it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::dockerfile::{Dockerfile, LARGEST};
use super::failure::ImageError;

/// Where an agent's image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is built from this file and what it names beside it.
    Dockerfile(PathBuf),
    /// It is built from a text, and from files that the bottle's own Dockerfile names, if it has one.
    Text {
        /// The Dockerfile.
        text: String,
        /// The bottle's own.
        own: Option<PathBuf>,
    },
    /// It is on the engine under this name. It is never fetched.
    Name(String),
    /// It is on the engine under this id, since a commit keeps it there.
    Pinned {
        /// Its content's id.
        id: String,
        /// Its name, for people.
        name: String,
    },
}

impl From<&manifest::Image> for Source {
    fn from(image: &manifest::Image) -> Self {
        match image {
            manifest::Image::Dockerfile(path) => Self::Dockerfile(path.clone()),
            manifest::Image::Name(name) => Self::Name(name.clone()),
        }
    }
}

/// What an image is built from, for people.
pub(super) fn path_of(source: &Source) -> &Path {
    match source {
        Source::Dockerfile(path) => path,
        _ => Path::new("the approved Dockerfile"),
    }
}

/// A Dockerfile and what it names. Blocks.
pub(super) fn read_source(source: &Source) -> Result<(Dockerfile, Context), ImageError> {
    let path = path_of(source);
    match source {
        Source::Text { text, own } => {
            let dockerfile = parse(path, text)?;
            let (known, directory) = match own {
                Some(own) => (read(own)?.sources, beside(own)),
                None => (BTreeSet::new(), Path::new("/")),
            };
            if let Some(other) = dockerfile.sources.iter().find(|source| !known.contains(*source)) {
                return Err(ImageError::NotNamed(base::inert(other, 200)));
            }
            let context = Context::read(directory, &dockerfile.sources)?;
            Ok((dockerfile, context))
        }
        _ => {
            let dockerfile = read(path)?;
            let context = Context::read(beside(path), &dockerfile.sources)?;
            Ok((dockerfile, context))
        }
    }
}

fn beside(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn parse(path: &Path, text: &str) -> Result<Dockerfile, ImageError> {
    Dockerfile::parse(text).map_err(|source| ImageError::Dockerfile { path: path.to_owned(), source })
}

/// The text of a Dockerfile. Blocks.
///
/// # Errors
/// It cannot be read, or is too large.
pub(crate) fn text_of(path: &Path) -> Result<String, ImageError> {
    let unreadable = |source| ImageError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {} KiB", LARGEST >> 10))));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Dockerfile, ImageError> {
    parse(path, &text_of(path)?)
}
