//! What containers are made of.

use bollard::models::ImageInspect;

use super::engine::{self, Engine};
use crate::backend::BackendError;

/// The image of a bottle whose operator names none.
const USUAL: &str = "debian:bookworm-slim";

/// Which images are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    agent: String,
}

/// An image that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Its content's id.
    pub(super) id: String,
    /// Where it wants volumes.
    pub(super) volumes: Vec<String>,
}

impl Images {
    /// Bottles are made of this image, or of the usual one.
    #[must_use]
    pub fn new(agent: Option<&str>) -> Self {
        Self { agent: agent.unwrap_or(USUAL).to_owned() }
    }

    /// The image for an agent. Nothing is fetched from anywhere.
    ///
    /// # Errors
    /// It is not there.
    pub(super) async fn agent(&self, engine: &Engine) -> Result<Image, BackendError> {
        let doing = format!("find the image {}", base::inert(&self.agent, 100));
        let found = engine.connected().await?.inspect_image(&self.agent);
        match engine.answer(&doing, engine::QUICK, found).await? {
            Ok(found) => Ok(Image::from(found)),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                let reason = "the engine does not have it: pull or build it, or name another as `image` in settings.yaml";
                Err(BackendError::Engine { doing, reason: reason.to_owned() })
            }
            Err(error) => Err(engine::failed(doing, &error)),
        }
    }
}

impl From<ImageInspect> for Image {
    fn from(found: ImageInspect) -> Self {
        let volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
        Self { id: found.id.unwrap_or_default(), volumes: volumes.into_iter().collect() }
    }
}
