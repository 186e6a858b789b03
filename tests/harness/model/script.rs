//! What the model does, whichever API it is asked by.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

/// One answer.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Runs this in the client's shell.
    Shell(String),
    /// Calls a tool of the MCP server `supervise`.
    Call {
        /// Its name on that server.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
    /// Says this, which ends the client's loop.
    Say(String),
    /// Fails as the API does.
    Fail(Failure),
    /// Begins to say this, and then the connection ends.
    Half(String),
    /// Begins its answer, and goes on when the gate is opened.
    Held(Gate, Box<Turn>),
}

/// An error of the API.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The status.
    pub status: u16,
    /// What kind, as the API calls it.
    pub kind: String,
    /// In words.
    pub message: String,
}

/// Opens once, for good.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Turn {
    /// Runs this in the client's shell.
    pub fn shell(command: impl Into<String>) -> Self {
        Self::Shell(command.into())
    }

    /// Calls a tool of the MCP server `supervise`.
    #[must_use]
    pub fn call(tool: &str, arguments: Value) -> Self {
        Self::Call { tool: tool.to_owned(), arguments }
    }

    /// Says this, which ends the client's loop.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    /// Fails as the API does.
    #[must_use]
    pub fn fail(status: u16, kind: &str, message: &str) -> Self {
        Self::Fail(Failure { status, kind: kind.to_owned(), message: message.to_owned() })
    }

    /// The same turn, but only when the gate is opened.
    #[must_use]
    pub fn held(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }
}

impl Gate {
    /// A closed one.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Opens it.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits until it is open; the caller bounds the wait.
    pub(super) async fn opened(&self) {
        // It never has a permit: what ends the wait is that it is closed.
        drop(self.0.acquire().await);
    }
}
