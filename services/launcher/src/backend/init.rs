//! What a launcher says with a bottle's init, whichever backend made the bottle and whichever way the channel came.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use boundary::order::{Answer, Command, Forwarded, Order};
use bus::message::terminal::Size;
use handover::{Channel, ChannelError};

use super::{AGENT_HOME, ANSWER, BackendError, Outcome, OuterSide, RunEnd, Unpacking};

/// How long an archive may take; the largest are some gigabytes.
const UNPACKING: Duration = Duration::from_secs(10 * 60);

/// A conversation with a bottle's init; what can be said is said through [`super::Boundary`].
pub struct Init {
    /// Absent while an order is under way and after the program was started.
    channel: Option<Channel>,
    /// The channel of a program that was started: init says on it how the program ended.
    word: Option<Channel>,
    end: Option<RunEnd>,
    /// No descriptor comes out.
    forwards: bool,
}

impl Init {
    /// The first exchange: init opens the ports, which also shows that it lives. Returns their listening sockets.
    ///
    /// # Errors
    /// It refuses, says something else, or is not there.
    pub(super) async fn greet(
        channel: Channel,
        ports: Vec<SocketAddr>,
    ) -> Result<(Self, Vec<OwnedFd>), BackendError> {
        let wanted = ports.len();
        let mut init = Self { channel: Some(channel), word: None, end: None, forwards: false };
        match init.order(Order::Bind { addresses: ports }, Vec::new(), ANSWER).await? {
            (Answer::Bound, listeners) if listeners.len() == wanted => Ok((init, listeners)),
            _ => Err(unexpected()),
        }
    }

    /// The first exchanges where no descriptor comes out: init loads seccomp filters, for its threads as well, opens the ports
    /// and forwards from them.
    ///
    /// # Errors
    /// It refuses, says something else, or is not there.
    pub(super) async fn forward(
        channel: Channel,
        programs: Vec<Vec<u8>>,
        ports: Vec<Forwarded>,
    ) -> Result<Self, BackendError> {
        let mut init = Self { channel: Some(channel), word: None, end: None, forwards: true };
        init.confine(programs).await?;
        match init.order(Order::Forward { ports }, Vec::new(), ANSWER).await? {
            (Answer::Bound, _) => Ok(init),
            _ => Err(unexpected()),
        }
    }

    /// Has init load seccomp filters, for everything inside.
    ///
    /// # Errors
    /// The kernel refuses them.
    pub(super) async fn confine(&mut self, programs: Vec<Vec<u8>>) -> Result<(), BackendError> {
        match self.order(Order::Confine { programs }, Vec::new(), ANSWER).await? {
            (Answer::Confined, _) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn unpack(&mut self, archive: File, how: Unpacking) -> Result<(), BackendError> {
        let Unpacking { into, links, limits: archive::Limits { bytes, entries } } = how;
        let order = Order::Unpack { root: AGENT_HOME.to_owned(), into, links, bytes, entries };
        match self.order(order, vec![archive.into()], UNPACKING).await? {
            (Answer::Unpacked { .. }, _) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn exec(
        &mut self,
        command: Command,
        input: String,
        deadline: Duration,
    ) -> Result<Outcome, BackendError> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let order = Order::Exec { command, input, deadline_ms };
        match self.order(order, Vec::new(), deadline + ANSWER).await? {
            (Answer::Done { code, stdout, stderr }, _) => Ok(Outcome { code, stdout, stderr }),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn run(&mut self, command: Command, streams: [OwnedFd; 3]) -> Result<(), BackendError> {
        match self.order(Order::Run { command }, streams.into(), ANSWER).await? {
            (Answer::Started, _) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn converse(&mut self, command: Command, size: Size) -> Result<OuterSide, BackendError> {
        let order = Order::Converse { command, rows: size.rows, cols: size.cols };
        if self.forwards {
            let pair = || UnixStream::pair().map_err(BackendError::system("make the sockets of a terminal"));
            let ((bytes, its_bytes), (sizes, its_sizes)) = (pair()?, pair()?);
            return match self.order(order, vec![its_bytes.into(), its_sizes.into()], ANSWER).await? {
                (Answer::Started, _) => {
                    Ok(OuterSide::Passed { bytes: bytes.into(), sizes: sizes.into(), size })
                }
                _ => Err(unexpected()),
            };
        }
        match self.order(order, Vec::new(), ANSWER).await? {
            (Answer::Started, terminal) => {
                terminal.into_iter().next().map(OuterSide::Terminal).ok_or_else(unexpected)
            }
            _ => Err(unexpected()),
        }
    }

    /// How the program ended, once init is gone: only init itself knows.
    pub(super) fn end(&mut self) -> RunEnd {
        *self.end.get_or_insert_with(|| last_word(self.word.take()))
    }

    async fn order(
        &mut self,
        order: Order,
        descriptors: Vec<OwnedFd>,
        within: Duration,
    ) -> Result<(Answer, Vec<OwnedFd>), BackendError> {
        let failed = |source| BackendError::Channel { what: "bottle".to_owned(), source };
        let mut channel = self.channel.take().ok_or_else(|| failed(ChannelError::Closed))?;
        channel.set_deadline(within).map_err(failed)?;
        let (channel, answer) = ask(channel, order, descriptors).await;
        match answer.map_err(failed)? {
            started @ (Answer::Started, _) => {
                self.word = Some(channel);
                Ok(started)
            }
            (Answer::Failed { reason }, _) => {
                self.channel = Some(channel);
                Err(BackendError::Refused(reason))
            }
            answer => {
                self.channel = Some(channel);
                Ok(answer)
            }
        }
    }
}

fn unexpected() -> BackendError {
    BackendError::Refused("init answered something else than was asked".to_owned())
}

type Asked = Result<(Answer, Vec<OwnedFd>), ChannelError>;

/// Gives an order and waits for its answer, off the runtime's threads.
async fn ask(mut channel: Channel, order: Order, descriptors: Vec<OwnedFd>) -> (Channel, Asked) {
    let asking = tokio::task::spawn_blocking(move || {
        let sent: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let answer = channel.send(&order, &sent).and_then(|()| channel.receive::<Answer>());
        (channel, answer)
    });
    // The closure cannot panic, and nothing aborts it: a blocking task runs to its end once started.
    asking.await.expect("a blocking task that does not panic")
}

/// What init said last. Whatever it said is there by now: the wait is for an init that dies a moment after its box.
fn last_word(channel: Option<Channel>) -> RunEnd {
    const WITHIN: Duration = Duration::from_millis(20);
    let said = channel.map(|mut channel| {
        channel.set_deadline(WITHIN)?;
        channel.receive::<Answer>()
    });
    match said {
        Some(Ok((Answer::Ended { code }, _))) => RunEnd::Exited(code.into()),
        _ => RunEnd::Lost,
    }
}
