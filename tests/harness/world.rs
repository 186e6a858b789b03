//! The host services, as `bot-bottle up` runs them.

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{Backend, Home, Ran, all_ended, soon};

const LOG: &str = "up.log";

/// A home with its services up.
#[derive(Debug)]
pub struct World {
    /// The home.
    pub home: Home,
    services: Child,
    ready: String,
}

impl World {
    /// Starts the services in a new home.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn up() -> Self {
        Self::up_with(&[]).await
    }

    /// The same, with bottles of that backend.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn up_on(backend: Backend) -> Self {
        Self::up_in(Home::on(backend), &[]).await
    }

    /// The same as [`World::up`], with these variables in the services' environment.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn up_with(variables: &[(&str, &str)]) -> Self {
        Self::up_in(Home::empty(), variables).await
    }

    /// The same in a home that was prepared.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn up_in(home: Home, variables: &[(&str, &str)]) -> Self {
        let mut command = home.command(&["up"]);
        command.envs(variables.iter().copied());
        let (services, ready) = start(command, &home).await;
        Self { home, services, ready }
    }

    /// Starts services that were killed again, with the bus on that port.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn up_again(&mut self, port: &str) {
        (self.services, self.ready) = start(self.home.command(&["up", "--port", port]), &self.home).await;
    }

    /// Runs a command line to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run(arguments).await
    }

    /// The process that runs the services.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.services.id()
    }

    /// What the services said when they were ready.
    #[must_use]
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// What the services logged.
    #[must_use]
    pub fn log(&self) -> String {
        log(&self.home)
    }

    /// Kills the services, as a power failure would.
    ///
    /// # Panics
    /// When they cannot be killed.
    pub async fn kill(&mut self) {
        soon("the services' death", self.services.kill()).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops the services and looks for what they left behind; what remains is the home.
    ///
    /// # Panics
    /// When they end badly, or something is left.
    pub async fn down(mut self) -> Home {
        self.run(&["down"]).await.expect_code(0);
        let ended = soon("the services' end", self.services.wait()).await;
        let code = ended.ok().and_then(|status| status.code());
        assert_eq!(code, Some(0), "the services ended badly:\n{}", self.log());
        all_ended(&self.home.marker).await;
        self.home.backend.has_nothing_of(self.home.path()).await;
        self.home
    }
}

async fn start(mut command: Command, home: &Home) -> (Child, String) {
    let file = std::fs::File::options().create(true).append(true).open(home.path().join(LOG));
    command.stderr(file.unwrap_or_else(|error| panic!("no log: {error}")));
    let mut services = command.spawn().unwrap_or_else(|error| panic!("cannot run bot-bottle: {error}"));
    let out = services.stdout.take().unwrap_or_else(|| panic!("it has no standard output"));
    let ready = soon("the services", BufReader::new(out).lines().next_line()).await;
    let Ok(Some(ready)) = ready else { panic!("the services did not start:\n{}", log(home)) };
    (services, ready)
}

fn log(home: &Home) -> String {
    std::fs::read_to_string(home.path().join(LOG)).unwrap_or_default()
}
