//! Why there is no image.

use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error;

use super::authority::AuthorityError;
use super::context::ContextError;
use super::dockerfile::DockerfileError;

/// Why an agent's image cannot be had. Nothing of an attempt is left on the engine.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The Dockerfile cannot be read.
    #[error("cannot read the Dockerfile {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The Dockerfile asks for what is not supported.
    #[error("cannot build {}", path.display())]
    Dockerfile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DockerfileError,
    },
    /// The files that it names cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// It copies what the bottle's own Dockerfile does not.
    #[error(
        "the Dockerfile copies {0}, which the bottle's own does not name: what lies beside that is not all meant for an agent, so name it there first, or fetch it in a RUN"
    )]
    NotNamed(String),
    /// The extra authority cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An image that a Dockerfile begins with can neither be found nor fetched.
    #[error(
        "the image {name} is not on the engine and cannot be fetched ({reason}): name one that is there, or `docker pull {name}` first"
    )]
    NoBase {
        /// Its name.
        name: String,
        /// What the engine says.
        reason: String,
    },
    /// The image that a bottle names is not there.
    #[error("the image {0} is not on the engine: `docker pull {0}`, or build it")]
    NoImage(String),
    /// A step of the build failed.
    #[error("the image cannot be built; the last lines of the build:\n{}", .0.join("\n"))]
    Build(Vec<String>),
    /// The disk is full.
    #[error(
        "the engine has no space left for the image: remove what is not needed with `bot-bottle cleanup` and `docker image prune`"
    )]
    NoSpace,
    /// It has no shell.
    #[error("the image {0} has no /bin/sh, which an agent needs: build on an image that has one")]
    NoShell(String),
    /// It is made for somebody else.
    #[error(
        "the image {image} is made for the user {user}, and the agent is user {agent}: end its Dockerfile with `USER {agent}` or `USER root`"
    )]
    OtherUser {
        /// The image.
        image: String,
        /// The user that it names.
        user: String,
        /// The agent's number.
        agent: u32,
    },
    /// It took too long.
    #[error("cannot {doing}: it was not done after {} s", limit.as_secs())]
    Slow {
        /// What was being done.
        doing: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The engine refuses, or is gone.
    #[error("the Docker engine cannot {doing}: {reason}")]
    Engine {
        /// What was being done.
        doing: String,
        /// What it says, inert.
        reason: String,
    },
}

impl ImageError {
    /// What an error of the engine means.
    pub(super) fn of(doing: &str, error: &Error) -> Self {
        let said = said(error);
        if said.contains("no space left on device") {
            return Self::NoSpace;
        }
        Self::Engine { doing: doing.to_owned(), reason: base::inert(&said, 500) }
    }
}

/// What the engine says in an error.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => base::error::chain(other),
    }
}

/// Whether the engine says that there is no such thing.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}
