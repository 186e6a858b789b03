//! The operator's terminal, which is given back as it was: at the end, at an error, at a signal, and by a hook at a panic.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::modes::Modes;

/// Takes the title from the terminal's stack.
const POP_TITLE: &[u8] = b"\x1b[23;0t";
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";

/// How to give it back; nothing while it is not taken.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
static HOOK: Once = Once::new();

struct Taken {
    settings: Termios,
    modes: Modes,
}

/// The terminal, while keys go through as they are.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    /// Takes it.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub(super) fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        let settings = tcgetattr(io::stdin())?;
        let mut raw = settings.clone();
        raw.make_raw();
        lock().replace(Taken { settings, modes: Modes::default() });
        let screen = Self(());
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        write(PUSH_TITLE);
        Ok(screen)
    }

    /// What the program has brought it into by now.
    pub(super) fn is_in(&self, modes: &Modes) {
        if let Some(taken) = lock().as_mut().filter(|taken| taken.modes != *modes) {
            taken.modes = modes.clone();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if let Some(Taken { settings, modes }) = lock().take() {
        write(&modes.leave());
        write(POP_TITLE);
        // What was typed for the program is not for whoever reads next. A terminal that is gone cannot be told.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &settings);
    }
}

/// What the terminal is called while this has it; the text is inert.
pub(super) fn title(text: &str) -> Vec<u8> {
    [b"\x1b]2;", text.as_bytes(), b"\x1b\\"].concat()
}

fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    // A terminal that is gone needs nothing.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn lock() -> std::sync::MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
