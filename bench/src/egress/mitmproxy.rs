//! mitmproxy with an addon that checks the host and runs our rules' expressions over the body (`bench/mitmproxy_addon.py`):
//! what one would build with a scripted proxy.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;
use tokio::process::{Child as Process, Command};
use tokio::time::{Instant, sleep};

use super::child::Child;
use super::client::Way;
use super::load::{self, Asks};
use super::sidecar::Sidecar;
use crate::report::{Number, Over, Report, median};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 32;
const RUN: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(60);

/// Our requests per second over its.
///
/// # Errors
/// A process does not start, or a request does not get its answer.
pub(super) async fn run(report: &mut Report, name: &'static str, origin: &Child) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let package = root.join(".tools/mitmproxy");
    if !package.join("bin/mitmdump").exists() {
        report.remark(&format!("{name}: not measured, {} does not hold mitmproxy", package.display()));
        return Ok(());
    }
    let rival = Mitmproxy::start(root, &package, origin).await.context("starting mitmproxy")?;
    let ours = Sidecar::start(origin, true)?;
    let (theirs, ours) = (rival.way(origin)?, ours.way(origin)?);
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let their_run =
            load::run(&theirs, Asks::Post, CONNECTIONS, RUN).await.context("through mitmproxy")?;
        let our_run = load::run(&ours, Asks::Post, CONNECTIONS, RUN).await?;
        ratios.push(our_run.per_second() / their_run.per_second());
        rates.push(their_run.per_second());
    }
    let over = Some(Over { name: "mitmproxy", value: median(rates), unit: "requests/s" });
    report.add(name, Number { value: median(ratios), unit: "ratio", over });
    Ok(())
}

struct Mitmproxy {
    address: std::net::SocketAddr,
    folder: tempfile::TempDir,
    process: Process,
}

impl Mitmproxy {
    async fn start(root: &Path, package: &Path, origin: &Child) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // It takes no socket from outside; a port that was free a moment ago has to do.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let option = |name: &str, value: String| ["--set".to_owned(), format!("{name}={value}")];
        let mut command = Command::new("python3");
        command
            .arg(package.join("bin/mitmdump"))
            .args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &address.port().to_string()])
            .args(option("confdir", folder.path().display().to_string()))
            // It would verify the address that the addon dials; not verifying only makes it faster.
            .args(option("ssl_insecure", "true".to_owned()))
            .args(option("connection_strategy", "lazy".to_owned()))
            .arg("--scripts")
            .arg(root.join("bench/mitmproxy_addon.py"))
            .env("PYTHONPATH", package)
            .env("RULES", root.join("shared/scan/rules/standard.toml"))
            // The origin is on loopback; names of the benchmark resolve nowhere.
            .env("ORIGIN", origin.address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() || !certificate(folder.path()).exists() {
            if let Some(status) = process.try_wait()? {
                bail!("it ended at once: {status}");
            }
            if Instant::now() > deadline {
                bail!("it does not listen after {START:?}");
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { address, folder, process })
    }

    fn way(&self, origin: &Child) -> anyhow::Result<Way> {
        let authority = std::fs::read_to_string(certificate(self.folder.path()))?;
        Way::new(self.address, &authority, origin, self.process.id())
    }
}

fn certificate(folder: &Path) -> PathBuf {
    folder.join("mitmproxy-ca-cert.pem")
}
