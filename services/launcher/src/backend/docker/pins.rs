//! Images that commits need: each has a name of its own on the engine, so that it stays as long as its commit (L8).

use std::collections::{HashMap, HashSet};

use base::id::Slug;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bus::message::record::CommitImage;

use super::engine::{self, QUICK};
use super::{Docker, container};
use crate::backend::BackendError;
use crate::image::{AGENT_IMAGES, COMMIT_IMAGES};

/// Where the names of this home are; engines want such in small letters.
fn repository(docker: &Docker) -> String {
    format!("{COMMIT_IMAGES}{}", docker.config.owner.as_str().to_ascii_lowercase())
}

/// Names the image of a running bottle after a commit's archive.
pub(super) async fn pin(docker: &Docker, bottle: &Slug, archive: &str) -> Result<CommitImage, BackendError> {
    let engine = &docker.engine;
    let asked = container::name(&docker.config.owner, bottle);
    let looking = engine.connected().await?.inspect_container(&asked, None);
    let found = engine.ask(format!("look at the container of {bottle}"), QUICK, looking).await?;
    let doing = format!("find the image of {bottle}");
    let none = || BackendError::Engine { doing: doing.clone(), reason: "the engine names none".to_owned() };
    let id = found.image.ok_or_else(none)?;
    let looking = engine.connected().await?.inspect_image(&id);
    let names = engine.ask(doing, QUICK, looking).await?.repo_tags.unwrap_or_default();
    // The one that a person gave it says most, then the one that says what it was built of.
    let own = |name: &&String| !name.starts_with(COMMIT_IMAGES);
    let by_hand = names.iter().filter(own).find(|name| !name.starts_with(AGENT_IMAGES));
    let name = by_hand.or_else(|| names.iter().find(own)).unwrap_or(&id).clone();
    keep(docker, (id, name), archive, None).await
}

/// Names an image after a commit's archive; one that had the name before loses it.
pub(super) async fn keep(
    docker: &Docker,
    (id, name): (String, String),
    archive: &str,
    dockerfile: Option<String>,
) -> Result<CommitImage, BackendError> {
    let repository = repository(docker);
    let options = TagImageOptionsBuilder::default().repo(&repository).tag(archive).build();
    let naming = docker.engine.connected().await?.tag_image(&id, Some(options));
    docker.engine.ask("keep the image of a commit", QUICK, naming).await?;
    Ok(CommitImage { id, pin: format!("{repository}:{archive}"), name, dockerfile })
}

/// Takes a commit's name away; the image stays if it has another one.
pub(super) async fn unpin(docker: &Docker, archive: &str) -> Result<(), BackendError> {
    remove(docker, &format!("{}:{archive}", repository(docker))).await.map(drop)
}

/// Takes the names away whose commits are not among these; returns them.
pub(super) async fn remove_stale(
    docker: &Docker,
    archives: &HashSet<String>,
) -> Result<Vec<String>, BackendError> {
    let repository = repository(docker);
    let filters = HashMap::from([("reference".to_owned(), vec![repository.clone()])]);
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    let listing = docker.engine.connected().await?.list_images(Some(options));
    let images = docker.engine.ask("list the images of commits", QUICK, listing).await?;
    let mut removed = Vec::new();
    for name in images.into_iter().flat_map(|image| image.repo_tags) {
        let archive = name.strip_prefix(&repository).and_then(|rest| rest.strip_prefix(':'));
        let is_stale = archive.is_some_and(|archive| !archives.contains(archive));
        if is_stale && remove(docker, &name).await? {
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Whether an image is there.
pub(super) async fn has(docker: &Docker, id: &str) -> Result<bool, BackendError> {
    let doing = "look for the image of a commit";
    let looking = docker.engine.connected().await?.inspect_image(id);
    match docker.engine.answer(doing, QUICK, looking).await? {
        Ok(_) => Ok(true),
        Err(error) if engine::is_absent(&error) => Ok(false),
        Err(error) => Err(engine::failed(doing.to_owned(), &error)),
    }
}

/// Whether it was there, and is gone.
async fn remove(docker: &Docker, name: &str) -> Result<bool, BackendError> {
    let doing = "take away the name of a commit's image";
    let options = RemoveImageOptionsBuilder::default().build();
    let removing = docker.engine.connected().await?.remove_image(name, Some(options), None);
    match docker.engine.answer(doing, QUICK, removing).await? {
        Ok(_) => Ok(true),
        // A container that is made of it, and of nothing else, goes first.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(engine::failed(doing.to_owned(), &error)),
    }
}
