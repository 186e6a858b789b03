//! The socket below a connection to an origin: it has a place, and can be asked what has really arrived.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    doubt: Doubt,
    /// Lets another connection be made when this one is closed.
    _place: OwnedSemaphorePermit,
}

/// Makes the next read of a [`Socket`] ask the kernel, also where the runtime knows of nothing to read. What arrived
/// while nobody waited is known to the kernel first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn settle(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, doubt: Doubt::default(), _place: place }
    }

    pub(crate) fn doubt(&self) -> Doubt {
        self.doubt.clone()
    }

    /// What is there now, if anything is.
    fn read_now(&self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let nothing = |error| matches!(error, Errno::AGAIN | Errno::INTR);
        // Mostly nothing is, and then the buffer need not be initialised.
        match recv(&self.stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(error) if nothing(error) => return None,
            _ => {}
        }
        match recv(&self.stream, buffer.initialize_unfilled(), RecvFlags::DONTWAIT) {
            Ok((_, count)) => {
                buffer.advance(count);
                Some(Ok(()))
            }
            Err(error) if nothing(error) => None,
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.doubt.settle()
            && let Some(read) = self.read_now(buffer)
        {
            return Poll::Ready(read);
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A socket and its other side.
#[cfg(test)]
pub(crate) async fn pair() -> (Socket, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let place = Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await.unwrap();
    (Socket::new(stream, place), listener.accept().unwrap().0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(socket: &mut Socket) -> Option<usize> {
        let mut bytes = [0; 16];
        let mut buffer = ReadBuf::new(&mut bytes);
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        let read = Pin::new(socket).poll_read(cx, &mut buffer);
        read.is_ready().then(|| buffer.filled().len())
    }

    /// Between `write_all` and the read nothing is awaited, so the runtime cannot have heard of the bytes.
    #[tokio::test]
    async fn in_doubt_the_kernel_is_asked() {
        let (mut socket, mut other) = pair().await;
        socket.doubt().raise();
        assert_eq!((read(&mut socket), read(&mut socket)), (None, None));
        other.write_all(b"late").unwrap();
        assert_eq!(read(&mut socket), None);
        socket.doubt().raise();
        assert_eq!(read(&mut socket), Some(4));
        drop(other);
        socket.doubt().raise();
        assert_eq!(read(&mut socket), Some(0));
    }
}
