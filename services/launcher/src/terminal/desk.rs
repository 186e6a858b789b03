//! One bottle's terminal: serves those who are attached to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::Version;
use bus::message::terminal::{
    INPUT_LIMIT, Size, TerminalAct, TerminalOutcome, TerminalReply, TerminalRequest,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::clients::{Clients, Verdict};
use super::master::Master;
use super::refused;

/// How many pieces of input wait for the program to read.
const WAITING: usize = 32;
/// How many changes of the size wait.
const SIZES: usize = 8;
/// How long a program sees another size, so that it draws everything anew: one that looks later finds nothing changed.
const NUDGE: Duration = Duration::from_millis(60);

/// What is typed, and the size, on their way to the program.
pub(crate) struct Desk {
    clients: Mutex<Clients>,
    input: mpsc::Sender<Vec<u8>>,
    sizes: mpsc::Sender<Change>,
    _tasks: JoinSet<()>,
}

/// A change of the terminal's size.
#[derive(Clone, Copy, Debug)]
enum Change {
    To(Size),
    /// Even to the same size, the program is to draw anew.
    Redraw(Size),
}

impl Desk {
    pub(crate) fn new(terminal: &Arc<Master>) -> Self {
        let ((input, typed), (sizes, changes)) = (mpsc::channel(WAITING), mpsc::channel(SIZES));
        let mut tasks = JoinSet::new();
        tasks.spawn(write(Arc::clone(terminal), typed));
        tasks.spawn(resize(Arc::clone(terminal), changes));
        Self { clients: Mutex::default(), input, sizes, _tasks: tasks }
    }

    /// Does what is asked for, at once or not at all.
    pub(super) fn serve(&self, request: &TerminalRequest) -> TerminalReply {
        let TerminalRequest { client, sequence, act, .. } = request;
        // Every change below is whole before anything can panic.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let TerminalAct::Attach { size } = act {
            let change = if clients.had_any { Change::Redraw(*size) } else { Change::To(*size) };
            return self.change(*size, change).unwrap_or_else(|| {
                clients.attach(client, *sequence);
                accepted()
            });
        }
        match clients.judge(client, *sequence) {
            Verdict::Do => {}
            Verdict::Done => return accepted(),
            Verdict::Unknown => {
                return refused(TerminalOutcome::Unknown, "this client is not attached: attach first");
            }
            Verdict::OutOfOrder { next } => {
                return refused(TerminalOutcome::OutOfOrder, format!("{next} is next"));
            }
        }
        let (trouble, leads) = match act {
            TerminalAct::Attach { .. } => (None, true),
            TerminalAct::Detach => {
                clients.detach(client);
                return accepted();
            }
            TerminalAct::Resize { size } => (self.change(*size, Change::To(*size)), true),
            TerminalAct::Input { data } => (self.type_in(data), true),
            TerminalAct::Answer { data } if clients.leads(client) => (self.type_in(data), false),
            TerminalAct::Answer { .. } => (None, false),
        };
        if let Some(trouble) = trouble {
            return trouble;
        }
        clients.done(client, leads);
        accepted()
    }

    /// What is in the way, if something is.
    fn type_in(&self, data: &str) -> Option<TerminalReply> {
        let Some(bytes) = BASE64_STANDARD.decode(data).ok().filter(|bytes| bytes.len() <= INPUT_LIMIT) else {
            let reason = format!("input is at most {INPUT_LIMIT} bytes, in base64");
            return Some(refused(TerminalOutcome::Invalid, reason));
        };
        self.input.try_send(bytes).err().map(|_| busy())
    }

    fn change(&self, size: Size, change: Change) -> Option<TerminalReply> {
        if let Some(flaw) = size.flaw() {
            return Some(refused(TerminalOutcome::Invalid, flaw));
        }
        self.sizes.try_send(change).err().map(|_| busy())
    }
}

fn accepted() -> TerminalReply {
    TerminalReply { v: Version, outcome: TerminalOutcome::Accepted, reason: None }
}

fn busy() -> TerminalReply {
    refused(TerminalOutcome::Busy, "the program does not read what is typed")
}

/// Ends when the program is gone, and its terminal with it.
async fn write(terminal: Arc<Master>, mut typed: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = typed.recv().await {
        if terminal.write(&bytes).await.is_err() {
            return;
        }
    }
}

async fn resize(terminal: Arc<Master>, mut changes: mpsc::Receiver<Change>) {
    while let Some(change) = changes.recv().await {
        let (Change::To(size) | Change::Redraw(size)) = change;
        let is_same = terminal.size().is_ok_and(|now| now == size);
        if is_same && matches!(change, Change::Redraw(_)) {
            let rows = if size.rows > 1 { size.rows - 1 } else { 2 };
            // A terminal that is gone needs no size.
            let _ = terminal.resize(Size { rows, ..size });
            tokio::time::sleep(NUDGE).await;
        }
        let _ = terminal.resize(size);
    }
}
