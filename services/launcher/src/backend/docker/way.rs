//! The way from a container's init to the launcher: a Unix socket in a directory that only this container sees, for one
//! connection.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use handover::Channel;
use rustix::process::Pid;
use tokio::net::UnixListener;

/// The directory's name in the backend's part of a bottle's state.
const DIRECTORY: &str = "way";
/// The socket's name in it.
const SOCKET: &str = "init";
/// Where the directory is in the container.
pub(super) const INSIDE: &str = "/.bot-bottle/way";

/// A socket that waits for init.
pub(super) struct Way {
    listener: UnixListener,
    directory: PathBuf,
}

impl Way {
    /// Opens it below the backend's part of a bottle's state, which nobody else may enter.
    ///
    /// # Errors
    /// The directory exists, or cannot be made.
    pub(super) fn open(own: &Path) -> io::Result<Self> {
        let directory = own.join(DIRECTORY);
        DirBuilder::new().mode(0o755).create(&directory)?;
        let listener = short(&directory, |path| UnixListener::bind(path.join(SOCKET)))?;
        std::fs::set_permissions(directory.join(SOCKET), Permissions::from_mode(0o666))?;
        Ok(Self { listener, directory })
    }

    /// The directory on the host.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The socket, as init names it.
    pub(super) fn socket() -> String {
        format!("{INSIDE}/{SOCKET}")
    }

    /// Opens one more socket in it, which stays; returns it and how init names it.
    ///
    /// # Errors
    /// There is something of this name, or it cannot be made.
    pub(super) fn outlet(&self, name: &str) -> io::Result<(OwnedFd, String)> {
        let bind = |path: &Path| std::os::unix::net::UnixListener::bind(path.join(name));
        let listener = short(&self.directory, bind)?;
        std::fs::set_permissions(self.directory.join(name), Permissions::from_mode(0o666))?;
        Ok((listener.into(), format!("{INSIDE}/{name}")))
    }

    /// Takes the first connection and removes the socket. Cancel-safe.
    ///
    /// # Errors
    /// The system's own.
    pub(super) async fn accept(&self, deadline: Duration) -> io::Result<Arrived> {
        let (socket, _) = self.listener.accept().await?;
        std::fs::remove_file(self.directory.join(SOCKET))?;
        let pid = socket.peer_cred()?.pid().and_then(Pid::from_raw);
        let channel = Channel::new(socket.into_std()?, deadline).map_err(io::Error::other)?;
        Ok(Arrived { channel, pid })
    }
}

/// Somebody who connected.
pub(super) struct Arrived {
    pub(super) channel: Channel,
    /// Their process, as this launcher sees it; nothing when it does not see it.
    pub(super) pid: Option<Pid>,
}

/// Does something with a short name of a directory: a socket's path may have 107 bytes, and homes may lie deep.
fn short<T>(directory: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    use std::os::fd::AsRawFd as _;
    let open = std::fs::File::open(directory)?;
    work(&PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_connection_and_then_there_is_no_socket() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let way = Way::open(&deep).unwrap();
        let path = way.directory().join(SOCKET);
        let connect =
            || short(way.directory(), |path| std::os::unix::net::UnixStream::connect(path.join(SOCKET)));
        let _first = connect().unwrap();
        let arrived = way.accept(Duration::from_secs(1)).await.unwrap();
        assert_eq!(arrived.pid, Some(rustix::process::getpid()));
        assert!(!path.exists() && connect().is_err());
    }
}
