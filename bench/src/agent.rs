//! What a bottle costs a real agent's program: until its first request to its model, and until a conversation goes on.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base::lifecycle::Lifecycle;
use bus::message::start::Resume;
use harness::{Model, Turn, clients};
use serde_json::json;
use tokio::process::Command;

use crate::host::{Host, now};
use crate::report::{Number, Over, Report, median};

const OVERHEAD: &str = "client_overhead_ms";
const RESUME: &str = "resume_overhead_ms";
const RUNS: usize = 15;
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of a transcript.
const TRANSCRIPT: usize = 5 << 20;

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// The services or a client do not start.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if report.wants(&[OVERHEAD]) {
        Box::pin(overhead(report)).await.context("running claude")?;
    }
    if report.wants(&[RESUME]) {
        Box::pin(resume(report)).await.context("resuming")?;
    }
    Ok(())
}

/// From `bottle.start` to the first request that takes a turn, and the same of the bare program, by turns.
async fn overhead(report: &mut Report) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::new();
    let model = Model::start([], &lifecycle).await;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("model.pem");
    std::fs::write(&authority, &model.authority)?;
    let route = json!({
        "host": "api.anthropic.com", "connect_to": model.address.to_string(), "allow_private": ["127.0.0.0/8"],
        "tls": { "ca": authority },
    });
    let provider = json!({ "template": "claude", "program": clients::claude(), "auth_token": "BENCH_TOKEN" });
    let bottle =
        format!("---\n{}\n---\n", json!({ "agent_provider": provider, "egress": { "routes": [route] } }));
    let files = [("bottles/c.md", bottle.as_str()), ("agents/c.md", "---\nbottle: c\n---\nBe brief.\n")];
    let host = Host::up(&files, &[("BENCH_TOKEN", "bench")]).await?;
    let (mut inside, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=RUNS {
        let (asked, first) = contained(&host, &model).await?;
        let (spawned, direct) = alone(&model, &authority).await?;
        // The first ones fill caches.
        if round > 0 {
            inside.push((first - asked) * 1000.0);
            bare.push((direct - spawned) * 1000.0);
        }
    }
    host.down().await?;
    lifecycle.stop();
    let (inside, bare) = (median(inside), median(bare));
    let over = Over { name: "the bare program", value: bare, unit: "ms" };
    report.add(OVERHEAD, Number { value: inside - bare, unit: "ms", over: Some(over) });
    report.remark(&format!("request to first request {inside:.1} ms, medians of {RUNS}"));
    Ok(())
}

/// One run in a bottle.
async fn contained(host: &Host, model: &Model) -> anyhow::Result<(f64, f64)> {
    model.play([Turn::say("done")]);
    let before = model.steps().len();
    let mut request = Host::request("c")?;
    request.task = Some("Say done.".to_owned());
    let run = host.run(&request).await?;
    ensure!(run.exited.code == 0, "claude failed: {:?}", run.exited);
    Ok((run.asked, arrived(model, before)?))
}

/// The program without a bottle, with the same arguments and settings.
async fn alone(model: &Model, authority: &std::path::Path) -> anyhow::Result<(f64, f64)> {
    model.play([Turn::say("done")]);
    let before = model.steps().len();
    let home = tempfile::tempdir()?;
    let mut command = Command::new(clients::claude());
    command.args(["-p", "--output-format", "json", "Say done."]).current_dir(home.path()).env_clear();
    command.env("HOME", home.path()).env("PATH", "/usr/bin:/bin").env("NODE_EXTRA_CA_CERTS", authority);
    command.env("ANTHROPIC_BASE_URL", format!("https://{}", model.address));
    command.env("CLAUDE_CODE_OAUTH_TOKEN", "bench").env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let spawned = now();
    let ended = tokio::time::timeout(LIMIT, command.status()).await.context("claude does not end")??;
    ensure!(ended.success(), "claude alone failed: {ended}");
    Ok((spawned, arrived(model, before)?))
}

/// When the first request after so many came, in seconds since 1970.
fn arrived(model: &Model, before: usize) -> anyhow::Result<f64> {
    let steps = model.steps();
    let first = steps.get(before).context("the program asked its model nothing")?;
    Ok(first.at.as_duration().as_secs_f64())
}

/// From a request that resumes a session to the first command, which has all of it.
async fn resume(report: &mut Report) -> anyhow::Result<()> {
    let program = format!(
        "date +%s.%N; [ -n \"$BOT_BOTTLE_RESUMED\" ] || {{ mkdir ~/.state; head -c {} /dev/urandom | base64 -w0 > ~/.state/t; }}",
        TRANSCRIPT / 4 * 3
    );
    let provider = json!({
        "template": "command", "argv": ["sh", "-c", program], "prompt": "none", "session": { "paths": [".state"] },
    });
    let bottle = format!("---\n{}\n---\n", json!({ "agent_provider": provider }));
    let files = [("bottles/s.md", bottle.as_str()), ("agents/s.md", "---\nbottle: s\n---\n")];
    let host = Host::up(&files, &[]).await?;
    let mut last = host.run(&Host::request("s")?).await?;
    let mut times = Vec::new();
    for round in 0..=RUNS {
        let mut request = Host::request("s")?;
        let session = last.exited.session.clone();
        request.resume = Some(Resume { bottle: last.exited.bottle.clone(), session, fresh: false });
        last = host.run(&request).await?;
        let said = last.exited.result.as_ref().context("the program said nothing")?;
        let ran: f64 = said.trim().parse().context("the program said no time")?;
        if round > 0 {
            times.push((ran - last.asked) * 1000.0);
        }
    }
    host.down().await?;
    report.add(RESUME, Number { value: median(times), unit: "ms", over: None });
    report.remark(&format!(
        "a transcript of {} MiB that hardly compresses, medians of {RUNS}",
        TRANSCRIPT >> 20
    ));
    Ok(())
}
