//! The conversation between the launcher and a bottle's init (design: launch steps 4 to 7):
//!
//! ```text
//! launcher ── Bind ──▶ init                       one descriptor for each port comes back with the answer
//! launcher ◀─ Bound ── init
//!    or, where no descriptor comes out (gVisor)
//! launcher ── Forward ──▶ init                    init forwards from the ports to Unix sockets of the launcher's
//! launcher ◀─ Bound ── init
//! launcher ── Confine ──▶ init                    where its box has no such filter, or not all of it
//! launcher ◀─ Confined ── init
//! launcher ── Exec ──▶ init                       any number of times: the probe, provisioning
//! launcher ◀─ Done ─── init
//! launcher ── Unpack + archive ──▶ init           likewise: what an agent or a person packed becomes files
//! launcher ◀─ Unpacked ── init
//! launcher ── Run + stdin, stdout, stderr ──▶ init
//! launcher ◀─ Started ── init                     and init takes no further order
//!    or
//! launcher ── Converse ──▶ init
//! launcher ◀─ Started + the terminal ── init      likewise
//!    or, where no descriptor comes out
//! launcher ── Converse + bytes, sizes ──▶ init
//! launcher ◀─ Started ── init                     likewise; the terminal's bytes and sizes pass over the two sockets
//! launcher ◀─ Ended ──── init                     the program's end; init ends with it
//! ```
//!
//! `Failed` may answer any of them; after a failed `Run` the channel stays open. A channel that closes without `Ended`
//! means that the boundary was ended by something else than its program.
//!
//! `Confine` may come before the ports: init's threads have the filters that it had when it started them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The most bytes that `Exec` keeps of each output stream.
pub const CAPTURE_LIMIT: usize = 256 * 1024;

/// The most rows, and the most columns, of a terminal.
pub const SIDE_LIMIT: u16 = 2000;

/// The bytes of one size on the socket that brings a forwarded terminal's sizes.
pub const SIZE_BYTES: usize = 4;

/// A size as these bytes.
#[must_use]
pub fn size_bytes(rows: u16, cols: u16) -> [u8; SIZE_BYTES] {
    let ([a, b], [c, d]) = (rows.to_be_bytes(), cols.to_be_bytes());
    [a, b, c, d]
}

/// Rows and columns from these bytes.
#[must_use]
pub fn size_of([a, b, c, d]: [u8; SIZE_BYTES]) -> (u16, u16) {
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// What the launcher asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Order {
    /// Listen on these loopback addresses and hand the listening sockets out, in this order.
    Bind {
        /// Loopback addresses with fixed ports.
        addresses: Vec<SocketAddr>,
    },
    /// Listen on these loopback addresses and forward every connection to a Unix socket, where no descriptor can be handed
    /// out.
    Forward {
        /// The ports.
        ports: Vec<Forwarded>,
    },
    /// Load these seccomp filters, for init and everything that it starts from now on; the strictest answer counts.
    Confine {
        /// Each is a program of `struct sock_filter` as the kernel reads it.
        programs: Vec<Vec<u8>>,
    },
    /// Run a command to its end and tell what it wrote.
    Exec {
        /// The command.
        command: Command,
        /// What it reads on standard input.
        input: String,
        /// Milliseconds until it and its process group are killed.
        deadline_ms: u64,
    },
    /// Unpack the archive that is this frame's one descriptor, with the agent's rights: whoever made it has no others.
    Unpack {
        /// A directory inside the bottle, as an absolute path, that everything stays below.
        root: String,
        /// Below that, where the archive goes; made where it is missing. Empty for the directory itself.
        into: String,
        /// Whether symbolic links are made; otherwise one is a failure.
        links: bool,
        /// The most bytes that all files may have.
        bytes: u64,
        /// The most files, directories and links that there may be.
        entries: u64,
    },
    /// Start the agent's program with the three descriptors of this frame as its standard streams.
    Run {
        /// The program.
        command: Command,
    },
    /// Start the agent's program at a terminal of its own, whose other side comes back with the answer. With two sockets in
    /// this frame it stays inside: what is shown and typed passes over the first, and the second brings sizes, each as
    /// [`SIZE_BYTES`].
    Converse {
        /// The program.
        command: Command,
        /// The terminal's size at first, at most [`SIDE_LIMIT`] each.
        rows: u16,
        /// Likewise.
        cols: u16,
    },
}

/// A port that is forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// A loopback address with a fixed port.
    pub address: SocketAddr,
    /// The Unix socket's path inside the bottle.
    pub socket: String,
}

/// A command: no shell is involved (invariant 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments; a program without a slash is looked up in the environment's `PATH`.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The working directory, an absolute path inside the bottle.
    pub cwd: String,
}

/// What init answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Answer {
    /// The ports are open. The frame carries their listening sockets, in the order asked for, unless they are forwarded.
    Bound,
    /// The filters are loaded.
    Confined,
    /// The command ended, or was killed at its deadline.
    Done {
        /// Its exit code; 128 + N when signal N ended it; absent when it was killed at its deadline.
        code: Option<i32>,
        /// The beginning of its standard output, at most [`CAPTURE_LIMIT`] bytes, invalid UTF-8 replaced.
        stdout: String,
        /// The beginning of its standard error, likewise.
        stderr: String,
    },
    /// The archive was unpacked whole.
    Unpacked {
        /// How many files it had.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The agent's program runs.
    Started,
    /// The agent's program ended.
    Ended {
        /// Its exit code; 128 + N when signal N ended it.
        code: u8,
    },
    /// The order could not be carried out.
    Failed {
        /// What was being done, and why it failed.
        reason: String,
    },
}
