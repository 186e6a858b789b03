//! What containers are made of: the image of the bottle or of its provider, or the usual one.

use std::collections::HashSet;
use std::path::PathBuf;

use tokio::sync::OnceCell;

use super::engine::Engine;
use crate::backend::{BackendError, Progress};
use crate::image::{AgentImage, ExtraAuthority, Images, Source};

/// The image of a bottle whose operator names none.
const USUAL: &str = "debian:bookworm-slim";

/// Which images are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageChoice {
    /// The image of bottles that name none; `debian:bookworm-slim` unless given.
    pub usual: Option<String>,
    /// Certificates that builds trust.
    pub extra_ca: Option<PathBuf>,
}

/// The images of one engine, found and built one at a time.
#[derive(Default)]
pub(super) struct Store(OnceCell<Images>);

impl Store {
    /// The image for an agent. Nothing is fetched that a bottle names; what is built tells its lines,
    /// and the log has them.
    ///
    /// # Errors
    /// It is not there, cannot be built, or no agent can live in it.
    pub(super) async fn agent(
        &self,
        engine: &Engine,
        choice: Choice<'_>,
        source: Option<&Source>,
        progress: &Progress,
    ) -> Result<AgentImage, BackendError> {
        let usual = || Source::Name(choice.0.usual.clone().unwrap_or_else(|| USUAL.to_owned()));
        let source = source.cloned().unwrap_or_else(usual);
        let told = |line: &str| {
            tracing::info!(line, "building an image");
            progress.tell(line);
        };
        let found = self.images(engine, choice).await?.agent(&source, &told).await;
        found.map_err(|error| failed("find the bottle's image", &error))
    }

    /// Removes the images that were built and that no container uses; names them.
    ///
    /// # Errors
    /// The engine fails.
    pub(super) async fn remove_unused(
        &self,
        engine: &Engine,
        choice: Choice<'_>,
    ) -> Result<Vec<String>, BackendError> {
        let removed = self.images(engine, choice).await?.remove_unused(&HashSet::new()).await;
        removed.map_err(|error| failed("remove images that are not used", &error))
    }

    /// Removes what builds left that were never done.
    ///
    /// # Errors
    /// The engine fails.
    pub(super) async fn sweep(&self, engine: &Engine, choice: Choice<'_>) -> Result<(), BackendError> {
        let swept = self.images(engine, choice).await?.sweep().await;
        swept.map_err(|error| failed("remove what builds left", &error))
    }

    async fn images(&self, engine: &Engine, choice: Choice<'_>) -> Result<&Images, BackendError> {
        let (choice, owner, user) = choice;
        let docker = engine.connected().await?.clone();
        let make = async || {
            let authority = choice.extra_ca.as_deref().map(ExtraAuthority::read).transpose();
            let authority = authority.map_err(|error| failed("prepare the building of images", &error))?;
            Ok(Images::new(docker, owner, user).trusting(authority))
        };
        self.0.get_or_try_init(make).await
    }
}

/// What decides about images: the settings, the home's identity, and who the agent is.
type Choice<'a> = (&'a ImageChoice, &'a str, u32);

fn failed(doing: &str, error: &dyn std::error::Error) -> BackendError {
    BackendError::Engine { doing: doing.to_owned(), reason: base::error::chain(error) }
}
