//! Waiting for the server to answer.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::ServerError;

const WITHIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(4);

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// The port of a server that has just been started, once it greets.
pub(super) fn wait(dir: &Path, child: &mut Child) -> Result<u16, ServerError> {
    let end = Instant::now() + WITHIN;
    let ports = dir.join("run").join(format!("nats-server_{}.ports", child.id()));
    loop {
        if let Some(port) = port(&ports)
            && greets(port)
        {
            return Ok(port);
        }
        let ended = child.try_wait().is_ok_and(|ended| ended.is_some());
        if ended || Instant::now() > end {
            let reason = last_words(&dir.join("server.log"));
            return Err(ServerError::NotReady { within: WITHIN, reason });
        }
        std::thread::sleep(PAUSE);
    }
}

/// The file is written in one go but not atomically, so a half of it may be read.
fn port(path: &Path) -> Option<u16> {
    let ports: Ports = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    ports.nats.iter().find_map(|url| url.rsplit_once(':')?.1.parse().ok())
}

fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut line = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && BufReader::new(stream.take(8192)).read_line(&mut line).is_ok()
        && line.starts_with("INFO ")
}

/// The end of the log, for an error.
fn last_words(log: &Path) -> String {
    let read = || {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(600)))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    match read() {
        Ok(text) => base::inert(text.trim(), 600),
        Err(_) => "it wrote no log".to_owned(),
    }
}
