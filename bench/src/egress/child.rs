//! This program again, as another part. It says its address and its certificate in one line of JSON, and ends when
//! its standard input closes.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

/// A part that runs.
pub(crate) struct Child {
    pub(crate) address: SocketAddr,
    /// Whom to trust there, PEM.
    pub(crate) certificate: String,
    /// Its process id, as long as this lives.
    pub(crate) pid: u32,
    _process: tokio::process::Child,
}

#[derive(Serialize, Deserialize)]
struct Hello {
    address: SocketAddr,
    certificate: String,
}

impl Child {
    /// Starts a part.
    ///
    /// # Errors
    /// It does not say hello.
    pub(crate) async fn start(part: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(part)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {part}"))?;
        let output = process.stdout.take().context("no output")?;
        let line = BufReader::new(output)
            .lines()
            .next_line()
            .await?
            .with_context(|| format!("{part} said nothing"))?;
        let Hello { address, certificate } = serde_json::from_str(&line)?;
        let pid = process.id().with_context(|| format!("{part} has ended"))?;
        Ok(Self { address, certificate, pid, _process: process })
    }
}

/// Says hello, as a part, and waits for the end.
///
/// # Errors
/// Standard output is closed.
#[expect(clippy::print_stdout, reason = "this is how a part says where it is")]
pub(crate) async fn serve_until_closed(address: SocketAddr, certificate: String) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(&Hello { address, certificate })?);
    // It never says anything; its end is what is waited for.
    let _ = tokio::io::stdin().read_u8().await;
    Ok(())
}
