//! Builds images of agents with the engine's own builder, one after another.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures::{StreamExt as _, TryStreamExt as _};

use super::authority::ExtraAuthority;
use super::dockerfile::{Base, Dockerfile};
use super::engine::{answer, ask, images, remove_image, tidy};
use super::failure::{ImageError, is_absent, said};
use super::recipe::{BaseImage, DOCKERFILE, Recipe};
use super::source::{Source, path_of, read_source};
use super::{AGENT_IMAGES, fit};

/// How long building may take, with the fetching of what it begins with.
const BUILD: Duration = Duration::from_secs(30 * 60);
/// How many of the last lines of a build are told when it fails, and how much of each.
const LAST_LINES: usize = 12;
const LINE: usize = 300;

/// An image that an agent can live in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentImage {
    /// Its content's id: what a container is to be made of.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Where it wants volumes.
    pub volumes: Vec<String>,
    /// Whether it was built just now.
    pub built: bool,
}

/// Who is told each line of a build, made harmless to show.
pub type Told<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// The images of one home on one engine. Builds of it run one at a time.
pub struct Images {
    docker: Docker,
    owner: String,
    agent: u32,
    authority: Option<ExtraAuthority>,
    limit: Duration,
    turn: tokio::sync::Mutex<()>,
    /// The ids of images that were looked into.
    fit: Mutex<HashSet<String>>,
}

impl Images {
    /// Images of this owner, the home's lasting identity, for agents that are this user.
    #[must_use]
    pub fn new(docker: Docker, owner: &str, agent: u32) -> Self {
        let (turn, fit) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { docker, owner: owner.to_owned(), agent, authority: None, limit: BUILD, turn, fit }
    }

    /// The same with one more authority that builds trust.
    #[must_use]
    pub fn trusting(self, authority: Option<ExtraAuthority>) -> Self {
        Self { authority, ..self }
    }

    /// The same with another limit for one build, which is half an hour otherwise.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The image of an agent; built if it comes from a Dockerfile and was not built from the same before. When this is
    /// dropped the engine stops building, and what it left is removed by the next build or [`Images::sweep`].
    ///
    /// # Errors
    /// [`ImageError`]
    pub async fn agent(&self, source: &Source, told: &Told<'_>) -> Result<AgentImage, ImageError> {
        match source {
            Source::Name(name) => {
                let found =
                    self.find(name).await?.ok_or_else(|| ImageError::NoImage(base::inert(name, 200)))?;
                self.fitting(&found, name).await?;
                Ok(described(found, name, false))
            }
            Source::Pinned { id, name } => {
                let found =
                    self.find(id).await?.ok_or_else(|| ImageError::NoImage(base::inert(name, 200)))?;
                self.fitting(&found, name).await?;
                Ok(described(found, name, false))
            }
            Source::Dockerfile(_) | Source::Text { .. } => {
                let _turn = self.turn.lock().await;
                let built = tokio::time::timeout(self.limit, self.made_from(source, told)).await;
                let built = built.unwrap_or_else(|_| {
                    let doing = format!("build the image of {}", path_of(source).display());
                    Err(ImageError::Slow { doing, limit: self.limit })
                });
                if built.as_ref().is_ok_and(|image| !image.built) {
                    return built;
                }
                // What failed is the news, not that its traces are still there.
                match (tidy(&self.docker, &self.owner).await, &built) {
                    (Err(error), Ok(_)) => Err(error),
                    _ => built,
                }
            }
        }
    }

    /// Removes what builds left that were never done: the containers of their steps, and layers that no image needs. A build that
    /// is under way is waited for.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn sweep(&self) -> Result<(), ImageError> {
        let _turn = self.turn.lock().await;
        tidy(&self.docker, &self.owner).await
    }

    /// Removes the images of agents that this home built and that are neither in `keep` nor used by a container.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn remove_unused(&self, keep: &HashSet<String>) -> Result<Vec<String>, ImageError> {
        let _turn = self.turn.lock().await;
        tidy(&self.docker, &self.owner).await?;
        let mut removed = Vec::new();
        for image in images(&self.docker, &self.owner, None).await? {
            for name in image.repo_tags.iter().filter(|name| name.starts_with(AGENT_IMAGES)) {
                if !keep.contains(&image.id)
                    && !keep.contains(name)
                    && remove_image(&self.docker, name).await?
                {
                    removed.push(name.clone());
                }
            }
        }
        Ok(removed)
    }

    async fn made_from(&self, source: &Source, told: &Told<'_>) -> Result<AgentImage, ImageError> {
        let (owned, path) = (source.clone(), path_of(source).to_owned());
        let read = tokio::task::spawn_blocking(move || read_source(&owned)).await;
        let (dockerfile, context) = read.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(ImageError::Unreadable { path: path.clone(), source })
        })?;
        let bases = self.bases(&dockerfile, told).await?;
        let recipe = Recipe::new(&dockerfile, context, &bases, &self.owner, self.authority.as_ref());
        let name = format!("{AGENT_IMAGES}:{}", recipe.tag);
        if let Some(found) = self.find(&name).await? {
            return Ok(described(found, &name, false));
        }
        let id = self.build(&recipe, told).await?;
        // It has no name before it was looked into, so that one that is not fit is gone with the build's other traces.
        let found = self.find(&id).await?.ok_or_else(|| ImageError::NoImage(name.clone()))?;
        self.fitting(&found, &path.display().to_string()).await?;
        let options = TagImageOptionsBuilder::default().repo(AGENT_IMAGES).tag(&recipe.tag).build();
        ask("name an image", self.docker.tag_image(&id, Some(options))).await?;
        Ok(described(found, &name, true))
    }

    /// The images that a Dockerfile begins with, fetched where they are not there.
    async fn bases(&self, dockerfile: &Dockerfile, told: &Told<'_>) -> Result<Vec<BaseImage>, ImageError> {
        let mut bases: Vec<BaseImage> = Vec::new();
        for stage in &dockerfile.stages {
            let Base::Image(name) = &stage.base else { continue };
            if bases.iter().any(|base| base.name == *name) {
                continue;
            }
            let found = match self.find(name).await? {
                Some(found) => found,
                None => self.fetch(name, told).await?,
            };
            let user = found.config.and_then(|config| config.user).unwrap_or_default();
            bases.push(BaseImage { name: name.clone(), id: found.id.unwrap_or_default(), user });
        }
        Ok(bases)
    }

    async fn fetch(&self, name: &str, told: &Told<'_>) -> Result<ImageInspect, ImageError> {
        told(&format!("Fetching {}", base::inert(name, 200)));
        let none = |reason: &str| ImageError::NoBase {
            name: base::inert(name, 200),
            reason: base::inert(reason, LINE),
        };
        // Without a tag or a digest the engine would fetch every tag.
        let last = name.rsplit('/').next().unwrap_or(name);
        let whole = if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&whole).build();
        let fetched = self.docker.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) });
        match fetched.await {
            Ok(()) => self.find(name).await?.ok_or_else(|| none("the engine fetched something else")),
            Err(error) => match ImageError::of("fetch an image", &error) {
                ImageError::NoSpace => Err(ImageError::NoSpace),
                _ => Err(none(&said(&error))),
            },
        }
    }

    async fn build(&self, recipe: &Recipe, told: &Told<'_>) -> Result<String, ImageError> {
        let packed = recipe.context.archive();
        let packed =
            packed.map_err(|error| ImageError::Build(vec![base::inert(&error.to_string(), LINE)]))?;
        // No build argument is ever set: whatever is in one can be read in the image's history.
        let options =
            BuildImageOptionsBuilder::default().dockerfile(DOCKERFILE).rm(true).forcerm(true).build();
        let mut stream = self.docker.build_image(options, None, Some(bollard::body_full(packed.into())));
        let (mut lines, mut id) = (Lines::default(), None);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| failed(lines.end(told), &error))?;
            id = piece.aux.and_then(|aux| aux.id).or(id);
            lines.take(piece.stream.as_deref().unwrap_or_default(), told);
        }
        id.ok_or_else(|| ImageError::Build(lines.end(told)))
    }

    async fn find(&self, name: &str) -> Result<Option<ImageInspect>, ImageError> {
        match answer("look for an image", self.docker.inspect_image(name)).await? {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(ImageError::of("look for an image", &error)),
        }
    }

    async fn fitting(&self, image: &ImageInspect, name: &str) -> Result<(), ImageError> {
        let id = image.id.as_deref().unwrap_or_default();
        if self.fit.lock().unwrap_or_else(PoisonError::into_inner).contains(id) {
            return Ok(());
        }
        let user = image.config.as_ref().and_then(|config| config.user.as_deref()).unwrap_or_default();
        fit::check(&self.docker, (id, name, user), &self.owner, self.agent).await?;
        self.fit.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        Ok(())
    }
}

fn described(found: ImageInspect, name: &str, built: bool) -> AgentImage {
    let volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
    let volumes = volumes.into_iter().collect();
    AgentImage { id: found.id.unwrap_or_default(), name: name.to_owned(), volumes, built }
}

/// What a build says, in lines: the engine sends it as it comes.
#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    open: String,
}

impl Lines {
    /// The most of a line that is kept until it ends.
    const OPEN: usize = 64 << 10;

    fn take(&mut self, text: &str, told: &Told<'_>) {
        let mut parts = text.split('\n');
        self.open.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.close(told);
            self.open.push_str(part);
        }
        if self.open.len() > Self::OPEN {
            self.close(told);
        }
    }

    fn close(&mut self, told: &Told<'_>) {
        let line = std::mem::take(&mut self.open);
        if line.trim().is_empty() {
            return;
        }
        let line = base::inert(line.trim_end(), LINE);
        told(&line);
        self.last.push_back(line);
        if self.last.len() > LAST_LINES {
            self.last.pop_front();
        }
    }

    /// The last of them.
    fn end(&mut self, told: &Told<'_>) -> Vec<String> {
        self.close(told);
        std::mem::take(&mut self.last).into()
    }
}

/// What a failed build comes to.
fn failed(mut lines: Vec<String>, error: &Error) -> ImageError {
    let said = said(error);
    if said.contains("no space left on device")
        || lines.iter().any(|line| line.contains("No space left on device"))
    {
        return ImageError::NoSpace;
    }
    if said.contains("exec: \"/bin/sh\"") {
        return ImageError::NoShell("that the Dockerfile builds on".to_owned());
    }
    lines.push(base::inert(&said, LINE));
    ImageError::Build(lines)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_line_is_told_when_it_is_whole() {
        let told = Mutex::new(Vec::new());
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let mut lines = Lines::default();
        for piece in ["one\ntw", "o\r\n\n", "th", "ree"] {
            lines.take(piece, &tell);
        }
        assert_eq!(*told.lock().unwrap(), ["one", "two"]);
        assert_eq!(lines.end(&tell), ["one", "two", "three"]);
        lines.take(&"x".repeat(Lines::OPEN + 1), &tell);
        assert!(lines.open.is_empty());
        (0..100).for_each(|number| lines.take(&format!("{number}\n"), &tell));
        assert_eq!(lines.end(&tell).len(), LAST_LINES);
    }
}
