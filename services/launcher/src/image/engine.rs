//! The engine, asked with a limit of time, and what builds may leave on it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageSummary;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::failure::{ImageError, is_absent};
use super::{BOTTLE, OWNER};

/// For what needs little work.
pub(super) const QUICK: Duration = Duration::from_secs(60);
/// How many layers one build can leave: an image has at most 127.
const MOST_LAYERS: usize = 1000;

/// What the engine answers within [`QUICK`]; its own errors too.
pub(super) async fn answer<T>(
    doing: &str,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, ImageError> {
    let slow = |_| ImageError::Slow { doing: doing.to_owned(), limit: QUICK };
    tokio::time::timeout(QUICK, asked).await.map_err(slow)
}

/// The same for whom any error is one.
pub(super) async fn ask<T>(
    doing: &str,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, ImageError> {
    answer(doing, asked).await?.map_err(|error| ImageError::of(doing, &error))
}

/// Removes what earlier builds of this owner left: containers of steps, and layers that no image needs.
pub(super) async fn tidy(docker: &Docker, owner: &str) -> Result<(), ImageError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER}={owner}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for found in ask("list what builds left", docker.list_containers(Some(options))).await? {
        // Steps run on layers, by their ids. A bottle's container has its name as a label, a person's an image by name.
        let is_step = found.image.is_some_and(|image| image.starts_with("sha256:"));
        if is_step && !found.labels.unwrap_or_default().contains_key(BOTTLE) {
            remove_container(docker, &found.id.unwrap_or_default()).await?;
        }
    }
    let mut left = MOST_LAYERS;
    loop {
        let dangling = images(docker, owner, Some("true")).await?;
        let mut removed = false;
        for image in dangling {
            removed |= remove_image(docker, &image.id).await?;
            left = left.saturating_sub(1);
        }
        // Removing one shows those below it that have no name either.
        if !removed || left == 0 {
            return Ok(());
        }
    }
}

/// The images of this owner: all, or only those without a name that nothing is built on.
pub(super) async fn images(
    docker: &Docker,
    owner: &str,
    dangling: Option<&str>,
) -> Result<Vec<ImageSummary>, ImageError> {
    let mut filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER}={owner}")])]);
    filters.extend(dangling.map(|dangling| ("dangling".to_owned(), vec![dangling.to_owned()])));
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    ask("list images", docker.list_images(Some(options))).await
}

/// Removes a container, running or not. One that is gone is fine.
pub(super) async fn remove_container(docker: &Docker, id: &str) -> Result<(), ImageError> {
    let doing = "remove the container of a build";
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match answer(doing, docker.remove_container(id, Some(options))).await? {
        Ok(()) => Ok(()),
        Err(error) if is_absent(&error) || is_busy(&error) => Ok(()),
        Err(error) => Err(ImageError::of(doing, &error)),
    }
}

/// Removes an image and the layers that nothing else needs; says whether it did. One that is used stays.
pub(super) async fn remove_image(docker: &Docker, name: &str) -> Result<bool, ImageError> {
    let doing = "remove an image";
    let options = RemoveImageOptionsBuilder::default().build();
    match answer(doing, docker.remove_image(name, Some(options), None)).await? {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) || is_busy(&error) => Ok(false),
        Err(error) => Err(ImageError::of(doing, &error)),
    }
}

/// Whether something else uses or removes the thing.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
}
