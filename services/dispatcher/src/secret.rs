//! Reading what `dispatch.yaml` names: the webhooks' secrets and the forges' tokens.

use std::path::PathBuf;

use base::Secret;
use policy::token::TokenRef;

/// The largest file with a secret in it.
const LARGEST: u64 = 64 << 10;

/// Why a secret could not be read. It never shows what was read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret {reference}: {reason}")]
pub struct SecretError {
    reference: String,
    reason: String,
}

/// Reads one, without a trailing line end. `variable` looks a variable of the host up.
///
/// # Errors
/// It is not there, is empty, or is more than one line.
pub fn read(reference: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Secret, SecretError> {
    let failed = |reason: String| SecretError { reference: base::inert(reference, 200), reason };
    let text = match reference
        .parse()
        .map_err(|error: policy::token::InvalidTokenRef| failed(error.to_string()))?
    {
        TokenRef::Env(name) => variable(&name).map(Secret::new).ok_or_else(|| {
            failed(format!(
                "the variable {name} is not set where the dispatcher runs; set it there and start it again"
            ))
        })?,
        TokenRef::File(path) => {
            let home = || variable("HOME").map(PathBuf::from);
            let path = match path.strip_prefix("~") {
                Ok(rest) => home().ok_or_else(|| failed("HOME is not set".to_owned()))?.join(rest),
                Err(_) => path,
            };
            file(&path).map_err(failed)?
        }
        TokenRef::Json { .. } | TokenRef::Command(_) => {
            return Err(failed("the dispatcher reads a variable or a file".to_owned()));
        }
    };
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    if line.chars().any(char::is_control) {
        return Err(failed("it holds control characters or several lines".to_owned()));
    }
    Ok(Secret::new(line.to_owned()))
}

fn file(path: &std::path::Path) -> Result<Secret, String> {
    let about =
        std::fs::metadata(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(format!("{} is no ordinary file of at most {LARGEST} bytes", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(|_| format!("{} is not a text file", path.display()))?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hook"), "from a file\n").unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let variable = |name: &str| match name {
            "HOME" => Some(home.clone()),
            "HOOK" => Some("from a variable".to_owned()),
            "EMPTY" => Some("\n".to_owned()),
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
            ("EMPTY", "it is empty"),
            ("LINES", "several lines"),
            ("file:/no/such", "cannot be read"),
            ("file:~/", "name"),
            ("cmd:true", "a variable or a file"),
        ] {
            let said = said(reference);
            assert!(said.contains(words) && !said.contains("one\ntwo"), "{said}");
        }
    }
}
