//! The operator's own editor.

use std::ffi::OsString;
use std::path::Path;

use tokio::process::Command;

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
}

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

    /// Edits a file, at this terminal; returns when the editor has ended well.
    ///
    /// # Errors
    /// It does not start, or fails.
    pub async fn open(&self, file: &Path) -> Result<(), EditorError> {
        let Self(words) = self;
        let program = base::inert(&words[0], 200);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(file);
        match command.status().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(EditorError::Failed { program, status }),
            Err(source) => Err(EditorError::Start { program, source }),
        }
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
