//! The services apart, with a dispatcher and a forge.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base::Secret;
use bus::Bus;
use bus::keys::Keys;
use bus::layout::PR_SESSIONS;
use bus::message::pr::{PrSession, Verdict};
use bus::role::Role;
use dispatcher::signature::sign;
use harness::{ACCOUNT, Apart, Home, PullForge, TOKEN, program, soon};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The webhook's secret.
pub(super) const SECRET: &str = "not much of one";
/// Tells what it is told, and adds a line to what it remembers.
const PROGRAM: &str = "echo \"resumed ${BOT_BOTTLE_RESUMED:-0}\"; cat
mkdir -p ../.state && echo \"ran in $BOT_BOTTLE\" >> ../.state/log && cat ../.state/log";

/// Where everything happens.
pub(super) struct Dispatched {
    pub(super) apart: Apart,
    pub(super) forge: PullForge,
    /// Where webhooks are taken.
    pub(super) address: String,
    dispatcher: Child,
    began: Timestamp,
}

impl Dispatched {
    pub(super) async fn up() -> Self {
        let (apart, forge) = (Apart::up().await, PullForge::start().await);
        write(&apart.home, &forge.api());
        let credentials = Keys::load(apart.home.path()).unwrap().mint(Role::Dispatcher, None).unwrap();
        std::fs::write(apart.home.path().join("dispatcher.creds"), credentials.to_file().expose()).unwrap();
        let (dispatcher, address) = start(&apart, "127.0.0.1:0").await;
        let began = base::clock::Clock::System.now();
        Self { apart, forge, address, dispatcher, began }
    }

    /// Kills the dispatcher without a word.
    pub(super) async fn kill(&mut self) {
        soon("the dispatcher's death", self.dispatcher.kill()).await.unwrap();
    }

    /// Starts it where it was.
    pub(super) async fn start(&mut self) {
        self.dispatcher = start(&self.apart, &self.address).await.0;
    }

    pub(super) async fn operator(&self) -> Bus {
        self.apart.connect(Role::Operator).await
    }

    pub(super) fn delivery(&self, name: &str, second: i64) -> (Vec<(String, String)>, String) {
        delivery(self.began + SignedDuration::from_secs(second), name)
    }

    /// Sends one; what it is answered.
    pub(super) async fn send(&self, name: &str, second: i64) -> u16 {
        let (headers, body) = self.delivery(name, second);
        soon("an answer", post(&self.address, "/webhook/team", &headers, &body)).await.unwrap()
    }

    /// Sends one as often as it takes, as a person at the forge would.
    pub(super) async fn send_until_taken(&self, name: &str, second: i64) {
        let (headers, body) = self.delivery(name, second);
        soon("a delivery that is taken", async {
            while post(&self.address, "/webhook/team", &headers, &body).await.ok() != Some(200) {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await;
    }

    /// Waits until the conversation is as it should be.
    pub(super) async fn until(&self, bus: &Bus, what: &str, is: impl Fn(&PrSession) -> bool) -> PrSession {
        let mut watch = bus.bucket(&PR_SESSIONS).watch().await.unwrap();
        soon(what, async {
            loop {
                let change = watch.next().await.unwrap();
                if let Some(Ok(found)) = change.value
                    && is(&found.value)
                {
                    return found.value;
                }
            }
        })
        .await
    }

    /// Waits until a verdict on a delivery with this event's name is noted.
    pub(super) async fn noted(&self, bus: &Bus, event: &str, verdict: Verdict) -> PrSession {
        let is = |noted: &bus::message::pr::Noted| noted.event == event && noted.verdict == verdict;
        self.until(bus, &format!("{event} that is {verdict:?}"), |session| session.noted.iter().any(is)).await
    }

    pub(super) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.apart.home.path().join("dispatcher.log")).unwrap_or_default();
        format!("dispatcher:\n{log}\n{}", self.apart.log())
    }

    pub(super) async fn down(mut self) -> Home {
        let pid = i32::try_from(self.dispatcher.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = soon("the dispatcher's end", self.dispatcher.wait()).await;
        assert!(ended.is_ok_and(|status| status.success()), "it ended badly:\n{}", self.log());
        let log = self.log();
        assert!(!log.contains(TOKEN) && !log.contains(SECRET), "a secret is in the log:\n{log}");
        let home = self.apart.down().await;
        // The bus's own files among it.
        let found = holding(home.path(), TOKEN).into_iter().chain(holding(home.path(), SECRET));
        assert_eq!(found.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "a secret was written");
        home
    }
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

/// A kept delivery as its forge would send it at that time.
pub(super) fn delivery(at: Timestamp, name: &str) -> (Vec<(String, String)>, String) {
    let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(kept(name)).unwrap()).unwrap();
    for place in ["/body/pull_request/updated_at", "/body/comment/created_at"] {
        if let Some(time) = kept.pointer_mut(place) {
            *time = at.to_string().into();
        }
    }
    // Indented by two spaces, as both forges write it.
    let body = serde_json::to_string_pretty(&kept["body"]).unwrap();
    let headers = kept["headers"].as_object().unwrap().iter();
    let mut headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let is_forgejo = headers.iter().any(|(name, _)| name.starts_with("X-Forgejo-"));
    headers.push(("User-Agent".to_owned(), "Go-http-client/1.1".to_owned()));
    headers.push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
    headers.extend(signatures(&body, is_forgejo));
    (headers, body)
}

/// All signatures that a forge sends with a payload.
pub(super) fn signatures(payload: &str, is_forgejo: bool) -> Vec<(String, String)> {
    let signature = sign(&Secret::new(SECRET.to_owned()), payload.as_bytes());
    let mut headers = vec![
        ("X-Gitea-Signature".to_owned(), signature.clone()),
        ("X-Gogs-Signature".to_owned(), signature.clone()),
        ("X-Hub-Signature-256".to_owned(), format!("sha256={signature}")),
        // SHA-1, which nobody here looks at.
        ("X-Hub-Signature".to_owned(), format!("sha1={}", &signature[..40])),
    ];
    if is_forgejo {
        headers.push(("X-Forgejo-Signature".to_owned(), signature));
    }
    headers
}

/// Where a delivery is kept.
pub(super) fn kept(name: &str) -> PathBuf {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/dispatcher/tests/deliveries");
    kept.join(format!("{name}.json"))
}

/// A bottle and an agent that remembers, and a bottle and an agent that sleeps.
pub(super) fn write_agents(home: &Home) {
    for (name, program) in [("reviewer", PROGRAM), ("sleeper", "exec sleep 600")] {
        let bottle = serde_json::json!({
            "agent_provider":
                { "template": "command", "argv": ["sh", "-c", program], "session": { "paths": [".state"] } },
            "env": { "STORY": home.marker },
        });
        home.write_file(&format!("bottles/{name}.md"), &format!("---\n{bottle}\n---\n"));
        home.write_file(&format!("agents/{name}.md"), &format!("---\nbottle: {name}\n---\n"));
    }
}

/// Bottles, agents and the dispatcher's file.
pub(super) fn write(home: &Home, api: &str) {
    write_agents(home);
    let file = serde_json::json!({
        "webhooks": { "team": {
            "forge": "gitea", "secret_ref": "STORY_HOOK", "token_ref": "STORY_TOKEN", "api_url": api, "account": ACCOUNT,
            "allow": { "users": ["ann"], "teams": ["team/reviewers"], "permission": "write" },
        } },
        "rules": [ {
            "repositories": ["team/*"],
            "events": ["opened", "reopened", "pushed", "comment", "rejected"],
            "agent": "reviewer", "prompt": "Review {repository}#{number}.",
        }, {
            "repositories": ["team/*"], "events": ["labelled"], "label": "agent",
            "agent": "sleeper", "prompt": "Sleep.",
        } ],
    });
    // JSON is YAML.
    home.write_file("dispatch.yaml", &file.to_string());
}

async fn start(apart: &Apart, listen: &str) -> (Child, String) {
    let home = apart.home.path();
    let log = std::fs::File::options().create(true).append(true).open(home.join("dispatcher.log")).unwrap();
    let mut command = Command::new(program("bot-bottle-dispatcher"));
    command.arg("--home").arg(home).arg("--bus").arg(&apart.url).arg("--listen").arg(listen);
    command.arg("--credentials").arg(home.join("dispatcher.creds"));
    command.env("STORY_HOOK", SECRET).env("STORY_TOKEN", TOKEN).env_remove("NATS_URL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut ready = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = soon("a dispatcher that is ready", ready.next_line()).await.unwrap();
    let ready =
        ready.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(home.join("dispatcher.log")).unwrap()));
    let address = ready.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    (child, address)
}

/// Posts a body; the status of the answer.
pub(super) async fn post(
    address: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    // Whoever is refused early is not read to the end.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split(' ').nth(1).and_then(|status| status.parse().ok()) {
        Some(status) => Ok(status),
        None => Err(read.err().unwrap_or_else(|| std::io::Error::other("no answer"))),
    }
}
