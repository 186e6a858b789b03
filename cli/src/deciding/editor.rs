//! The operator's own editor.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::process::{Child, Command};

use crate::interrupt::Interrupts;

/// Used when neither variable is set.
const FALLBACK: &str = "vi";

/// The program that edits a file, and its arguments. No shell takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor(Vec<String>);

/// Why nothing was edited.
#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    /// The variable makes no command.
    #[error("{variable} is no command: quotes in it are not closed, or it is empty")]
    Words {
        /// `VISUAL` or `EDITOR`.
        variable: &'static str,
    },
    /// It is not Unicode.
    #[error("{variable} is not Unicode")]
    Unicode {
        /// `VISUAL` or `EDITOR`.
        variable: &'static str,
    },
    /// It does not start.
    #[error("cannot run the editor {program}: set EDITOR to one that is installed")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It failed, which is how a person gives an edit up.
    #[error("the editor {program} ended with {status}")]
    Failed {
        /// Its name.
        program: String,
        /// How.
        status: std::process::ExitStatus,
    },
    /// It was ended, because this program is to end.
    #[error("the editor {program} was ended, since this program was told to end")]
    Ended {
        /// Its name.
        program: String,
    },
    /// The order to end cannot be heard, and the editor would be left behind.
    #[error("cannot listen for the order to end")]
    Signals(#[source] anyhow::Error),
}

/// How long an editor that is told to end may take to give the terminal back.
const GRACE: Duration = Duration::from_secs(2);

impl Editor {
    /// `VISUAL`, else `EDITOR`, else `vi`. The value is split into words as a POSIX shell splits them: at blanks, but for what
    /// is in quotes or follows a backslash. Nothing else of a shell happens: no variables, no patterns, no pipes.
    ///
    /// # Errors
    /// The variable is set and makes no command.
    pub fn of_environment() -> Result<Self, EditorError> {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, EditorError> {
        for name in ["VISUAL", "EDITOR"] {
            let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
            let value = value.into_string().map_err(|_| EditorError::Unicode { variable: name })?;
            return Self::parse(name, &value);
        }
        Ok(Self(vec![FALLBACK.to_owned()]))
    }

    pub(crate) fn parse(variable: &'static str, value: &str) -> Result<Self, EditorError> {
        let words = shlex::split(value).filter(|words| !words.is_empty());
        words.map(Self).ok_or(EditorError::Words { variable })
    }

    /// Edits a file, at this terminal; returns when the editor has ended well. When this program is told to end, the editor is.
    ///
    /// # Errors
    /// It does not start, fails, or was ended.
    pub async fn open(&self, file: &Path) -> Result<(), EditorError> {
        let Self(words) = self;
        let program = base::inert(&words[0], 200);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(file);
        let _terminal = Terminal::lent();
        let mut interrupts = Interrupts::listen().map_err(EditorError::Signals)?;
        let ended = match command.kill_on_drop(true).spawn() {
            Ok(mut editor) => tokio::select! {
                ended = editor.wait() => ended,
                () = interrupts.order() => {
                    end(&mut editor).await;
                    return Err(EditorError::Ended { program });
                }
            },
            Err(error) => Err(error),
        };
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(EditorError::Failed { program, status }),
            Err(source) => Err(EditorError::Start { program, source }),
        }
    }
}

/// The terminal's settings, which come back however the editor has left them: one that is ended by a signal may not.
struct Terminal(Option<Termios>);

impl Terminal {
    /// As it is now; nothing if there is none.
    fn lent() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Whoever the terminal is taken from cannot be told.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, settings);
        }
    }
}

/// Ends an editor, which gives the terminal back first if it can.
async fn end(editor: &mut Child) {
    let pid = editor.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    // It may have ended by itself just now.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    if tokio::time::timeout(GRACE, editor.wait()).await.is_err() {
        let _ = editor.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_split_as_words_and_nothing_more() {
        let editor = |visual: &str, editor: &str| {
            let value = |name: &str| if name == "VISUAL" { visual } else { editor }.into();
            Editor::of(|name| Some(value(name))).map(|Editor(words)| words)
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(editor("", "").unwrap(), words(&["vi"]));
        assert_eq!(editor("code --wait", "nano").unwrap(), words(&["code", "--wait"]));
        assert_eq!(
            editor("", r#""/opt/my editor/bin" -c 'a b' c\ d"#).unwrap(),
            words(&["/opt/my editor/bin", "-c", "a b", "c d"])
        );
        assert_eq!(
            editor("", "vi $(id) ; rm * | x > y").unwrap(),
            words(&["vi", "$(id)", ";", "rm", "*", "|", "x", ">", "y"])
        );
        assert!(matches!(editor("", "vi 'open"), Err(EditorError::Words { variable: "EDITOR" })));
        assert!(matches!(editor("  ", "vi"), Err(EditorError::Words { variable: "VISUAL" })));
    }
}
