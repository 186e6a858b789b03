//! Reading what `dispatch.yaml` names: the webhooks' secrets and the forges' tokens.

use std::path::{Path, PathBuf};

use base::Secret;
use policy::token::TokenRef;

/// The largest file with a secret in it.
const LARGEST: u64 = 64 << 10;

/// Why a secret could not be read. It never shows what was read, nor a text that is no name of a place: it may be the secret
/// itself, pasted by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unread(String);

/// Reads one, without a trailing line end. `variable` looks a variable of the host up.
///
/// # Errors
/// It is not there, is empty, or is more than one line.
pub fn read(reference: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Secret, Unread> {
    let place: TokenRef =
        reference.parse().map_err(|error: policy::token::InvalidTokenRef| Unread(error.to_string()))?;
    let (text, place) = match place {
        TokenRef::Env(name) => {
            let text = variable(&name).map(Secret::new).ok_or_else(|| {
                Unread(format!(
                    "the variable {name} is not set where the dispatcher runs; set it there and start it again"
                ))
            })?;
            (text, format!("the variable {name}"))
        }
        TokenRef::File(path) => {
            let home = || variable("HOME").map(PathBuf::from);
            let path = match path.strip_prefix("~") {
                Ok(rest) => home().ok_or_else(|| Unread("HOME is not set".to_owned()))?.join(rest),
                Err(_) => path,
            };
            (file(&path)?, format!("the file {}", path.display()))
        }
        TokenRef::Json { .. } | TokenRef::Command(_) => {
            return Err(Unread("the dispatcher reads a variable or a file".to_owned()));
        }
    };
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Err(Unread(format!("{place} is empty; what belongs there is one line")));
    }
    if line.chars().any(char::is_control) {
        let why = "holds control characters or several lines; what belongs there is one line";
        return Err(Unread(format!("{place} {why}")));
    }
    Ok(Secret::new(line.to_owned()))
}

fn file(path: &Path) -> Result<Secret, Unread> {
    let failed = |error: &std::io::Error| {
        Unread(format!("the file {} cannot be read by the dispatcher: {error}", path.display()))
    };
    let about = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !about.is_file() || about.len() > LARGEST {
        let why = format!("{} is no ordinary file of at most {LARGEST} bytes", path.display());
        return Err(Unread(why));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    // What is no text is not shown, and neither is where it ceases to be one.
    let text = String::from_utf8(bytes).map_err(|_| Unread(format!("{} is no text file", path.display())))?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hook"), "from a file\n").unwrap();
        std::fs::write(folder.path().join("nothing"), "\n").unwrap();
        std::fs::write(folder.path().join("bytes"), b"made up\xff").unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let variable = |name: &str| match name {
            "HOME" => Some(home.clone()),
            "HOOK" => Some("from a variable".to_owned()),
            "EMPTY" => Some("\n".to_owned()),
            "BLANK" => Some("  ".to_owned()),
            "LINES" => Some("one\ntwo".to_owned()),
            _ => None,
        };
        let said = |reference: &str| match read(reference, variable) {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said("HOOK"), "from a variable");
        assert_eq!(said("file:~/hook"), "from a file");
        for (reference, words) in [
            ("UNSET", "UNSET is not set where the dispatcher runs"),
            ("EMPTY", "the variable EMPTY is empty"),
            ("BLANK", "the variable BLANK is empty"),
            ("LINES", "the variable LINES holds control characters or several lines"),
            ("file:/no/such", "the file /no/such cannot be read by the dispatcher: No such file"),
            ("file:~/nothing", "is empty"),
            ("file:~/bytes", "is no text file"),
            ("file:~/folder", "is no ordinary file"),
            ("file:~/", "name"),
            ("cmd:true", "a variable or a file"),
            // The secret itself instead of its place.
            ("f3a9c1d07be24415a8e6f0b2d5c79e13f3a9c1d07be24415a8e6f0b2d5c79e13", "looks like a token itself"),
            ("0f3a9c1d07be", "name where the token is"),
        ] {
            let said = said(reference);
            assert!(said.contains(words), "{said}");
            assert!(["two", "f3a9", "made up"].iter().all(|secret| !said.contains(secret)), "{said}");
        }
    }
}
