//! Whether an agent can live in an image.

use std::collections::HashMap;
use std::io::Read as _;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder};
use futures::TryStreamExt as _;

use super::OWNER;
use super::engine::{answer, ask, remove_container};
use super::failure::{ImageError, is_absent};

const SHELL: &str = "/bin/sh";
const USERS: &str = "/etc/passwd";
const LARGEST_USERS: usize = 1 << 20;

/// Looks into an image by way of a container that is never started, so that nothing of it runs. `name` is for people.
///
/// # Errors
/// It has no shell, is made for another user, or the engine fails.
pub(super) async fn check(
    docker: &Docker,
    (id, name, user): (&str, &str, &str),
    owner: &str,
    agent: u32,
) -> Result<(), ImageError> {
    let body = ContainerCreateBody {
        image: Some(id.to_owned()),
        labels: Some(HashMap::from([(OWNER.to_owned(), owner.to_owned())])),
        cmd: Some(vec![SHELL.to_owned()]),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let options = None::<bollard::query_parameters::CreateContainerOptions>;
    let container = ask("look into an image", docker.create_container(options, body)).await?.id;
    let found = examine(docker, &container, (name, user), agent).await;
    remove_container(docker, &container).await?;
    found
}

async fn examine(
    docker: &Docker,
    container: &str,
    (name, user): (&str, &str),
    agent: u32,
) -> Result<(), ImageError> {
    let options = ContainerArchiveInfoOptionsBuilder::default().path(SHELL).build();
    match answer("look into an image", docker.get_container_archive_info(container, Some(options))).await? {
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Err(ImageError::NoShell(name.to_owned())),
        Err(error) => return Err(ImageError::of("look into an image", &error)),
    }
    let word = user.split(':').next().unwrap_or_default();
    let number = match word {
        "" | "root" => Some(0),
        word => match word.parse() {
            Ok(number) => Some(number),
            Err(_) => number_of(&users(docker, container).await?, word),
        },
    };
    if number == Some(0) || number == Some(agent) {
        return Ok(());
    }
    Err(ImageError::OtherUser { image: name.to_owned(), user: base::inert(user, 60), agent })
}

/// The image's own list of users; empty if it has none.
async fn users(docker: &Docker, container: &str) -> Result<String, ImageError> {
    let options = DownloadFromContainerOptionsBuilder::default().path(USERS).build();
    let stream = docker.download_from_container(container, Some(options));
    let collected = stream.try_fold(Vec::new(), |mut all, piece| async move {
        let room = LARGEST_USERS.saturating_sub(all.len());
        all.extend_from_slice(&piece[..piece.len().min(room)]);
        Ok(all)
    });
    let archive = match answer("look into an image", collected).await? {
        Ok(archive) => archive,
        Err(error) if is_absent(&error) => return Ok(String::new()),
        Err(error) => return Err(ImageError::of("look into an image", &error)),
    };
    let mut text = String::new();
    let mut archive = tar::Archive::new(archive.as_slice());
    if let Some(Ok(mut entry)) = archive.entries().ok().and_then(|mut entries| entries.next()) {
        // A list that is cut or not text knows nobody.
        let _ = entry.read_to_string(&mut text);
    }
    Ok(text)
}

fn number_of(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_number_is_in_its_third_field() {
        let users = "root:x:0:0::/:/bin/sh\nnode:x:1000:1001::/:/bin/sh\nbroken\n";
        assert_eq!(number_of(users, "node"), Some(1000));
        assert_eq!(number_of(users, "nobody"), None);
        assert_eq!(number_of(users, "broken"), None);
    }
}
