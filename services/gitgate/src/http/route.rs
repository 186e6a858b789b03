//! What a request asks for. Decided on its head alone.

use http::header::HOST;
use http::{HeaderMap, Method, StatusCode, Uri};

/// The names under which the gate is reached from inside.
const HOSTS: [&str; 3] = ["gitgate", "127.0.0.1", "localhost"];

/// One of git's two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Clone, fetch, pull.
    UploadPack,
    /// Push.
    ReceivePack,
}

/// A version of git's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub enum Version {
    /// The one without a number.
    #[default]
    Zero,
    /// The same, with a number in front.
    One,
    /// Asks for refs by their prefixes.
    Two,
}

/// A request that git makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// What is there, and what is understood.
    Advertise {
        /// As written in the path.
        repo: String,
        /// For what.
        service: Service,
    },
    /// The service itself.
    Serve {
        /// As written in the path.
        repo: String,
        /// Which.
        service: Service,
    },
}

/// A request that is not answered, in words that git or a person shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A browser that was led here by a name of somebody else's.
    #[error("this is the git gate of a bottle; it is called gitgate, localhost or 127.0.0.1")]
    Host,
    /// No path of git's smart protocol.
    #[error("the git gate serves http://gitgate:9420/NAME to git, and nothing else")]
    Path,
    /// A client without the smart protocol.
    #[error("the git gate speaks git's smart HTTP only; use git 1.6.6 or newer, without GIT_SMART_HTTP=0")]
    Dumb,
    /// Large file storage.
    #[error("git LFS is not served by the git gate; only what git itself stores is scanned and passed on")]
    Lfs,
    /// `git archive`, or a forge's tarballs.
    #[error("archives are not served by the git gate; clone and use git archive there")]
    Archive,
    /// Another verb.
    #[error("git does not ask with this method")]
    Method,
    /// Not what git sends there.
    #[error("the request's content type is not the one that git sends there")]
    ContentType,
}

impl Wrong {
    /// What the answer says.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Dumb | Self::Archive => StatusCode::FORBIDDEN,
            Self::Lfs => StatusCode::NOT_IMPLEMENTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

impl Service {
    /// As git calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack].into_iter().find(|service| service.as_str() == name)
    }
}

impl Version {
    /// Reads the header `Git-Protocol`: `key=value`, several with colons between them. What is not known is passed over.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let versions = text.split(':').filter_map(|entry| match entry {
            "version=1" => Some(Self::One),
            "version=2" => Some(Self::Two),
            _ => None,
        });
        versions.fold(Self::Zero, |best, version| if version > best { version } else { best })
    }

    /// For git's environment.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zero => "version=0",
            Self::One => "version=1",
            Self::Two => "version=2",
        }
    }
}

/// Reads a request's head.
///
/// # Errors
/// [`Wrong`]
pub fn route(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Route, Wrong> {
    check_host(uri, headers)?;
    let path = uri.path().strip_prefix('/').ok_or(Wrong::Path)?;
    let (repo, rest) = path.split_once('/').ok_or(Wrong::Path)?;
    if repo.is_empty() || !repo.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(Wrong::Path);
    }
    let repo = repo.to_owned();
    if rest == "info/refs" {
        if method != Method::GET {
            return Err(Wrong::Method);
        }
        let service = uri.query().and_then(|query| query.strip_prefix("service=")).ok_or(Wrong::Dumb)?;
        let service = Service::named(service).ok_or(Wrong::Archive)?;
        return Ok(Route::Advertise { repo, service });
    }
    let Some(service) = Service::named(rest) else { return Err(other(rest)) };
    if method != Method::POST {
        return Err(Wrong::Method);
    }
    let content = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content != Some(&format!("application/x-{}-request", service.as_str())) {
        return Err(Wrong::ContentType);
    }
    Ok(Route::Serve { repo, service })
}

/// Why something else below a repository is not there.
fn other(rest: &str) -> Wrong {
    match rest {
        _ if rest.starts_with("info/lfs") || rest.starts_with("objects/batch") => Wrong::Lfs,
        "HEAD" | "info/alternates" | "info/packs" => Wrong::Dumb,
        _ if rest.starts_with("objects/") => Wrong::Dumb,
        "git-upload-archive" => Wrong::Archive,
        _ if rest.starts_with("archive/") => Wrong::Archive,
        _ => Wrong::Path,
    }
}

fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), Wrong> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Wrong::Host) };
    let host = host.to_str().map_err(|_| Wrong::Host)?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return Err(Wrong::Host),
        None => host,
    };
    let is_ours = |name: &str| HOSTS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    if is_ours(name) && uri.host().is_none_or(is_ours) { Ok(()) } else { Err(Wrong::Host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Route, Wrong> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        map.entry(HOST).or_insert_with(|| http::HeaderValue::from_static("gitgate:9420"));
        route(&method.parse().unwrap(), &path.parse().unwrap(), &map)
    }

    #[test]
    fn what_git_asks_for_is_understood() {
        let (repo, service) = ("tools.git".to_owned(), Service::ReceivePack);
        let advertise = ask("GET", "/tools.git/info/refs?service=git-receive-pack", &[]);
        assert_eq!(advertise, Ok(Route::Advertise { repo: repo.clone(), service }));
        let content = [("content-type", "application/x-git-receive-pack-request")];
        assert_eq!(ask("POST", "/tools.git/git-receive-pack", &content), Ok(Route::Serve { repo, service }));
    }

    #[test]
    fn everything_else_is_refused_for_a_reason() {
        let evil = [("host", "evil.example")];
        let two = [("host", "gitgate"), ("host", "gitgate")];
        let html = [("content-type", "text/html")];
        for (method, path, headers, why) in [
            ("GET", "/x/info/refs", [].as_slice(), Wrong::Dumb),
            ("GET", "/x/info/refs?service=git-upload-archive", &[], Wrong::Archive),
            ("GET", "/x/info/refs?service=git-upload-pack&x=1", &[], Wrong::Archive),
            ("GET", "/x/HEAD", &[], Wrong::Dumb),
            ("GET", "/x/objects/info/packs", &[], Wrong::Dumb),
            ("POST", "/x/info/lfs/objects/batch", &[], Wrong::Lfs),
            ("GET", "/x/archive/main.tar.gz", &[], Wrong::Archive),
            ("GET", "/x/config", &[], Wrong::Path),
            ("GET", "/", &[], Wrong::Path),
            ("GET", "/a%2fb/info/refs?service=git-upload-pack", &[], Wrong::Path),
            ("PUT", "/x/git-receive-pack", &[], Wrong::Method),
            ("POST", "/x/git-receive-pack", &html, Wrong::ContentType),
            ("GET", "/x/info/refs?service=git-upload-pack", &evil, Wrong::Host),
            ("GET", "/x/info/refs?service=git-upload-pack", &two, Wrong::Host),
            ("GET", "http://evil.example/x/info/refs?service=git-upload-pack", &[], Wrong::Host),
        ] {
            let refused = ask(method, path, headers);
            assert_eq!(refused, Err(why), "{method} {path}");
        }
    }

    #[test]
    fn only_known_versions_are_passed_on() {
        for (text, version) in [
            ("version=2", Version::Two),
            ("version=1", Version::One),
            ("x=1:version=2", Version::Two),
            ("version=2\";rm", Version::Zero),
            ("version=9", Version::Zero),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("git-protocol"),
                text.parse().unwrap(),
            )]);
            assert_eq!(Version::of(&headers), version, "{text}");
        }
        assert_eq!(Version::of(&HeaderMap::new()), Version::Zero);
    }
}
