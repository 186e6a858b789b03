//! The agent's program at a terminal of its own. The terminal belongs to the bottle's own set of terminals, so that nothing
//! of the host's reaches in; its other side goes out to the launcher, which writes what is typed and reads what is shown.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;

use boundary::order::{self, SIDE_LIMIT};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::{command, sys};

/// Starts the program in a session of its own, with a new terminal as its standard streams and controlling terminal.
/// Returns the terminal's other side with it.
///
/// # Errors
/// There is no terminal to be had, or the program cannot be started; the text says which.
pub(crate) fn start(command: &order::Command, rows: u16, cols: u16) -> Result<(Child, OwnedFd), String> {
    if ![rows, cols].iter().all(|side| (1..=SIDE_LIMIT).contains(side)) {
        return Err(format!("a terminal of {rows} rows and {cols} columns cannot be made"));
    }
    let mut process = command::prepare(command)?;
    let (outside, inside) =
        open(rows, cols).map_err(|error| format!("cannot make a terminal inside the bottle: {error}"))?;
    let again =
        || inside.try_clone().map_err(|error| format!("cannot hand the terminal to the program: {error}"));
    process.stdin(again()?).stdout(again()?).stderr(inside);
    sys::block_signals();
    let child = sys::at_own_terminal(&mut process).spawn();
    Ok((child.map_err(|error| command::explain(command, &error))?, outside))
}

/// Both sides of a new terminal: the launcher's, and the program's.
fn open(rows: u16, cols: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&outside)?;
    unlockpt(&outside)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let inside = match ioctl_tiocgptpeer(&outside, flags) {
        Ok(inside) => inside,
        // gVisor has it by its name only.
        Err(Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::open(ptsname(&outside, Vec::new())?, flags, Mode::empty())?
        }
        Err(error) => return Err(error.into()),
    };
    tcsetwinsize(&outside, Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 })?;
    // Deleting takes back a whole character, as in every terminal of today.
    let mut modes = tcgetattr(&inside)?;
    modes.input_modes |= InputModes::IUTF8;
    tcsetattr(&inside, OptionalActions::Now, &modes)?;
    Ok((outside, inside))
}
