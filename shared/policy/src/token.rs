//! Where a token is found (E4). Never the token.

use std::path::PathBuf;
use std::str::FromStr;

use crate::limit;

/// A `token_ref`, parsed. The launcher resolves it once, at launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRef {
    /// The value of this environment variable of the host.
    Env(String),
    /// The content of this file, without a trailing line end: absolute, or below the operator's home (`~/`).
    File(PathBuf),
    /// The text at this place (RFC 6901) of this JSON file, which is absolute or below the operator's home (`~/`): the
    /// login that another program keeps.
    Json {
        /// The file.
        file: PathBuf,
        /// The place.
        pointer: String,
    },
    /// What this program writes, without a trailing line end. It is started directly, never by a shell.
    Command(Vec<String>),
}

/// Why a text is no `token_ref`. It never repeats the text, which may be a token that was pasted by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenRef {
    /// None of the forms.
    #[error(
        "name where the token is: an environment variable of the host such as FORGE_TOKEN, file:/path/to/it, \
         json:/path/to/it#/place/in/it, or cmd:program argument"
    )]
    Form,
    /// It has the shape of a token.
    #[error(
        "this looks like a token itself; put it into an environment variable of the host and name that here"
    )]
    LooksSecret,
    /// Longer than [`limit::TOKEN_REF`].
    #[error("at most 4096 bytes")]
    TooLong,
    /// No file, or no place in it.
    #[error("name a JSON file and a place in it: json:~/path/to/it#/tokens/access_token")]
    Json,
    /// A relative or empty file name.
    #[error("the file is named from the root or from the home: file:/path/to/it or file:~/path/to/it")]
    File,
    /// No program, an empty argument, too many of them, or quotes that only a shell would understand.
    #[error(
        "no shell reads this: write cmd: and words without spaces or quotes, or a JSON list such as \
         cmd:[\"pass\", \"show\", \"my token\"]"
    )]
    Command,
}

impl FromStr for TokenRef {
    type Err = InvalidTokenRef;

    fn from_str(text: &str) -> Result<Self, InvalidTokenRef> {
        if text.len() > limit::TOKEN_REF {
            return Err(InvalidTokenRef::TooLong);
        }
        if text.contains('\0') {
            return Err(InvalidTokenRef::Form);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return parse_file(path);
        }
        if let Some(place) = text.strip_prefix("json:") {
            return parse_json(place);
        }
        if let Some(command) = text.strip_prefix("cmd:") {
            return parse_command(command);
        }
        if !is_env_name(text) {
            return Err(InvalidTokenRef::Form);
        }
        if looks_secret(text) {
            return Err(InvalidTokenRef::LooksSecret);
        }
        Ok(Self::Env(text.to_owned()))
    }
}

fn parse_file(path: &str) -> Result<TokenRef, InvalidTokenRef> {
    if is_rooted(path) { Ok(TokenRef::File(path.into())) } else { Err(InvalidTokenRef::File) }
}

fn parse_json(text: &str) -> Result<TokenRef, InvalidTokenRef> {
    match text.split_once('#') {
        Some((file, pointer)) if is_rooted(file) && pointer.starts_with('/') && pointer.len() > 1 => {
            Ok(TokenRef::Json { file: file.into(), pointer: pointer.to_owned() })
        }
        _ => Err(InvalidTokenRef::Json),
    }
}

/// Whether a file is named from the root or from the operator's home, and names something there.
#[must_use]
pub fn is_rooted(path: &str) -> bool {
    path.strip_prefix("~/").or_else(|| path.strip_prefix('/')).is_some_and(|rest| !rest.is_empty())
        && !path.contains(char::is_control)
}

fn parse_command(text: &str) -> Result<TokenRef, InvalidTokenRef> {
    let argv: Vec<String> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|_| InvalidTokenRef::Command)?
    } else if text.contains(['"', '\'', '\\', '`', '$', '|', '>', '<', ';', '&']) {
        return Err(InvalidTokenRef::Command);
    } else {
        text.split_whitespace().map(str::to_owned).collect()
    };
    let program = argv.first().is_some_and(|program| !program.is_empty());
    if !program || argv.len() > limit::ARGUMENTS || argv.iter().any(|argument| argument.contains('\0')) {
        return Err(InvalidTokenRef::Command);
    }
    Ok(TokenRef::Command(argv))
}

/// Whether a text can be the name of an environment variable: a letter or underscore, then letters, digits and
/// underscores, at most 256 of them.
#[must_use]
pub fn is_env_name(text: &str) -> bool {
    text.len() <= 256
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a text that could be a variable's name has the shape of a token in wide use.
fn looks_secret(text: &str) -> bool {
    const PREFIXES: [&str; 8] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_", "AKIA"];
    let digest = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    digest || PREFIXES.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 16))
}
