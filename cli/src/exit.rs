//! The program's exit codes, which scripts may rely on. `docs/errors.md` lists them for people.

use std::process::ExitCode;

/// How a command ended. `start` and `logs` aside, whose code is the agent program's own, every command ends with
/// one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Ok,
    /// It ran, and the answer is no: problems were found, a request would be refused, a scenario failed.
    No,
    /// The command line makes no sense.
    Usage,
    /// A manifest or another input file is wrong.
    Input,
    /// What was named does not exist.
    NotFound,
    /// The bus or a service does not answer.
    Unavailable,
    /// Our own fault.
    Internal,
    /// Something changed meanwhile, or a deadline passed; trying again may help.
    TryAgain,
    /// The launch failed.
    Launch,
    /// The supervisor does not take answers signed with this key.
    Denied,
    /// Something the host must provide is missing.
    Prerequisite,
    /// The agent's program ended with this code.
    Program(u8),
}

impl Exit {
    /// The number; those from 64 follow BSD's `sysexits.h`.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Input => 65,
            Self::NotFound => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Launch => 71,
            Self::TryAgain => 75,
            Self::Denied => 77,
            Self::Prerequisite => 78,
            Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure with the exit code it ends the program with.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, why, and what to try.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// Anything without a kind of its own is our fault.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Internal, error)
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The value, or a failure of this kind.
    ///
    /// # Errors
    /// The error, with `exit`.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
