//! A forge's git over HTTPS, as far as one repository needs it: `git http-backend` (CGI, RFC 3875), behind a token.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base::Secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// For one request, and for one command of ours.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most bytes of a request.
const BODY: usize = 16 << 20;

/// The repository `team/tools`, which has one commit on `main`.
#[derive(Clone)]
pub struct Forge {
    root: PathBuf,
    token: Secret,
}

impl Forge {
    /// Makes the repository below `root`.
    ///
    /// # Errors
    /// git fails.
    pub async fn make(root: PathBuf, token: Secret) -> Result<Self> {
        let forge = Self { root, token };
        std::fs::create_dir_all(forge.repository()).context("cannot make the upstream repository")?;
        forge.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]).await?;
        forge.git(&["config", "http.receivepack", "true"]).await?;
        let tree = forge.git(&["mktree"]).await?;
        let commit = forge.git(&["commit-tree", "-m", "The beginning", tree.trim()]).await?;
        forge.git(&["update-ref", "refs/heads/main", commit.trim()]).await?;
        Ok(forge)
    }

    fn repository(&self) -> PathBuf {
        self.root.join("team/tools.git")
    }

    /// The names of its branches.
    ///
    /// # Errors
    /// git fails.
    pub async fn branches(&self) -> Result<Vec<String>> {
        let refs = self.git(&["for-each-ref", "--format=%(refname)"]).await?;
        Ok(refs.lines().map(str::to_owned).collect())
    }

    /// Every object that it has, reachable or not, as text.
    ///
    /// # Errors
    /// git fails.
    pub async fn objects(&self) -> Result<String> {
        self.git(&["cat-file", "--batch-all-objects", "--batch"]).await
    }

    /// Runs git in the repository; what it printed.
    async fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut command = command(&self.repository());
        command.args(arguments).stdin(Stdio::null());
        let ended = tokio::time::timeout(DEADLINE, command.output()).await.context("git takes too long")?;
        let output = ended.context("cannot run git")?;
        if !output.status.success() {
            bail!("git {arguments:?} failed: {}", base::inert(&String::from_utf8_lossy(&output.stderr), 300));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Answers a git client.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = match self.is_known(&request) {
            true => tokio::time::timeout(DEADLINE, self.serve(request)).await.map_err(Into::into).flatten(),
            false => Ok(Response::builder()
                .status(401)
                .header("www-authenticate", "Basic realm=\"demo\"")
                .body(Full::from("who are you?\n"))
                .unwrap_or_default()),
        };
        answer.unwrap_or_else(|error: anyhow::Error| {
            let mut failed = Response::new(Full::from(format!("{error:#}\n")));
            *failed.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    }

    /// Whether the request carries the token as a password (RFC 7617), under whatever name.
    fn is_known(&self, request: &Request<Incoming>) -> bool {
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let encoded = header.and_then(|value| value.strip_prefix("Basic "));
        let plain = encoded.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        plain.split_once(':').is_some_and(|(_, password)| password == self.token.expose())
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body =
            Limited::new(body, BODY).collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut command = command(&self.repository());
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "demo")
            .env("REQUEST_METHOD", head.method.as_str())
            .env("PATH_INFO", head.uri.path())
            .env("QUERY_STRING", head.uri.query().unwrap_or_default())
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env_remove("GIT_DIR")
            .stdin(Stdio::piped());
        let mut child = command.spawn().context("cannot run git http-backend")?;
        let mut input = child.stdin.take().context("git http-backend has no input")?;
        let feed = async move {
            // It may answer before it has read everything.
            let _ = input.write_all(&body).await;
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        reply(&output?.stdout)
    }
}

fn command(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(repository)
        .env("GIT_DIR", repository)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "Demo"), ("GIT_AUTHOR_EMAIL", "demo@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Demo"), ("GIT_COMMITTER_EMAIL", "demo@example.org")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A CGI answer: header lines, an empty line, the body.
fn reply(output: &[u8]) -> Result<Response<Full<Bytes>>> {
    let end = output
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .context("git http-backend did not answer")?;
    let (head, body) = (String::from_utf8_lossy(&output[..end]), &output[end + 4..]);
    let mut response = Response::builder();
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ").context("git http-backend answered something else")?;
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap_or_default()),
            name => response.header(name, value),
        };
    }
    Ok(response.body(Full::from(body.to_vec()))?)
}
