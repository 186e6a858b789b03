//! What this program does when `git` starts it by another name: `ssh`, which becomes the real one with settings of the
//! gate's own, and `askpass`, which fetches a token. So no command line is ever put together for a shell to read.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::upstream::{ASKPASS_SOCKET, SSH_CONFIG, SSH_PROGRAM};

/// How long the gate may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a token.
const TOKEN: u64 = 64 << 10;

/// Does what the name asks for under which this program was started. `None`: it was started by its own.
#[must_use]
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let name = arguments.next()?;
    let name = Path::new(&name);
    let place = name.parent()?;
    let done = match name.file_name()?.to_str()? {
        "ssh" => Err(become_ssh(place, arguments)),
        "askpass" => askpass(place, &arguments.next().unwrap_or_default()),
        _ => return None,
    };
    if let Err(error) = &done {
        // Git shows it.
        let _ = writeln!(io::stderr(), "the git gate cannot answer git: {error}");
    }
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns only if it fails.
fn become_ssh(place: &Path, arguments: impl Iterator<Item = OsString>) -> io::Error {
    Command::new(place.join(SSH_PROGRAM)).arg("-F").arg(place.join(SSH_CONFIG)).args(arguments).exec()
}

fn askpass(place: &Path, question: &OsString) -> io::Result<()> {
    let mut stream = UnixStream::connect(place.join(ASKPASS_SOCKET))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_encoded_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = Vec::new();
    (&mut stream).take(TOKEN).read_to_end(&mut answer)?;
    let mut out = io::stdout();
    out.write_all(&answer)?;
    out.write_all(b"\n")?;
    out.flush()
}
