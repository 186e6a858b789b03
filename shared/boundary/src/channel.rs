//! Framed JSON with descriptors over a Unix stream socket.
//!
//! A frame is a four-byte big-endian length, then that many bytes of JSON. Descriptors travel with the first byte
//! of the frame they belong to. Calls block, with a deadline.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame: a policy with thousands of routes fits, a runaway peer does not.
pub const FRAME_LIMIT: usize = 4 * 1024 * 1024;
/// The most descriptors one frame can carry.
pub const DESCRIPTOR_LIMIT: usize = 16;

/// Why a frame could not be sent or received. The text never quotes a frame: it may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other side closed the socket between two frames.
    #[error("the other side closed the hand-over channel")]
    Closed,
    /// Nothing arrived, or nothing could be sent, within the deadline.
    #[error("no answer on the hand-over channel within its deadline")]
    Deadline,
    /// The frame is over [`FRAME_LIMIT`] bytes or [`DESCRIPTOR_LIMIT`] descriptors.
    #[error("a hand-over frame is larger than {FRAME_LIMIT} bytes or {DESCRIPTOR_LIMIT} descriptors")]
    TooLarge,
    /// The frame is not the message that was expected.
    #[error("a hand-over frame is not the expected message (line {line}, column {column})")]
    Malformed {
        /// Line of the JSON text.
        line: usize,
        /// Column of the JSON text.
        column: usize,
    },
    /// The socket failed.
    #[error("the hand-over channel failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Deadline,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

/// One end of the hand-over socket.
#[derive(Debug)]
pub struct Channel {
    socket: UnixStream,
}

impl Channel {
    /// Two connected ends, close-on-exec; every read and write on each fails after `deadline`.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn pair(deadline: Duration) -> Result<(Self, Self), ChannelError> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self::new(ours, deadline)?, Self::new(theirs, deadline)?))
    }

    /// Takes a connected socket.
    ///
    /// # Errors
    /// `deadline` is zero.
    pub fn new(socket: UnixStream, deadline: Duration) -> Result<Self, ChannelError> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(deadline))?;
        socket.set_write_timeout(Some(deadline))?;
        Ok(Self { socket })
    }

    /// Changes the deadline of every later read and write.
    ///
    /// # Errors
    /// `deadline` is zero.
    pub fn set_deadline(&mut self, deadline: Duration) -> Result<(), ChannelError> {
        self.socket.set_read_timeout(Some(deadline))?;
        self.socket.set_write_timeout(Some(deadline))?;
        Ok(())
    }

    /// The channel that a child process inherited as its standard input.
    ///
    /// # Errors
    /// Standard input is closed, or no descriptor is left.
    pub fn from_stdin(deadline: Duration) -> Result<Self, ChannelError> {
        let inherited = io::stdin().as_fd().try_clone_to_owned()?;
        Self::new(UnixStream::from(inherited), deadline)
    }

    /// Sends one message and the descriptors that belong to it.
    ///
    /// # Errors
    /// [`ChannelError::TooLarge`], [`ChannelError::Deadline`], [`ChannelError::Closed`] or the socket's own.
    pub fn send<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let body = serde_json::to_vec(message).map_err(|e| malformed(&e))?;
        if body.len() > FRAME_LIMIT || descriptors.len() > DESCRIPTOR_LIMIT {
            return Err(ChannelError::TooLarge);
        }
        let length = u32::try_from(body.len()).map_err(|_| ChannelError::TooLarge)?.to_be_bytes();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(ChannelError::TooLarge);
        }
        // With a deadline on the socket no call resumes by itself after a signal, such as that of a child's end.
        let sent = retry_on_intr(|| {
            sendmsg(&self.socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL)
        })
        .map_err(io::Error::from)?;
        self.socket.write_all(&length[sent..])?;
        self.socket.write_all(&body)?;
        Ok(())
    }

    /// Receives one message and its descriptors, which are close-on-exec.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] when the other side has gone, [`ChannelError::Deadline`] when it says nothing,
    /// [`ChannelError::Malformed`] when it says something else.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<(T, Vec<OwnedFd>), ChannelError> {
        let mut length = [0_u8; 4];
        let (first, descriptors) = self.receive_start(&mut length)?;
        self.socket.read_exact(&mut length[first..])?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_LIMIT {
            return Err(ChannelError::TooLarge);
        }
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body)?;
        let message = serde_json::from_slice(&body).map_err(|e| malformed(&e))?;
        Ok((message, descriptors))
    }

    fn receive_start(&self, buffer: &mut [u8; 4]) -> Result<(usize, Vec<OwnedFd>), ChannelError> {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
        })
        .map_err(io::Error::from)?;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        match received.bytes {
            0 => Err(ChannelError::Closed),
            _ if received.flags.contains(ReturnFlags::CTRUNC) => Err(ChannelError::TooLarge),
            bytes => Ok((bytes, descriptors)),
        }
    }

    /// The socket, for a caller that waits for its end in another way.
    #[must_use]
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn malformed(error: &serde_json::Error) -> ChannelError {
    ChannelError::Malformed { line: error.line(), column: error.column() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const DEADLINE: Duration = Duration::from_secs(5);

    #[test]
    fn a_listening_socket_crosses_with_its_message() {
        let (mut one, mut other) = Channel::pair(DEADLINE).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        one.send(&"take this", &[listener.as_fd()]).unwrap();
        one.send(&"and nothing", &[]).unwrap();
        drop(listener);

        let (text, mut descriptors): (String, _) = other.receive().unwrap();
        assert_eq!((text.as_str(), descriptors.len()), ("take this", 1));
        let listener = TcpListener::from(descriptors.remove(0));
        let client = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());

        let (_, descriptors): (String, _) = other.receive().unwrap();
        assert!(descriptors.is_empty());
    }

    #[test]
    fn says_why_nothing_came() {
        let (one, mut other) = Channel::pair(Duration::from_millis(20)).unwrap();
        assert!(matches!(other.receive::<String>(), Err(ChannelError::Deadline)));
        drop(one);
        assert!(matches!(other.receive::<String>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn refuses_a_frame_that_is_too_long_without_reading_it() {
        let (one, mut other) = Channel::pair(DEADLINE).unwrap();
        one.into_socket().write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(matches!(other.receive::<String>(), Err(ChannelError::TooLarge)));
    }

    #[test]
    fn an_error_never_quotes_the_frame() {
        let (mut one, mut other) = Channel::pair(DEADLINE).unwrap();
        one.send(&"s3cr3t", &[]).unwrap();
        let error = other.receive::<u32>().unwrap_err();
        assert!(!base::error::chain(&error).contains("s3cr3t"));
    }
}
