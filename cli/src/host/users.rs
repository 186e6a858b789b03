//! Who uses the services that a `start` brought up. They end only when nobody does: a user holds a shared lock, and
//! whoever ends them an exclusive one, until they have ended.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use base::lock::Locked;

use super::lock;
use crate::exit::{Exit, Failure};

const FILE: &str = "users.lock";
const POLL: Duration = Duration::from_millis(20);
/// Longer than services take to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// Held while the services of this home are used: whoever brought them up does not end them meanwhile.
#[derive(Debug)]
pub struct User {
    _file: Locked,
}

impl User {
    /// Waits until no services are just being ended.
    ///
    /// # Errors
    /// They do not end, or the lock file cannot be used.
    pub async fn join(home: &Path) -> Result<Self, Failure> {
        let file = lock::open(home, FILE)?;
        let end = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < end {
            match Locked::shared(file.try_clone()?)? {
                Some(locked) => return Ok(Self { _file: locked }),
                None => tokio::time::sleep(POLL).await,
            }
        }
        let error = anyhow!("the services of another `start` have not ended within {PATIENCE:?}; try again");
        Err(Failure::new(Exit::TryAgain, error))
    }
}

/// Held while services end: whoever wants to use some waits for their end, and then brings up others.
#[derive(Debug)]
pub struct Alone {
    _file: Locked,
}

impl Alone {
    /// Nothing if somebody uses the services.
    ///
    /// # Errors
    /// The lock file cannot be used.
    pub fn take(home: &Path) -> Result<Option<Self>, Failure> {
        Ok(Locked::alone(lock::open(home, FILE)?)?.map(|file| Self { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_ends_what_somebody_uses() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) =
            (User::join(home.path()).await.unwrap(), User::join(home.path()).await.unwrap());
        drop(first);
        assert!(Alone::take(home.path()).unwrap().is_none());
        drop(second);
        let alone = Alone::take(home.path()).unwrap().unwrap();
        let mut third = std::pin::pin!(User::join(home.path()));
        assert!(tokio::time::timeout(Duration::ZERO, &mut third).await.is_err());
        drop(alone);
        third.await.unwrap();
    }
}
