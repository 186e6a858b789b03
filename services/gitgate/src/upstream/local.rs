//! Unix sockets that programs of this very user ask over, and nobody else.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base::lifecycle::Lifecycle;
use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections at once.
const CONNECTIONS: usize = 16;
/// How long one may last: as long as a program may be logging in.
const LONGEST: Duration = Duration::from_secs(120);
/// After an accept that failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers on a socket that only this user may open, until the lifecycle stops.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn serve<F, A>(path: &Path, life: &Lifecycle, answer: F) -> anyhow::Result<()>
where
    F: Fn(UnixStream) -> A + Send + Sync + 'static,
    A: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = UnixListener::bind(path).with_context(|| format!("making {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("closing {} to others", path.display()))?;
    let (owner, places) = (life.clone(), Arc::new(Semaphore::new(CONNECTIONS)));
    life.spawn(async move {
        loop {
            let accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = owner.stopping() => return,
            };
            let Ok((stream, _)) = accepted else {
                sleep(PAUSE).await;
                continue;
            };
            // The file's mode says the same; this holds even where somebody could reach the directory.
            if stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw()) {
                let work = answer(stream);
                owner.spawn(async move {
                    let _ = timeout(LONGEST, work).await;
                    drop(place);
                });
            }
        }
    });
    Ok(())
}
