//! Whose services a `start` uses: those that run, or its own.

use std::time::Duration;

use anyhow::anyhow;

use super::{Host, Lock, Options, Process, Purpose, User};
use crate::commands::{init, status};
use crate::context::{self, Context};
use crate::exit::{Exit, Failure};

/// How long another command's services may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Services that nobody ends in an orderly way while this is held, unless somebody insists.
pub struct Services {
    whose: Whose,
    _user: User,
}

enum Whose {
    /// This process runs them.
    Own(Box<Host>),
    /// Another `start` does. When it is killed or interrupted, whoever uses its services needs others.
    AnotherStarts(Process),
    /// Somebody runs them for good, and knows when to end them.
    Standing,
}

impl Services {
    /// Finds services that answer, or brings up what is missing.
    ///
    /// # Errors
    /// As [`Host::start`]; or somebody else's services do not answer within half a minute.
    pub async fn ensure(context: &Context, options: &Options) -> Result<Self, Failure> {
        init::make(&context.home)?;
        let user = User::join(&context.home).await?;
        let end = tokio::time::Instant::now() + ANSWER;
        loop {
            if let Some(whose) = find(context).await? {
                return Ok(Self { whose, _user: user });
            }
            if let Some(host) = Host::try_start(context, options, Purpose::Start).await? {
                return Ok(Self { whose: Whose::Own(Box::new(host)), _user: user });
            }
            if tokio::time::Instant::now() > end {
                let error = anyhow!("another process runs the services of this home, and they do not answer");
                return Err(Failure::new(Exit::Unavailable, error));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether they go on when this command has ended.
    #[must_use]
    pub fn outlive_this(&self) -> bool {
        matches!(self.whose, Whose::Standing)
    }

    /// Completes when they are gone: with `Ok` if this command is to look for others, and with an error if it is not
    /// its business to bring up any.
    ///
    /// # Errors
    /// This process's own services ended by themselves.
    pub async fn gone(&self) -> Result<(), Failure> {
        match &self.whose {
            Whose::Own(host) => {
                host.failed().await;
                let error = anyhow!("a service ended by itself; the log says why");
                Err(Failure::new(Exit::Unavailable, error))
            }
            Whose::AnotherStarts(process) => {
                process.ended().await;
                Ok(())
            }
            Whose::Standing => std::future::pending().await,
        }
    }

    /// Ends the use; this process's own services end when nobody uses them any more.
    ///
    /// # Errors
    /// Interrupts cannot be listened for.
    pub async fn release(self, context: &Context) -> Result<(), Failure> {
        let Self { whose, _user: user } = self;
        drop(user);
        match whose {
            Whose::Own(host) => host.retire(context).await,
            Whose::AnotherStarts(_) | Whose::Standing => Ok(()),
        }
    }
}

/// Services that answer.
async fn find(context: &Context) -> Result<Option<Whose>, Failure> {
    let holder = Lock::holder(&context.home)?;
    let whose = match holder {
        Some(holder) if holder.purpose == Some(Purpose::Start) => {
            holder.pid.map(Process::find).transpose()?.flatten().map(Whose::AnotherStarts)
        }
        Some(holder) if holder.purpose == Some(Purpose::Up) => Some(Whose::Standing),
        None if context::named_bus().is_some() => Some(Whose::Standing),
        _ => None,
    };
    let Some(whose) = whose else { return Ok(None) };
    Ok(status::launcher_is_alive(context).await.then_some(whose))
}
