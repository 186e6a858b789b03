//! From a host that the policy allowed to a connection that is verified: resolve, judge every address, connect to
//! exactly one of them, and check the name in TLS.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ipnet::IpNet;
use policy::{AllowedHost, CheckedRoute, Host, HostPort, Scheme};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address::judge;
use crate::connection::Stream;
use crate::own;
use crate::refusal::Refusal;
use crate::socket::{Doubt, Socket};
use crate::trust::{System, Trust};
use crate::uplink::Uplink;

/// How long one address is tried alone before the next one joins in (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// What decides where and how a route's host is dialled. Equal links may share connections.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    scheme: Scheme,
    port: u16,
    connect_to: Option<HostPort>,
    allow_private: Vec<IpNet>,
    /// The text of the route's own authorities, and what they make; the system's otherwise.
    authorities: Option<(Arc<str>, Trust)>,
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        let text = |link: &Self| link.authorities.as_ref().map(|(text, _)| Arc::clone(text));
        self.scheme == other.scheme
            && self.port == other.port
            && self.connect_to == other.connect_to
            && self.allow_private == other.allow_private
            && text(self) == text(other)
    }
}

/// Which protocols a new connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// HTTP/2 if the host wants it.
    Any,
    /// HTTP/1.1 alone.
    Http1,
}

/// What a new connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// A new connection.
pub(crate) struct Dialled {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) speaks: Speaks,
    /// Of the socket below.
    pub(crate) doubt: Doubt,
}

/// Dials for the whole bottle.
pub(crate) struct Dialer {
    system: System,
    uplink: Option<Uplink>,
    within: Duration,
    places: Arc<Semaphore>,
}

impl Link {
    pub(crate) fn new(route: &CheckedRoute, authorities: Option<(Arc<str>, Trust)>) -> Self {
        Self {
            scheme: route.scheme(),
            port: route.port(),
            connect_to: route.connect_to().cloned(),
            allow_private: route.allow_private().to_vec(),
            authorities,
        }
    }

    /// What is dialled for a host.
    fn destination<'a>(&'a self, host: &'a Host) -> (&'a Host, u16) {
        match &self.connect_to {
            Some(to) => (&to.host, to.port),
            None => (host, self.port),
        }
    }

    /// Whether it needs the system's authorities.
    pub(crate) fn trusts_system(&self) -> bool {
        self.scheme == Scheme::Https && self.authorities.is_none()
    }
}

impl Dialer {
    /// `within` bounds waiting for a place, resolving, connecting and the TLS handshake together; `places` are the
    /// connections that may be open at once.
    pub(crate) fn new(system: System, uplink: Option<Uplink>, within: Duration, places: usize) -> Self {
        Self { system, uplink, within, places: Arc::new(Semaphore::new(places)) }
    }

    /// Whether another connection has to wait until one is closed.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Reads the system's authorities ahead of need.
    pub(crate) async fn warm(&self) {
        if let Err(error) = self.system.trust().await {
            tracing::warn!(error = format!("{error:#}"), "no authorities to trust yet");
        }
    }

    /// A verified connection to the host.
    ///
    /// # Errors
    /// [`Refusal::Busy`], [`Refusal::Resolve`], [`Refusal::Address`], [`Refusal::Connect`], [`Refusal::UpstreamTls`].
    pub(crate) async fn dial(
        &self,
        link: &Link,
        host: &AllowedHost,
        offer: Offer,
    ) -> Result<Dialled, Refusal> {
        let deadline = Instant::now() + self.within;
        let socket = self.reach_by(deadline, link, host).await?;
        let doubt = socket.doubt();
        if link.scheme == Scheme::Http {
            return Ok(Dialled { stream: Box::new(socket), speaks: Speaks::Http1, doubt });
        }
        let refused = |cause: String| Refusal::UpstreamTls { host: host.to_string(), cause };
        let handshake = timeout_at(deadline, self.secure(link, host, offer, socket));
        let (stream, speaks) = handshake
            .await
            .map_err(|_| refused(format!("not complete within {:?}", self.within)))?
            .map_err(|error| refused(base::inert(&format!("{error:#}"), 300)))?;
        Ok(Dialled { stream, speaks, doubt })
    }

    /// A connection to the host on which nothing was said yet. Its address was judged; its name is not verified.
    ///
    /// # Errors
    /// As [`Dialer::dial`], but for TLS.
    pub(crate) async fn reach(&self, link: &Link, host: &AllowedHost) -> Result<Socket, Refusal> {
        self.reach_by(Instant::now() + self.within, link, host).await
    }

    async fn reach_by(&self, deadline: Instant, link: &Link, host: &AllowedHost) -> Result<Socket, Refusal> {
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Stopping)?;
        let stream = match &self.uplink {
            None => {
                let addresses = judged(deadline, link, host).await?;
                within(deadline, host, connect(host, &addresses)).await?
            }
            Some(uplink) => self.reach_through(uplink, deadline, link, host).await?,
        };
        // The stream was connected a moment ago; only its reset can make this fail, and reading tells that better.
        let _ = stream.set_nodelay(true);
        Ok(Socket::new(stream, place))
    }

    /// The host's own network is left through a proxy. What is dialled there is what would be dialled here, unless the
    /// operator leaves names to it.
    async fn reach_through(
        &self,
        uplink: &Uplink,
        deadline: Instant,
        link: &Link,
        host: &AllowedHost,
    ) -> Result<TcpStream, Refusal> {
        let (name, port) = link.destination(host.host());
        let target = if uplink.resolves && name.address().is_none() {
            format!("{name}:{port}")
        } else {
            let addresses = judged(deadline, link, host).await?;
            addresses.first().map(ToString::to_string).ok_or(Refusal::Internal)?
        };
        let failed = |error: io::Error| Refusal::Connect {
            host: host.to_string(),
            cause: format!("{uplink}: {error}"),
        };
        within(deadline, host, async { uplink.open(&target).await.map_err(failed) }).await
    }

    async fn secure(
        &self,
        link: &Link,
        host: &AllowedHost,
        offer: Offer,
        socket: Socket,
    ) -> anyhow::Result<(Box<dyn Stream>, Speaks)> {
        let trust = match &link.authorities {
            Some((_, trust)) => trust,
            None => self.system.trust().await?,
        };
        let config = match offer {
            Offer::Any => &trust.any,
            Offer::Http1 => &trust.http1,
        };
        let name = ServerName::try_from(host.as_str().to_owned())?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
        let speaks = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Speaks::Http2,
            _ => Speaks::Http1,
        };
        Ok((Box::new(stream), speaks))
    }
}

/// The addresses of what the link dials, none of them objectionable.
async fn judged(deadline: Instant, link: &Link, host: &AllowedHost) -> Result<Vec<SocketAddr>, Refusal> {
    let addresses = within(deadline, host, resolve(link, host.host())).await?;
    check(&addresses, link, host)?;
    Ok(addresses)
}

async fn within<T>(
    deadline: Instant,
    host: &AllowedHost,
    step: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let late = || Refusal::Connect { host: host.to_string(), cause: "it took too long".to_owned() };
    timeout_at(deadline, step).await.map_err(|_| late())?
}

/// The addresses of what the link dials. An address needs no resolver.
async fn resolve(link: &Link, host: &Host) -> Result<Vec<SocketAddr>, Refusal> {
    let (name, port) = link.destination(host);
    if let Some(address) = name.address() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |cause: String| Refusal::Resolve { host: host.to_string(), cause };
    let found = tokio::net::lookup_host((name.as_str(), port)).await.map_err(|e| failed(e.to_string()))?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
}

/// One objectionable address refuses the whole name: a name that answers with a good and a bad address is an attack.
fn check(addresses: &[SocketAddr], link: &Link, host: &AllowedHost) -> Result<(), Refusal> {
    let own: Vec<IpAddr> = own::addresses().map_err(|error| Refusal::Connect {
        host: host.to_string(),
        cause: format!("this host's own addresses are unknown, so none can be told apart: {error}"),
    })?;
    for address in addresses {
        judge(address.ip(), &link.allow_private, &own).map_err(|objection| Refusal::Address {
            host: host.to_string(),
            address: address.ip(),
            objection,
        })?;
    }
    Ok(())
}

/// The first address that answers, each with a head start over the next. Which they are is not for the agent.
async fn connect(host: &AllowedHost, addresses: &[SocketAddr]) -> Result<TcpStream, Refusal> {
    let mut tries = FuturesUnordered::new();
    let mut rest = addresses.iter();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match rest.next() {
            Some(address) => {
                tries.push(TcpStream::connect(address));
            }
            None if tries.is_empty() => {
                tracing::debug!(?addresses, error = %last, "cannot connect");
                return Err(Refusal::Connect { host: host.to_string(), cause: last.to_string() });
            }
            None => {}
        }
        let head_start = if rest.len() > 0 { HEAD_START } else { Duration::MAX };
        match timeout(head_start, tries.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => last = error,
            Ok(None) | Err(_) => {}
        }
    }
}
