//! What a request is for: one scheme, host, port and path from all that names them. Whatever disagrees is refused with
//! 421 (RFC 9110, section 15.5.20).

use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, Version};
use policy::{Host, Scheme};

use crate::refusal::Refusal;

/// Through which door a request came.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// The proxy's own port.
    Front,
    /// A tunnel to one host and port.
    Tunnel(Tunnel),
}

/// Where a tunnel leads, as its CONNECT said and its TLS confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Tunnel {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    /// What its ClientHello named instead. Nothing passes through such a tunnel.
    pub(crate) disagreement: Option<String>,
}

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// A tunnel.
    Connect(Host, u16),
    /// Something of the proxy itself, or of a mount.
    Local,
    /// To reach this host. Its path and query are those of the request.
    Forward(Target),
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Target {
    /// Whether a text is this destination's host and port, in the one form that most clients send and that needs no
    /// parsing: the port left out where it is the default, and only there.
    pub(crate) fn is_written(&self, text: &str) -> bool {
        let name = self.host.as_str();
        // An address in brackets needs them.
        let Some(rest) = text.strip_prefix(name).filter(|_| !name.contains(':')) else { return false };
        if self.port == self.scheme.default_port() {
            return rest.is_empty();
        }
        let port = rest.strip_prefix(':').filter(|port| port.starts_with(|first| matches!(first, '1'..='9')));
        port.is_some_and(|port| port.parse() == Ok(self.port))
    }
}

/// The name under which the proxy itself answers (E8).
pub(crate) const HELPER: &str = "_egress.local";
/// The names under which a client that knows no proxy reaches it directly.
const DIRECT: [&str; 5] = [HELPER, "egress", "localhost", "127.0.0.1", "::1"];

/// What the request wants.
///
/// # Errors
/// [`Refusal::Method`], [`Refusal::Malformed`], [`Refusal::Identity`], [`Refusal::NotProxied`].
pub(crate) fn identify(door: &Door, parts: &Parts) -> Result<Intent, Refusal> {
    if parts.method == Method::TRACE {
        return Err(Refusal::Method("TRACE".to_owned()));
    }
    let host = host_header(&parts.headers)?;
    let intent = match door {
        Door::Front if parts.method == Method::CONNECT => connect(parts)?,
        Door::Tunnel(_) if parts.method == Method::CONNECT => {
            return Err(Refusal::Method("CONNECT".to_owned()));
        }
        Door::Front => at_front(parts, host)?,
        Door::Tunnel(tunnel) => Intent::Forward(in_tunnel(tunnel, parts, host)?),
    };
    match intent {
        Intent::Forward(target) if target.host.as_str() == HELPER => Ok(Intent::Local),
        intent => Ok(intent),
    }
}

fn connect(parts: &Parts) -> Result<Intent, Refusal> {
    let authority = parts.uri.authority().filter(|_| parts.uri.scheme().is_none());
    let authority = authority.ok_or_else(|| malformed("CONNECT needs host:port"))?;
    if parts.headers.contains_key(http::header::CONTENT_LENGTH)
        || parts.headers.contains_key(http::header::TRANSFER_ENCODING)
    {
        return Err(malformed("a CONNECT request has no body"));
    }
    let (host, port) = parse(authority.as_str())?;
    Ok(Intent::Connect(host, port.ok_or_else(|| malformed("CONNECT needs a port"))?))
}

fn at_front(parts: &Parts, named: Option<&str>) -> Result<Intent, Refusal> {
    let Some(authority) = parts.uri.authority() else {
        let (host, _) = parse(named.ok_or_else(|| malformed("there is no Host header"))?)?;
        return if DIRECT.contains(&host.as_str()) { Ok(Intent::Local) } else { Err(Refusal::NotProxied) };
    };
    if parts.uri.scheme_str() != Some("http") {
        return Err(malformed("an absolute URL is http; https needs a CONNECT tunnel"));
    }
    let target = target(Scheme::Http, parse(authority.as_str())?);
    agree(&target, named, "the Host header")?;
    Ok(Intent::Forward(target))
}

fn in_tunnel(tunnel: &Tunnel, parts: &Parts, named: Option<&str>) -> Result<Target, Refusal> {
    if let Some(disagreement) = &tunnel.disagreement {
        return Err(Refusal::Identity(disagreement.clone()));
    }
    let target = Target { scheme: tunnel.scheme, host: tunnel.host.clone(), port: tunnel.port };
    let authority = parts.uri.authority().map(Authority::as_str);
    if parts.version == Version::HTTP_2 {
        if parts.uri.scheme_str().is_some_and(|scheme| scheme != tunnel.scheme.as_str()) {
            return Err(Refusal::Identity(format!(
                ":scheme is not {}, which the tunnel is",
                tunnel.scheme.as_str()
            )));
        }
        agree(&target, authority, ":authority")?;
    } else if authority.is_some() || parts.uri.scheme().is_some() {
        return Err(malformed("inside a tunnel the request target is a path, not a URL"));
    }
    if authority.is_none() && named.is_none() {
        return Err(malformed("there is no Host header"));
    }
    agree(&target, named, "the Host header")?;
    Ok(target)
}

/// The one `Host` header.
fn host_header(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let first =
        values.next().map(|value| value.to_str().map_err(|_| malformed("the Host header is not ASCII")));
    if values.next().is_some() {
        return Err(malformed("there is more than one Host header"));
    }
    first.transpose()
}

/// Whether what else names the destination, if it does, names this one.
fn agree(target: &Target, named: Option<&str>, what: &str) -> Result<(), Refusal> {
    let Some(text) = named else { return Ok(()) };
    if target.is_written(text) {
        return Ok(());
    }
    let (host, port) = parse(text)?;
    let port = port.unwrap_or(target.scheme.default_port());
    if host == target.host && port == target.port {
        return Ok(());
    }
    Err(Refusal::Identity(format!(
        "{what} says {}:{port}, the rest {}:{}",
        host.authority(),
        target.host.authority(),
        target.port
    )))
}

fn target(scheme: Scheme, (host, port): (Host, Option<u16>)) -> Target {
    Target { scheme, host, port: port.unwrap_or(scheme.default_port()) }
}

/// A host and, if given, a port; nothing else, and no user before an `@`.
fn parse(text: &str) -> Result<(Host, Option<u16>), Refusal> {
    if text.contains('@') {
        return Err(malformed("the destination names a user; leave out what is before the @"));
    }
    let colon = text.rfind(':').filter(|colon| !text[*colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&text[..colon], Some(port(&text[colon + 1..])?)),
        None => (text, None),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !bracketed {
        return Err(malformed("an IPv6 address needs brackets"));
    }
    let host = Host::parse(host).map_err(|error| Refusal::Malformed(error.to_string()))?;
    Ok((host, port))
}

fn port(text: &str) -> Result<u16, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or_else(|| malformed("the port is not a number from 1 to 65535"))
}

fn malformed(reason: &str) -> Refusal {
    Refusal::Malformed(reason.to_owned())
}

/// A request's path as sent; `/` where a URL has none.
pub(crate) fn path(parts: &Parts) -> &str {
    match parts.uri.path_and_query().map(PathAndQuery::path) {
        Some("") | None => "/",
        Some(path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn ask(door: &Door, method: &str, uri: &str, hosts: &[&str]) -> String {
        let version = if uri.starts_with("h2:") { Version::HTTP_2 } else { Version::HTTP_11 };
        let mut request =
            Request::builder().method(method).uri(uri.trim_start_matches("h2:")).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        match identify(door, &request.body(()).unwrap().into_parts().0) {
            Ok(Intent::Forward(Target { scheme, host, port })) => {
                format!("{} {host} {port}", scheme.as_str())
            }
            Ok(Intent::Connect(host, port)) => format!("connect {host} {port}"),
            Ok(Intent::Local) => "local".to_owned(),
            Err(refusal) => refusal.rule().to_owned(),
        }
    }

    #[test]
    fn at_the_front() {
        for (method, uri, hosts, want) in [
            ("CONNECT", "a.example:443", &["a.example:443"][..], "connect a.example 443"),
            ("CONNECT", "A.Example.:443", &[], "connect a.example 443"),
            ("CONNECT", "[::1]:443", &[], "connect ::1 443"),
            ("CONNECT", "a.example", &[], "malformed"),
            ("CONNECT", "a.example:0", &[], "malformed"),
            ("CONNECT", "u@a.example:443", &[], "malformed"),
            ("CONNECT", "0x7f.1:443", &[], "malformed"),
            ("CONNECT", "/", &[], "malformed"),
            ("GET", "http://a.example/x", &["a.example"], "http a.example 80"),
            ("GET", "http://a.example/x", &[], "http a.example 80"),
            ("GET", "http://a.example:8080/x", &["a.example:8080"], "http a.example 8080"),
            ("GET", "http://a.example:8080/x", &["a.example"], "identity"),
            ("GET", "http://a.example/x", &["b.example"], "identity"),
            ("GET", "http://a.example/x", &["a.example", "a.example"], "malformed"),
            ("GET", "http://u:p@a.example/x", &["a.example"], "malformed"),
            ("GET", "https://a.example/x", &["a.example"], "malformed"),
            ("GET", "ftp://a.example/x", &["a.example"], "malformed"),
            ("GET", "http://_egress.local/allowlist", &["_egress.local"], "local"),
            ("GET", "/health", &["egress:9099"], "local"),
            ("GET", "/health", &["localhost:9099"], "local"),
            ("GET", "/x", &["a.example"], "not-proxied"),
            ("GET", "/x", &[], "malformed"),
            ("TRACE", "http://a.example/x", &["a.example"], "method"),
        ] {
            assert_eq!(ask(&Door::Front, method, uri, hosts), want, "{method} {uri} {hosts:?}");
        }
    }

    #[test]
    fn what_needs_no_parsing_says_what_parsing_says() {
        for (host, port, written) in [
            ("a.example", 8443, Some("a.example:8443")),
            ("a.example", 443, Some("a.example")),
            ("192.0.2.1", 443, Some("192.0.2.1")),
            ("::1", 443, None),
        ] {
            let target = Target { scheme: Scheme::Https, host: Host::parse(host).unwrap(), port };
            for text in [
                "a.example",
                "a.example:443",
                "a.example:8443",
                "a.example:08443",
                "a.example:+8443",
                "a.example:8443:8443",
                "a.example:84430",
                "a.example:",
                "a.example.",
                "a.example.evil.example",
                "A.example",
                "u@a.example",
                "192.0.2.1",
                "::1",
                "[::1]",
                "::1:443",
                "",
            ] {
                assert_eq!(target.is_written(text), written == Some(text), "{host} {port} {text}");
                let parsed = parse(text).map(|(host, port)| super::target(Scheme::Https, (host, port)));
                assert!(!target.is_written(text) || parsed.is_ok_and(|parsed| parsed == target), "{text}");
            }
        }
    }

    #[test]
    fn in_a_tunnel() {
        let host = Host::parse("a.example").unwrap();
        let tunnel = Tunnel { host, port: 8443, scheme: Scheme::Https, disagreement: None };
        let door = Door::Tunnel(tunnel.clone());
        for (method, uri, hosts, want) in [
            ("GET", "/x", &["a.example:8443"][..], "https a.example 8443"),
            ("GET", "/x", &["A.EXAMPLE:8443"], "https a.example 8443"),
            ("GET", "/x", &["a.example"], "identity"),
            ("GET", "/x", &["b.example:8443"], "identity"),
            ("GET", "/x", &["a.example:8443", "b.example:8443"], "malformed"),
            ("GET", "/x", &[], "malformed"),
            ("GET", "https://a.example:8443/x", &["a.example:8443"], "malformed"),
            ("CONNECT", "a.example:8443", &[], "method"),
            ("GET", "h2:https://a.example:8443/x", &[], "https a.example 8443"),
            ("GET", "h2:https://a.example:8443/x", &["a.example:8443"], "https a.example 8443"),
            ("GET", "h2:https://a.example:8443/x", &["b.example:8443"], "identity"),
            ("GET", "h2:https://b.example:8443/x", &["a.example:8443"], "identity"),
            ("GET", "h2:http://a.example:8443/x", &[], "identity"),
            ("GET", "h2:/x", &[], "malformed"),
        ] {
            assert_eq!(ask(&door, method, uri, hosts), want, "{method} {uri} {hosts:?}");
        }
        let other = Some("the ClientHello names b.example".to_owned());
        let door = Door::Tunnel(Tunnel { disagreement: other, ..tunnel });
        assert_eq!(ask(&door, "GET", "/x", &["a.example:8443"]), "identity");
    }
}
