//! What the backend made for a bottle: one container, labelled (invariant 10).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base::id::Slug;
use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use futures::future;
use tokio::time::Instant;

use super::engine::{self, Engine, QUICK, SLOW};
use super::{Docker, DockerConfig};
use crate::backend::BackendError;
use crate::image::{BOTTLE, OWNER};

/// Between two looks at what is being removed.
const PAUSE: Duration = Duration::from_millis(10);

/// The backend's part of a bottle's state; it is there as long as there may be a container.
pub(super) fn directory(config: &DockerConfig, bottle: &Slug) -> PathBuf {
    config.state.of(bottle).path().join("docker")
}

/// The bottles of this home that have a container, or may have one on an engine that does not answer.
pub(super) async fn bottles(docker: &Docker) -> Result<Vec<Slug>, BackendError> {
    let state = &docker.config.state;
    let recorded = state.bottles().map_err(BackendError::system("list the bottles that have state"))?;
    let mut owned: Vec<Slug> =
        recorded.into_iter().filter(|bottle| directory(&docker.config, bottle).exists()).collect();
    match containers(docker, None).await {
        Ok(found) => owned.extend(found.into_iter().filter_map(|(_, bottle)| bottle)),
        // Without an engine there is nobody to have containers, unless one is recorded.
        Err(error) => tracing::debug!(error = base::error::chain(&error), "containers were not looked for"),
    }
    Ok(owned)
}

/// Removes a bottle's containers and the record of them. Doing it twice is harmless.
pub(super) async fn remove(docker: &Docker, bottle: &Slug) -> Result<(), BackendError> {
    let record = directory(&docker.config, bottle);
    match containers(docker, Some(bottle)).await {
        Ok(found) => {
            let removing = found.iter().map(|(id, _)| remove_one(&docker.engine, id));
            future::join_all(removing).await.into_iter().collect::<Result<(), _>>()?;
            if !found.is_empty() {
                gone(docker, bottle).await?;
            }
        }
        Err(error) if record.exists() => return Err(error),
        Err(_) => return Ok(()),
    }
    match fs::remove_dir_all(&record) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackendError::system(format!("remove {}", record.display()))(error))
        }
        _ => Ok(()),
    }
}

/// The containers of this home, or of one bottle of it: id and bottle.
async fn containers(
    docker: &Docker,
    bottle: Option<&Slug>,
) -> Result<Vec<(String, Option<Slug>)>, BackendError> {
    let mut labels = vec![format!("{OWNER}={}", docker.config.owner)];
    labels.extend(bottle.map(|bottle| format!("{BOTTLE}={bottle}")));
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&HashMap::from([("label".to_owned(), labels)]))
        .build();
    docker.engine.answers().await?;
    let asked = docker.engine.connected().await?.list_containers(Some(options));
    let found = docker.engine.ask("list the bottles' containers", QUICK, asked).await?;
    let found = found.into_iter().filter_map(|container| {
        let bottle = container.labels.as_ref().and_then(|labels| labels.get(BOTTLE)?.parse().ok());
        Some((container.id?, bottle))
    });
    Ok(found.collect())
}

/// Waits until a bottle has no container. The engine's own wait for a removal misses one that ends as the wait begins, and
/// never comes back then.
async fn gone(docker: &Docker, bottle: &Slug) -> Result<(), BackendError> {
    let end = Instant::now() + SLOW;
    while !containers(docker, Some(bottle)).await?.is_empty() {
        if Instant::now() > end {
            let doing = format!("remove the container of {bottle}");
            return Err(BackendError::Engine { doing, reason: "it is still there".to_owned() });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Ends a container and has it removed.
async fn remove_one(engine: &Engine, id: &str) -> Result<(), BackendError> {
    let docker = engine.connected().await?;
    let doing = format!("remove the container {}", id.get(..12).unwrap_or(id));
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let end = Instant::now() + SLOW;
    loop {
        match engine.answer(&doing, SLOW, docker.remove_container(id, Some(options.clone()))).await? {
            Ok(()) => return Ok(()),
            Err(error) if engine::is_absent(&error) => return Ok(()),
            Err(error) if ends(&error) && Instant::now() < end => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(engine::failed(doing, &error)),
        }
    }
}

/// Whether the engine removes a container already, or found that it had ended when it was to end it.
fn ends(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
        || matches!(error, Error::DockerResponseServerError { status_code: 500, message } if message.contains("is not running"))
}
