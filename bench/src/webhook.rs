//! What the dispatcher costs a forge and its pull requests: how many deliveries a second are taken, beside what the bus alone
//! takes; how soon one is a start request; and what it remembers of many pull requests.

mod deliveries;
mod load;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base::clock::Clock;
use bus::keys::Keys;
use bus::layout::{LAUNCHERS, Layout, PR_SESSIONS};
use bus::message::pr::PrState;
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect};
use futures::{StreamExt as _, TryStreamExt as _};
use harness::{ACCOUNT, PullForge, TOKEN};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::report::{Number, Over, Report, median};
use deliveries::Deliveries;
use load::{Client, percentile};

const RATE: &str = "webhook_rate_vs_publish";
const START: &str = "delivery_to_start_ms";
const MEMORY: &str = "dispatch_10000_prs_mib";

/// Deliveries, and publications, of one round; rounds of both take turns.
const ROUND: usize = 400;
const ROUNDS: usize = 5;
/// How many of each are on their way at once.
const AT_ONCE: usize = 32;
/// Deliveries that are waited for one by one.
const STARTS: u64 = 40;
const KNOWN: u64 = 10_000;
const LIMIT: Duration = Duration::from_secs(20);

/// Runs the benchmarks if they are wanted.
///
/// # Errors
/// The bus or the dispatcher does not start, or an answer does not come.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if report.wants(&[START]) {
        starts(report).await.context("from a delivery to its start")?;
    }
    if report.wants(&[RATE]) {
        rate(report).await.context("the rate of deliveries")?;
    }
    if report.wants(&[MEMORY]) {
        memory(report).await.context("what many pull requests cost")?;
    }
    Ok(())
}

/// A bus, and a home with the dispatcher's file.
struct Place {
    // Ends before its home goes.
    server: Server,
    keys: Keys,
    home: tempfile::TempDir,
}

impl Place {
    /// `api` is where the forge's API is.
    async fn new(api: &str) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("bot-bottle-bench-").tempdir()?;
        let keys = Keys::init(home.path())?;
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
        let server = Server::start(Options { binary: Some(binary), ..Options::new(home.path()) }).await?;
        let place = Self { server, keys, home };
        bus::provision(&place.connect(Role::Admin).await?, &Layout::default()).await?;
        let file = json!({
            "listen": "127.0.0.1:0",
            "webhooks": { "team": {
                "forge": "gitea", "secret_ref": "BENCH_HOOK", "token_ref": "BENCH_TOKEN", "api_url": api,
                "account": ACCOUNT, "allow": { "users": ["ann"], "permission": "write" },
            } },
            "rules": [{
                "repositories": ["team/*"], "events": ["opened"], "agent": "reviewer", "prompt": "Review it.",
            }],
        });
        std::fs::write(place.home.path().join("dispatch.yaml"), file.to_string())?;
        let credentials = place.keys.mint(Role::Dispatcher, None)?.to_file();
        std::fs::write(place.home.path().join("dispatcher.creds"), credentials.expose())?;
        Ok(place)
    }

    async fn connect(&self, role: Role) -> anyhow::Result<Bus> {
        Ok(Bus::connect(Connect::new(self.server.url(), self.keys.mint(role, None)?)).await?)
    }

    /// The dispatcher, as a process of its own; and where it takes webhooks.
    async fn dispatcher(&self) -> anyhow::Result<(Child, String)> {
        let program = std::env::current_exe()?.with_file_name("bot-bottle-dispatcher");
        let mut command = Command::new(&program);
        command.arg("--home").arg(self.home.path()).arg("--bus").arg(self.server.url());
        command.arg("--credentials").arg(self.home.path().join("dispatcher.creds"));
        command.env("BENCH_HOOK", deliveries::SECRET).env("BENCH_TOKEN", TOKEN);
        command.env("BOT_BOTTLE_LOG", "error").env_remove("NATS_URL").stdin(Stdio::null());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let out = child.stdout.take().context("it has no standard output")?;
        let ready = timeout(LIMIT, BufReader::new(out).lines().next_line()).await??;
        let address = ready.as_deref().and_then(|ready| ready.split("http://").nth(1)?.split('/').next());
        Ok((child, address.context("the dispatcher did not start")?.to_owned()))
    }
}

/// From a delivery's first byte to its start request in a launcher's hand, with nothing else going on.
async fn starts(report: &mut Report) -> anyhow::Result<()> {
    let forge = PullForge::start().await;
    let place = Place::new(&forge.api()).await?;
    let (_dispatcher, address) = place.dispatcher().await?;
    let mut queue = place.connect(Role::Launcher).await?.work_queue::<StartRequest>(&LAUNCHERS).await?;
    let mut client = Client::connect(&address).await?;
    let (deliveries, mut answered, mut started) = (Deliveries::of("ann"), Vec::new(), Vec::new());
    for number in 1..=STARTS {
        let request = deliveries.request(number);
        let begun = Instant::now();
        client.post(&request).await?;
        answered.push(begun.elapsed().as_secs_f64() * 1000.0);
        let job = timeout(LIMIT, queue.next()).await.context("a start request")??;
        started.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(job.message.is_ok(), "a start request that cannot be read");
        job.done().await?;
        // Until its comment and its status are there, too.
        timeout(LIMIT, forge.until("a status", |memory| memory.statuses.len() as u64 == number)).await?;
    }
    let (p99, answered) = (percentile(&started, 0.99), median(answered));
    report.add(START, Number { value: median(started), unit: "ms", over: None });
    report.remark(&format!("answered after {answered:.1} ms; p99 of starts {p99:.1} ms"));
    Ok(())
}

/// Deliveries by a stranger, about whom a forge that does not answer is asked: all that is done is to take them.
async fn rate(report: &mut Report) -> anyhow::Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let place = Place::new(&format!("http://{}/api/v1", silent.local_addr()?)).await?;
    let (_dispatcher, address) = place.dispatcher().await?;
    let deliveries = Deliveries::of("eve");
    let credentials = place.keys.mint(Role::Dispatcher, None)?;
    let bare = load::bare(place.server.url(), &credentials).await?;
    let payload = deliveries.stored()?;
    let (mut taken, mut published, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each is not counted.
    for round in 0..=ROUNDS {
        let requests: Vec<Vec<u8>> =
            (0..ROUND).map(|at| deliveries.request((round * ROUND + at + 1) as u64)).collect();
        let begun = Instant::now();
        let times = load::post_all(&address, requests, AT_ONCE).await?;
        let took = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        load::publish_all(&bare, &payload, ROUND, AT_ONCE).await?;
        if round > 0 {
            taken.push(ROUND as f64 / took);
            published.push(ROUND as f64 / begun.elapsed().as_secs_f64());
            waits.extend(times.iter().map(|time| time.as_secs_f64() * 1000.0));
        }
    }
    let (taken, published) = (median(taken), median(published));
    let over = Over { name: "bare publishes", value: published, unit: "/s" };
    report.add(RATE, Number { value: taken / published, unit: "", over: Some(over) });
    let (half, p99) = (median(waits.clone()), percentile(&waits, 0.99));
    report.remark(&format!(
        "{taken:.0} deliveries a second of {} bytes, {AT_ONCE} at once; {half:.1} ms each, p99 {p99:.1} ms; \
         what is stored has {} bytes",
        deliveries.size(),
        payload.len()
    ));
    Ok(())
}

/// The most memory that a dispatcher has had once it has read what is known of many open pull requests, and has taken a
/// delivery about some of them.
async fn memory(report: &mut Report) -> anyhow::Result<()> {
    let forge = PullForge::start().await;
    let place = Place::new(&forge.api()).await?;
    let bus = place.connect(Role::Dispatcher).await?;
    let deliveries = Deliveries::of("ann");
    let bucket = bus.bucket(&PR_SESSIONS);
    let (bucket, deliveries) = (&bucket, &deliveries);
    let bytes: usize = futures::stream::iter(1..=KNOWN)
        .map(|number| async move {
            let session = deliveries.conversation(number, Clock::System.now())?;
            bucket.put(&format!("team.team_2ftools.{number}"), &session).await?;
            anyhow::Ok(serde_json::to_vec(&session)?.len())
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, size| std::future::ready(Ok(sum + size)))
        .await?;
    let (dispatcher, address) = place.dispatcher().await?;
    let mut client = Client::connect(&address).await?;
    for number in 1..=STARTS {
        client.post(&deliveries.request(number)).await?;
    }
    let begin = forge.until("comments", |memory| memory.comments.len() as u64 >= STARTS);
    timeout(LIMIT, begin).await.context("runs of those that are known")?;
    let known = bucket.get("team.team_2ftools.1").await?.context("it is known")?.value;
    ensure!(known.state == PrState::Open && known.run.is_some(), "it went on with what it knew");
    let pid = dispatcher.id().context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let (most, now) = (mib(&status, "VmHWM:")?, mib(&status, "VmRSS:")?);
    report.add(MEMORY, Number { value: most, unit: "MiB", over: None });
    report
        .remark(&format!("the most; {now:.1} MiB in the end; {} bytes a conversation", bytes as u64 / KNOWN));
    Ok(())
}

fn mib(status: &str, field: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) else { bail!("no {field}") };
    Ok(kib.parse::<f64>()? / 1024.0)
}
