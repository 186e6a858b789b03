//! What isolates the bottles of a story.

use std::path::Path;
use std::time::Duration;

use engine::Engine;
use tokio::process::Command;

use crate::soon;

/// How long an engine may take to remove what has ended.
const REMOVED: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A backend that stories are told on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// bubblewrap.
    Namespace,
    /// Containers of the engine with this socket.
    Docker(&'static Path),
}

/// Makes a test on each backend out of each of these stories, which take a [`Backend`].
#[macro_export]
macro_rules! on_each_backend {
    ($($name:ident),* $(,)?) => {
        mod namespace {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Backend::Namespace).await;
            })*
        }
        mod docker {
            $(#[tokio::test]
            async fn $name() {
                let Some(backend) = $crate::Backend::docker() else { return };
                super::$name(backend).await;
            })*
        }
    };
}

impl Backend {
    /// The one of the engine that all stories share. Nothing where this machine cannot run one, which is said on standard
    /// error.
    ///
    /// # Panics
    /// When the engine does not start, and where nothing may be skipped.
    #[must_use]
    pub fn docker() -> Option<Self> {
        Engine::shared().map(|engine| Self::Docker(engine.socket()))
    }

    /// The one of an engine that a story has for itself. The name of its socket is kept for good.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        Self::Docker(engine.socket().to_owned().leak())
    }

    /// Its name in settings, requests and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Docker(_) => "docker",
        }
    }

    /// What programs that use it have in their environment.
    pub fn variables(self) -> impl Iterator<Item = (&'static str, String)> {
        let engine = match self {
            Self::Namespace => None,
            Self::Docker(socket) => Some(socket),
        };
        engine.into_iter().map(|socket| ("DOCKER_HOST", host(socket)))
    }

    /// Demands that nothing is left of the bottles of a home whose services have ended in order. An engine may still be
    /// removing what has ended.
    ///
    /// # Panics
    /// When there is a container, in whatever state, and it stays.
    pub async fn has_nothing_of(self, home: &Path) {
        let Self::Docker(socket) = self else { return };
        let until = tokio::time::Instant::now() + REMOVED;
        loop {
            let left = containers(socket, home).await;
            if left.is_empty() {
                return;
            }
            if tokio::time::Instant::now() > until {
                let all = docker(socket, &["ps", "--all"]).await;
                let log = std::fs::read_to_string(home.join("launcher.log")).unwrap_or_default();
                panic!("containers are left, {left:?} of\n{all}\n{log}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An engine's socket, as `DOCKER_HOST` has it.
#[must_use]
pub fn host(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// What the command line of the engine behind a socket says.
///
/// # Panics
/// When it fails.
pub async fn docker(socket: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(["--host", &host(socket)]).args(arguments).kill_on_drop(true);
    let output = soon("the engine's answer", command.output()).await;
    let output = output.unwrap_or_else(|error| panic!("cannot run docker: {error}"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The containers of a home, whatever their state is.
///
/// # Panics
/// When the engine does not tell.
pub async fn containers(socket: &Path, home: &Path) -> Vec<String> {
    // A home that never had a launcher has no identity, and no container.
    let Ok(owner) = std::fs::read_to_string(home.join("launcher/id")) else { return Vec::new() };
    let label = format!("label=bot-bottle.owner={}", owner.trim());
    let ids = docker(socket, &["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]).await;
    ids.lines().map(str::to_owned).collect()
}
