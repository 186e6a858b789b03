//! What containers are made of: the image of the bottle or of its provider, or the usual one.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use super::engine::Engine;
use crate::backend::BackendError;
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
    /// The image for an agent. Nothing is fetched; what is built tells its lines to the log.
    ///
    /// # Errors
    /// It is not there, cannot be built, or no agent can live in it.
    pub(super) async fn agent(
        &self,
        engine: &Engine,
        (choice, owner, user): (&ImageChoice, &str, u32),
        source: Option<&Source>,
    ) -> Result<AgentImage, BackendError> {
        let failed =
            |reason: String| BackendError::Engine { doing: "find the bottle's image".to_owned(), reason };
        let docker = engine.connected().await?.clone();
        let make = async || {
            let authority = choice.extra_ca.as_deref().map(ExtraAuthority::read).transpose();
            let authority = authority.map_err(|error| failed(base::error::chain(&error)))?;
            Ok::<_, BackendError>(Images::new(docker, owner, user).trusting(authority))
        };
        let images = self.0.get_or_try_init(make).await?;
        let usual = || Source::Name(choice.usual.clone().unwrap_or_else(|| USUAL.to_owned()));
        let source = source.cloned().unwrap_or_else(usual);
        let told = |line: &str| tracing::info!(line, "building an image");
        images.agent(&source, &told).await.map_err(|error| failed(base::error::chain(&error)))
    }
}
