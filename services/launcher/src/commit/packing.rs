//! From a home that is in use to an archive on the bus, in constant memory and with nothing on the host's disk.

use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use archive::{Contents, Limits, Odd, PackError, Rules};
use base::id::ExchangeId;
use bus::layout::COMMITS;
use bus::{Bus, BusError};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::Progress;

/// Why nothing is stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotStored {
    /// What there is cannot be packed.
    #[error("its home cannot be packed")]
    Unpackable(#[source] PackError),
    /// The bus does not take it.
    #[error("the bus did not take its archive")]
    Bus(#[source] BusError),
    /// The host is in the way.
    #[error("its home cannot be read")]
    Host(#[source] io::Error),
}

/// An archive that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// What is in it.
    pub(crate) contents: Contents,
    /// Bytes of the archive.
    pub(crate) size: u64,
}

/// Packs a home, links as their texts, and stores it under a name that nothing has yet.
///
/// # Errors
/// [`NotStored`]; nothing is visible of it then.
pub(crate) async fn store(
    bus: &Bus,
    (name, version): (&str, &ExchangeId),
    (home, limits): (PathBuf, Limits),
    progress: Arc<Progress>,
) -> Result<Packed, NotStored> {
    let (to, from) = io::pipe().map(|(reader, writer)| (writer, reader)).map_err(NotStored::Host)?;
    let from = pipe::Receiver::from_owned_fd(from.into()).map_err(NotStored::Host)?;
    let rules = Rules { links: Odd::Keep, specials: Odd::Skip, in_use: true, limits };
    let to = Counted { to, progress };
    let packing = tokio::task::spawn_blocking(move || archive::pack(&home, &[PathBuf::new()], &rules, to));
    let mut archive = Archive { from, packing: Some(packing), packed: None };
    let stored = bus.objects(COMMITS).put_as(name, version, &mut archive).await;
    match (archive.packed, stored) {
        // Where packing failed that is the reason, and not that the bus was given no whole archive.
        (Some(Err(error)), _) => Err(NotStored::Unpackable(error)),
        (_, Err(error)) => Err(NotStored::Bus(error)),
        (Some(Ok(contents)), Ok(info)) => Ok(Packed { contents, size: info.size }),
        (None, Ok(_)) => Err(NotStored::Host(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// The archive as it is packed. It ends only when packing has succeeded: one that was broken off is a failure to read.
struct Archive {
    from: pipe::Receiver,
    packing: Option<JoinHandle<Result<Contents, PackError>>>,
    packed: Option<Result<Contents, PackError>>,
}

impl AsyncRead for Archive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        if let Some(packing) = &mut self.packing {
            let packed = ready!(Pin::new(packing).poll(cx));
            self.packed = Some(packed.unwrap_or_else(|panic| Err(PackError::Write(io::Error::other(panic)))));
            self.packing = None;
        }
        Poll::Ready(match &self.packed {
            Some(Ok(_)) => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

struct Counted<W> {
    to: W,
    progress: Arc<Progress>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.to.write(data)?;
        self.progress.add(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
