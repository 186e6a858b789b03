//! Those who send: many at once, over connections that stay open.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use bus::Credentials;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The longest that one answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One connection to the dispatcher.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request, and reads that it was taken.
    pub(super) async fn post(&mut self, request: &[u8]) -> anyhow::Result<()> {
        tokio::time::timeout(LIMIT, self.exchange(request)).await.context("an answer")?
    }

    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.0.write_all(request).await?;
        let (mut line, mut length) = (String::new(), 0);
        self.0.read_line(&mut line).await?;
        ensure!(line.starts_with("HTTP/1.1 200 "), "it was answered {line:?}");
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line).await? > 0, "the answer broke off");
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(())
    }
}

/// Sends all of them; how long each took.
pub(super) async fn post_all(
    address: &str,
    requests: Vec<Vec<u8>>,
    at_once: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut shares: Vec<Vec<Vec<u8>>> = (0..at_once).map(|_| Vec::new()).collect();
    for (at, request) in requests.into_iter().enumerate() {
        shares[at % at_once].push(request);
    }
    let mut clients = JoinSet::new();
    for share in shares {
        let mut client = Client::connect(address).await?;
        clients.spawn(async move {
            let mut times = Vec::new();
            for request in share {
                let begun = Instant::now();
                client.post(&request).await?;
                times.push(begun.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(share) = clients.join_next().await {
        times.extend(share??);
    }
    Ok(times)
}

/// A client of the bus with nothing of ours in it.
pub(super) async fn bare(url: &str, credentials: &Credentials) -> anyhow::Result<async_nats::Client> {
    let options = async_nats::ConnectOptions::with_credentials(credentials.to_file().expose())?;
    Ok(options.custom_inbox_prefix(credentials.inbox()).connect(url).await?)
}

/// Publishes the same bytes many times, each until it is acknowledged.
pub(super) async fn publish_all(
    client: &async_nats::Client,
    payload: &[u8],
    count: usize,
    at_once: usize,
) -> anyhow::Result<()> {
    let context = jetstream::new(client.clone());
    let payload = bytes::Bytes::copy_from_slice(payload);
    futures::stream::iter(0..count)
        .map(|_| {
            let (context, payload) = (context.clone(), payload.clone());
            async move { anyhow::Ok(context.publish("pr.event.team_2ftools.1", payload).await?.await?) }
        })
        .buffer_unordered(at_once)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
}

/// The value below which a part of them lies.
pub(super) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
