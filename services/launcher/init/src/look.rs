//! What programs of today need of a kernel beside what isolates them: gVisor is a kernel of its own, and an old one misses
//! things that programs take for granted.

use std::io::Write as _;
use std::process::ExitCode;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;

/// Writes what is missing to standard output, in one sentence; nothing if nothing is.
pub(crate) fn main() -> ExitCode {
    let told = missing().map_or(Ok(()), |missing| writeln!(std::io::stdout(), "{missing}"));
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(crate::BROKEN) }
}

fn missing() -> Option<&'static str> {
    // As the GNU programs since 2020 ask, and gVisor understands since 2023.
    let asked = statx(CWD, "/", AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS);
    matches!(asked, Err(Errno::INVAL)).then_some(
        "this gVisor is too old for programs of today: `ls` and `stat` fail in it (statx without AT_NO_AUTOMOUNT); use a newer \
         one, or the runtime runc",
    )
}
