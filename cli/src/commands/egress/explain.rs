//! `egress explain`: which rule decides, offline (E16).

use anyhow::{Context as _, anyhow};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use manifest::{Home, Library};
use policy::{Explanation, Host, RequestView, Scheme};

use crate::args::Explain;
use crate::context::Context;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::{self, Format, Paint, paint};

/// Explains what a bottle's rules say about one request. Ends with [`Exit::No`] when it would be refused.
///
/// # Errors
/// The URL, a header or a bottle's file is wrong.
pub fn run(context: &Context, args: &Explain) -> Result<Exit, Failure> {
    let library = Library::of_home(Home::at(context.home.clone()));
    let bottle = library.resolve_bottles(&args.bottles).or_exit(Exit::Input)?;
    let target = Target::parse(&args.url).or_exit(Exit::Usage)?;
    let headers = args.headers.iter().map(|line| header(line)).collect::<anyhow::Result<HeaderMap>>();
    let headers = headers.or_exit(Exit::Usage)?;
    let explanation = policy::explain(&bottle.policy, &target.request(&args.method, &headers));
    match args.format.into() {
        Format::Json => output::json(&explanation).context("cannot print the explanation")?,
        Format::Text => output::line(&render(&explanation)),
    }
    Ok(if explanation.allowed { Exit::Ok } else { Exit::No })
}

/// The parts of a URL that are judged.
struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Target {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let shown = base::inert(url, 200);
        let uri: Uri = url.parse().with_context(|| format!("{shown} is not a URL"))?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(anyhow!("{shown} begins with neither https:// nor http://")),
        };
        let host = uri.host().with_context(|| format!("{shown} names no host"))?;
        let host = Host::parse(host).with_context(|| format!("{shown} names no host that can be reached"))?;
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        Ok(Self { scheme, host, port, path: uri.path().to_owned(), query: uri.query().map(str::to_owned) })
    }

    fn request<'a>(&'a self, method: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
        RequestView {
            scheme: self.scheme,
            host: &self.host,
            port: self.port,
            method,
            path: &self.path,
            query: self.query.as_deref(),
            headers,
        }
    }
}

fn header(line: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let shown = base::inert(line, 200);
    let (name, value) = line.split_once(':').with_context(|| format!("{shown} is not `Name: value`"))?;
    let name = name.trim().parse().with_context(|| format!("{shown} has no header's name"))?;
    let value = value.trim().parse().with_context(|| format!("{shown} has no header's value"))?;
    Ok((name, value))
}

fn render(explanation: &Explanation) -> String {
    let verdict = match explanation.rule {
        None => paint(Paint::Green, "allowed"),
        Some(rule) => format!("{} by {rule}", paint(Paint::Red, "refused")),
    };
    let mut lines = vec![format!("{verdict}: {}", explanation.reason)];
    if let Some(path) = &explanation.path {
        lines.push(format!("  path {}", base::inert(path, 500)));
    }
    if let Some(route) = &explanation.route {
        let token = if route.injects { ", the proxy adds a token" } else { "" };
        lines.push(format!("  routes[{}] {}{token}", route.index, route.host));
        for (index, entry) in route.entries.iter().enumerate() {
            let dimension = |name, matches: Option<bool>| match matches {
                Some(true) => format!("{name} matches"),
                Some(false) => format!("{name} does not match"),
                None => format!("any {name}"),
            };
            let path = dimension("path", entry.path);
            let method = dimension("method", entry.method);
            let headers = dimension("headers", entry.headers);
            lines.push(format!("    matches[{index}] {path}, {method}, {headers}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::EgressPolicy;

    fn explain(method: &str, url: &str) -> String {
        let policy: EgressPolicy = serde_yaml::from_str(
            "routes: [{host: api.example.com, matches: [{paths: [{type: prefix, value: /v1}], methods: [GET]}]}]",
        )
        .unwrap();
        let policy = policy::check(&policy).unwrap();
        let headers = HeaderMap::new();
        render(&policy::explain(&policy, &Target::parse(url).unwrap().request(method, &headers)))
    }

    #[test]
    fn says_which_rule_decides() {
        insta::assert_snapshot!(explain("GET", "https://api.example.com/v1/me?x=1"), @r"
        allowed: entry 0 of the route for api.example.com allows it
          path /v1/me
          routes[0] api.example.com
            matches[0] path matches, method matches, any headers
        ");
        insta::assert_snapshot!(explain("POST", "https://api.example.com/v2"), @r"
        refused by no-match: the route for api.example.com does not allow POST /v2; entry 0 needs method GET and path below /v1
          path /v2
          routes[0] api.example.com
            matches[0] path does not match, method does not match, any headers
        ");
        insta::assert_snapshot!(explain("GET", "https://other.example.com/"), @r"
        refused by unlisted-host: no route of this bottle covers the host other.example.com
          path /
        ");
    }

    #[test]
    fn a_url_without_a_host_is_the_users_mistake() {
        assert!(Target::parse("/v1/me").is_err());
        assert!(Target::parse("ftp://example.com/").is_err());
    }
}
