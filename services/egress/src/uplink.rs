//! The way out of a network that only a proxy leads out of: every connection to an origin is asked of it with CONNECT
//! (RFC 9110, section 9.3.6). TLS goes through it end to end.

use std::fmt;
use std::io;

use anyhow::{Context as _, bail};
use handover::sidecar::UplinkProxy;
use policy::HostPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes that its answer to CONNECT may have.
const LONGEST_ANSWER: usize = 8 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    proxy: HostPort,
    /// Whether it is told names. What they resolve to is then for it to judge.
    pub(crate) resolves: bool,
}

impl Uplink {
    /// Reads the operator's setting.
    ///
    /// # Errors
    /// It is no `http://host:port`.
    pub(crate) fn new(setting: &UplinkProxy) -> anyhow::Result<Self> {
        let advice = "write http://host:port, without a user, a password or a path";
        let Some(rest) = setting.url.strip_prefix("http://") else { bail!("{advice}") };
        let proxy = rest.strip_suffix('/').unwrap_or(rest).parse().context(advice)?;
        Ok(Self { proxy, resolves: setting.resolves })
    }

    /// A connection through it to `target`, in the form `host:port`.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub(crate) async fn open(&self, target: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.proxy.host.as_str(), self.proxy.port)).await?;
        let _ = stream.set_nodelay(true);
        let ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let answer = answer(&mut stream).await?;
        match answer.split(' ').nth(1) {
            Some("200") if answer.starts_with("HTTP/1.") => Ok(stream),
            Some(status) => Err(io::Error::other(format!("it answers {}", base::inert(status, 20)))),
            None => Err(io::Error::other("its answer is not HTTP")),
        }
    }
}

/// The head of the answer, and not a byte more: what follows is the origin's.
async fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_ANSWER {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host's proxy {}", self.proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_host_and_a_port() {
        let new = |url: &str| Uplink::new(&UplinkProxy { url: url.to_owned(), resolves: false });
        for good in ["http://proxy.example:3128", "http://192.0.2.1:80/", "http://[2001:db8::1]:3128"] {
            assert!(new(good).is_ok(), "{good}");
        }
        for bad in [
            "proxy.example:3128",
            "https://proxy.example:3128",
            "http://proxy.example",
            "http://a:b@c:1",
            "http://a:1/x",
        ] {
            assert!(new(bad).unwrap_err().to_string().contains("write http://host:port"), "{bad}");
        }
    }
}
