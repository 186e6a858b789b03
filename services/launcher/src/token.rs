//! Reading the tokens that a policy names (E4). They go to the sidecar and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base::Secret;
use policy::EgressPolicy;
use policy::token::TokenRef;
use tokio::io::AsyncReadExt as _;

use crate::host::HostEnvironment;

/// How long a `cmd:` reference may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// The largest token.
const LIMIT: u64 = 64 * 1024;
/// The largest file of certificates or rules.
const CERTIFICATES: u64 = 1 << 20;

/// Why a token could not be read. It never shows what was read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the token or key {reference}: {reason}")]
pub struct TokenError {
    reference: String,
    reason: String,
}

/// What a policy needs beside itself.
#[derive(Default)]
pub(crate) struct Needed {
    /// `token_ref` as written → the token.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// `tls.ca` as written → PEM text.
    pub(crate) authorities: BTreeMap<String, String>,
}

/// Reads every token and certificate file that the policy names, each once.
///
/// # Errors
/// One cannot be read, is empty, or holds what no header can carry; the text names it and says what to do.
pub(crate) async fn read_all(policy: &EgressPolicy, host: &HostEnvironment) -> Result<Needed, TokenError> {
    let mut needed = Needed::default();
    for route in &policy.routes {
        if let Some(auth) = &route.auth
            && !needed.secrets.contains_key(&auth.token_ref)
        {
            let secret = read_one(&auth.token_ref, host).await?;
            needed.secrets.insert(auth.token_ref.clone(), secret);
        }
        if let Some(ca) = route.tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
            let path = host.expand(Path::new(ca));
            let text = read_text(&path, CERTIFICATES).await.map_err(|reason| TokenError {
                reference: base::inert(ca, 200),
                reason: format!("the certificate file cannot be read: {reason}"),
            })?;
            needed.authorities.insert(ca.clone(), text);
        }
    }
    Ok(needed)
}

/// One token, as a header can carry it.
///
/// # Errors
/// As [`read_all`].
pub(crate) async fn read_one(reference: &str, host: &HostEnvironment) -> Result<Secret, TokenError> {
    let failed = |reason| TokenError { reference: base::inert(reference, 200), reason };
    read(reference, host).await.and_then(|secret| checked(&secret)).map_err(failed)
}

/// A whole text file of at most `most` bytes, such as a private key.
///
/// # Errors
/// It cannot be read; the text names it.
pub(crate) async fn read_file(path: &Path, most: u64, host: &HostEnvironment) -> Result<String, TokenError> {
    let failed = |reason| TokenError { reference: base::inert(&path.to_string_lossy(), 200), reason };
    read_text(&host.expand(path), most).await.map_err(failed)
}

/// The operator's file of secret rules, if there is one.
///
/// # Errors
/// It is there and cannot be read.
pub(crate) async fn read_rules(path: &Path) -> Result<Option<String>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let read = read_text(path, CERTIFICATES).await;
    read.map(Some).map_err(|reason| format!("the secret rules cannot be read: {reason}"))
}

async fn read(reference: &str, host: &HostEnvironment) -> Result<Secret, String> {
    match reference.parse().map_err(|error: policy::token::InvalidTokenRef| error.to_string())? {
        TokenRef::Env(name) => host.get(&name).cloned().ok_or_else(|| {
            format!("the variable {name} is not set where the launcher runs; set it there and start the launcher again")
        }),
        TokenRef::File(path) => read_text(&host.expand(&path), LIMIT).await.map(Secret::new),
        TokenRef::Json { file, pointer } => read_login(&host.expand(&file), &pointer).await,
        TokenRef::Command(argv) => run(&argv, host).await,
    }
}

/// One text of a JSON file.
///
/// # Errors
/// The file cannot be read, or has no such text; the reason never shows what was read.
pub(crate) async fn read_place(file: &Path, pointer: &str) -> Result<String, String> {
    let found = find_place(file, pointer).await?;
    found.ok_or_else(|| format!("{} has no text at {}", file.display(), base::inert(pointer, 100)))
}

/// The same, where there may be none.
///
/// # Errors
/// The file cannot be read; the reason never shows what was read.
pub(crate) async fn find_place(file: &Path, pointer: &str) -> Result<Option<String>, String> {
    let text = read_text(file, LIMIT).await?;
    let shown = file.display();
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| format!("{shown} is not a JSON document"))?;
    Ok(json.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned))
}

/// The token of another program's login, which must not be over.
async fn read_login(file: &Path, pointer: &str) -> Result<Secret, String> {
    let token = Secret::new(read_place(file, pointer).await?);
    match expiry(token.expose()) {
        Some(at) if at <= base::clock::Clock::System.now() => {
            Err(format!("the login in {} ended at {at}; log in again on the host", file.display()))
        }
        _ => Ok(token),
    }
}

/// When a JSON Web Token ends (RFC 7519, section 4.1.4); other tokens do not say.
fn expiry(token: &str) -> Option<jiff::Timestamp> {
    use base64::Engine as _;
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    jiff::Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

/// A whole file, not larger than `most`.
async fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let shown = path.display();
    let failed = |error| format!("{shown} cannot be opened: {error}");
    // A pipe would otherwise be waited for without end, already when it is opened.
    let open = tokio::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).await;
    let open = open.map_err(failed)?;
    let about = open.metadata().await.map_err(failed)?;
    if !about.is_file() {
        return Err(format!("{shown} is not an ordinary file"));
    }
    if about.len() > most {
        return Err(format!("{shown} is larger than {most} bytes"));
    }
    let mut text = String::new();
    let read = open.take(most).read_to_string(&mut text).await;
    read.map(|_| text).map_err(|_| format!("{shown} is not a text file"))
}

/// Runs the program once. Its standard error is not shown: some programs print what they were asked for there.
async fn run(argv: &[String], host: &HostEnvironment) -> Result<Secret, String> {
    let (program, arguments) = argv.split_first().ok_or("the command is empty")?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.env_clear();
    for name in ["HOME", "PATH", "USER", "LANG", "XDG_RUNTIME_DIR", "GNUPGHOME", "PASSWORD_STORE_DIR"] {
        if let Some(value) = host.get(name) {
            command.env(name, value.expose());
        }
    }
    let run = async {
        let mut child = command.spawn().map_err(|e| format!("{program:?} cannot be started: {e}"))?;
        let mut text = String::new();
        if let Some(output) = child.stdout.take() {
            let read = output.take(LIMIT).read_to_string(&mut text).await;
            read.map_err(|_| format!("{program:?} did not print text"))?;
        }
        let status = child.wait().await.map_err(|e| e.to_string())?;
        status.success().then(|| Secret::new(text)).ok_or_else(|| format!("{program:?} failed ({status})"))
    };
    let late = |_| format!("{program:?} did not end within {} s", COMMAND_DEADLINE.as_secs());
    tokio::time::timeout(COMMAND_DEADLINE, run).await.map_err(late)?
}

/// Without the trailing line end; one line of visible text.
fn checked(secret: &Secret) -> Result<Secret, String> {
    let text = secret.expose().strip_suffix('\n').unwrap_or(secret.expose());
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("it holds control characters or several lines, which no header can carry".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(reference: &str) -> Result<String, String> {
        let variables = [("SET", "one"), ("LINES", "a\nb"), ("PATH", "/usr/bin:/bin")];
        let host = variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        read(reference, &host)
            .await
            .and_then(|secret| checked(&secret))
            .map(|secret| secret.expose().to_owned())
    }

    #[tokio::test]
    async fn reads_what_the_reference_names() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "two\r\n").unwrap();
        for (reference, value) in [
            ("SET", "one"),
            (format!("file:{}", file.display()).as_str(), "two"),
            ("cmd:echo three", "three"),
            ("cmd:[\"printf\", \"%s\", \"four words\"]", "four words"),
        ] {
            assert_eq!(outcome(reference).await.as_deref(), Ok(value), "{reference}");
        }
    }

    #[tokio::test]
    async fn a_login_of_another_program_is_read_while_it_lasts() {
        use base64::Engine as _;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("auth.json");
        let token = |exp: i64| {
            let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.{}", part("{}"), part(&format!("{{\"exp\":{exp}}}")), part("signature"))
        };
        let place = format!("json:{}#/tokens/access", file.display());
        for (access, words) in [
            (token(4_000_000_000), Ok(())),
            ("opaque".to_owned(), Ok(())),
            (token(1000), Err("log in again")),
        ] {
            std::fs::write(&file, serde_json::json!({"tokens": {"access": access}}).to_string()).unwrap();
            match (outcome(&place).await, words) {
                (Ok(read), Ok(())) => assert_eq!(read, access),
                (Err(error), Err(words)) => {
                    assert!(error.contains(words) && !error.contains(&access), "{error}");
                }
                (other, _) => panic!("{other:?}"),
            }
        }
        std::fs::write(&file, "{}").unwrap();
        assert!(outcome(&place).await.unwrap_err().contains("has no text at /tokens/access"));
        std::fs::write(&file, "secret").unwrap();
        assert!(!outcome(&place).await.unwrap_err().contains("secret"));
    }

    #[tokio::test]
    async fn a_pipe_is_not_waited_for_and_a_huge_file_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, huge) = (directory.path().join("pipe"), directory.path().join("huge"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        std::fs::File::create(&huge).unwrap().set_len(LIMIT + 1).unwrap();
        for (path, words) in [(pipe, "not an ordinary file"), (huge, "larger than 65536 bytes")] {
            let reading = read_text(&path, LIMIT);
            let read = tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
            assert!(read.unwrap_err().contains(words), "{}", path.display());
        }
    }

    #[tokio::test]
    async fn says_what_is_wrong_and_never_what_was_read() {
        for (reference, words) in [
            ("UNSET", "UNSET is not set where the launcher runs"),
            ("LINES", "several lines"),
            ("file:/no/such/file", "cannot be opened"),
            ("cmd:false", "failed"),
            ("cmd:no-such-program-here", "cannot be started"),
            ("cmd:true", "it is empty"),
        ] {
            let error = outcome(reference).await.unwrap_err();
            assert!(error.contains(words), "{reference}: {error}");
            assert!(!error.contains("a\nb"));
        }
    }
}
