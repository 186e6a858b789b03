//! A program of the operator's that is run for each new proposal: `notify` in the home's settings.

use std::collections::{HashSet, VecDeque};
use std::process::Stdio;
use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::message::proposal::ProposalRecord;
use bus::{Bus, BusError, Change, Watch, layout};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deciding::card;

/// How long the program may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How many may run at once.
const AT_ONCE: usize = 4;
/// How often it is run within [`WINDOW`]; a person reads no more.
const OFTEN: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// What it gets of the environment: what a desktop needs, and none of the tokens that the services may have there.
const ENVIRONMENT: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Runs `argv` for each proposal that comes from now on, until the lifecycle stops.
///
/// # Errors
/// The bus does not say which there are already.
pub(super) async fn start(argv: Vec<String>, bus: &Bus, life: &Lifecycle) -> Result<(), BusError> {
    let mut watch = bus.bucket(&layout::PROPOSED).watch().await?;
    let mut known = HashSet::new();
    while let Some(change) = watch.stored().await? {
        news(&mut known, change);
    }
    let stopping = life.clone();
    life.spawn(async move {
        let notifier = Notifier { argv, known, budget: Budget::default(), running: JoinSet::new() };
        tokio::select! {
            () = notifier.run(watch) => {}
            () = stopping.stopping() => {}
        }
    });
    Ok(())
}

struct Notifier {
    argv: Vec<String>,
    known: HashSet<String>,
    budget: Budget,
    /// Ends what runs when it is dropped.
    running: JoinSet<()>,
}

impl Notifier {
    async fn run(mut self, mut watch: Watch<ProposalRecord>) {
        loop {
            let change = tokio::select! {
                change = watch.next() => change,
                Some(_) = self.running.join_next() => continue,
            };
            match change {
                Ok(change) => {
                    if let Some(record) = news(&mut self.known, change) {
                        self.tell(&record);
                    }
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "nobody is notified of proposals any more");
                    return;
                }
            }
        }
    }

    fn tell(&mut self, record: &ProposalRecord) {
        if self.running.len() >= AT_ONCE || !self.budget.take(Instant::now()) {
            tracing::warn!(proposal = %record.proposal, "not notified: too many proposals at a time");
            return;
        }
        let argv = arguments(&self.argv, record);
        self.running.spawn(async move {
            if let Err(reason) = run(&argv).await {
                tracing::warn!(program = argv[0], reason, "the notification failed");
            }
        });
    }
}

/// The proposal, if nobody was told of it yet.
fn news(known: &mut HashSet<String>, change: Change<ProposalRecord>) -> Option<ProposalRecord> {
    match change.value {
        Some(Ok(value)) if value.value.is_open() => known.insert(change.key).then_some(value.value),
        _ => {
            known.remove(&change.key);
            None
        }
    }
}

/// The command, with the proposal's names in it. Each of them is a checked name; what an agent wrote freely is not among them.
fn arguments(argv: &[String], record: &ProposalRecord) -> Vec<String> {
    let host = card::host(&record.content).map_or_else(String::new, |host| host.as_str().to_owned());
    let values = [
        ("{bottle}", record.bottle.as_str()),
        ("{kind}", record.content.kind().as_str()),
        ("{host}", &host),
        ("{id}", record.proposal.as_str()),
    ];
    // No value has a brace, so that none is replaced in another.
    let filled =
        |word: &String| values.iter().fold(word.clone(), |word, (name, value)| word.replace(name, value));
    let (program, words) =
        argv.split_first().map_or((None, argv), |(program, words)| (Some(program.clone()), words));
    program.into_iter().chain(words.iter().map(filled)).collect()
}

async fn run(argv: &[String]) -> Result<(), String> {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let mut child =
        command.kill_on_drop(true).spawn().map_err(|error| format!("it does not start: {error}"))?;
    match tokio::time::timeout(LIMIT, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(format!("its end cannot be awaited: {error}")),
        Err(_) => {
            // It may have ended just now.
            let _ = child.kill().await;
            Err(format!("it was ended after {LIMIT:?}"))
        }
    }
}

/// How often the program was run lately.
#[derive(Debug, Default)]
struct Budget(VecDeque<Instant>);

impl Budget {
    /// Whether it may be run once more.
    fn take(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.0.pop_front();
        }
        let is_free = self.0.len() < OFTEN;
        if is_free {
            self.0.push_back(now);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deciding::card::tests::{egress, now, record};
    use bus::Value;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn arguments_hold_names_and_nothing_an_agent_wrote_freely() {
        let argv = words(&["{bottle}", "{kind}:{host}", "{id} {x}", "--"]);
        let told = arguments(&argv, &egress("p1", "me-00000", "docs.example"));
        assert_eq!(told, ["{bottle}", "egress:docs.example", "p1 {x}", "--"]);
        for host in ["--exec=x", "$(id)", "a b", "\u{1b}[2J", "{id}"] {
            let content = serde_json::json!({ "kind": "token-match", "request": "x1", "method": "GET", "scheme": "https",
                "host": host, "path": "/", "detector": "d", "surface": "body", "value": "00" });
            assert_eq!(
                arguments(&words(&["x", "{host}"]), &record("p1", "me-00000", content)),
                ["x", ""],
                "{host}"
            );
        }
    }

    #[test]
    fn a_proposal_is_news_once() {
        let mut known = HashSet::new();
        let mut says = |record: ProposalRecord| {
            let value = Value { value: record, revision: 1, at: now(), expires: false };
            news(&mut known, Change { key: "p1".to_owned(), value: Some(Ok(value)) }).is_some()
        };
        let mut again = egress("p1", "me-00000", "docs.example");
        assert!(says(again.clone()));
        again.count = 2;
        assert!(!says(again));
    }

    #[tokio::test]
    async fn the_program_is_run_without_the_services_environment_and_its_failure_said() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out").display().to_string();
        run(&words(&["sh", "-c", "env > \"$1\"; echo \"$2\" >> \"$1\"", "sh", &out, "$(id) ; x"]))
            .await
            .unwrap();
        let told = std::fs::read_to_string(&out).unwrap();
        assert!(told.contains("PATH=") && told.ends_with("$(id) ; x\n") && !told.contains("CARGO"), "{told}");
        assert!(run(&words(&["false"])).await.unwrap_err().contains("exit status: 1"));
        assert!(run(&words(&["/nowhere/x"])).await.unwrap_err().contains("does not start"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_ended_and_too_many_are_not_told() {
        // The paused clock goes to the limit at once.
        assert!(run(&words(&["sleep", "600"])).await.unwrap_err().contains("was ended after"));
        let (mut budget, now) = (Budget::default(), Instant::now());
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), OFTEN);
        assert!(!budget.take(now + WINDOW - Duration::from_millis(1)) && budget.take(now + WINDOW));
    }
}
