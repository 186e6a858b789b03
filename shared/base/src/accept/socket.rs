//! Sockets that listen inside a bottle, or that take what a bottle's init forwards from there.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// Clients connect to it.
    Tcp(TcpListener),
    /// Somebody forwards what clients send.
    Unix(UnixListener),
}

impl Listener {
    /// Takes a descriptor that somebody handed over. Needs a runtime.
    ///
    /// # Errors
    /// It is no listening socket of either kind.
    pub fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        let tcp = std::net::TcpListener::from(descriptor);
        if tcp.local_addr().is_ok() {
            tcp.set_nonblocking(true)?;
            return TcpListener::from_std(tcp).map(Self::Tcp);
        }
        let unix = std::os::unix::net::UnixListener::from(OwnedFd::from(tcp));
        unix.local_addr()?;
        unix.set_nonblocking(true)?;
        UnixListener::from_std(unix).map(Self::Unix)
    }

    /// Waits for the next connection. Cancel-safe.
    ///
    /// # Errors
    /// The system's own.
    pub async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Connection::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// A connection from one of them.
#[derive(Debug)]
pub enum Connection {
    /// The client's own.
    Tcp(TcpStream),
    /// A client's that is forwarded.
    Unix(UnixStream),
}

impl Connection {
    /// Has small writes sent at once; a connection within this host does that anyway.
    ///
    /// # Errors
    /// The system's own.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn both_kinds_are_taken_over_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("bot-bottle-accept-{}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("socket");
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let tcp = Listener::from_descriptor(tcp.into()).unwrap();
        let unix = Listener::from_descriptor(unix.into()).unwrap();
        let mut clients =
            (TcpStream::connect(address).await.unwrap(), UnixStream::connect(&path).await.unwrap());
        clients.0.write_all(b"tcp").await.unwrap();
        clients.1.write_all(b"unix").await.unwrap();
        for (listener, expected) in [(tcp, "tcp"), (unix, "unix")] {
            let mut taken = listener.accept().await.unwrap();
            taken.set_nodelay().unwrap();
            let mut bytes = vec![0; expected.len()];
            taken.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, expected.as_bytes());
        }
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Listener::from_descriptor(file.into()).is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
