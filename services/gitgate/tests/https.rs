//! An HTTPS server with an authority of its own, which serves a directory of repositories by git's own CGI program.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gitgate::config::{Access, RepoConfig};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// See the module. It ends with all its connections when it is dropped.
pub(crate) struct Https {
    port: u16,
    authority: String,
    token: String,
    /// The user names that logged in.
    pub(crate) users: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Https {
    /// Serves the repositories of a directory to who has the token.
    pub(crate) async fn start(directory: &Path) -> Self {
        let token = ["tok", "en-for-", "stories"].concat();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let users = Arc::new(Mutex::new(Vec::new()));
        let shop = Shop { directory: directory.to_owned(), token: token.clone(), users: Arc::clone(&users) };
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shop) = (acceptor.clone(), shop.clone());
                connections.spawn(async move {
                    // A client that does not trust it goes away.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let shop = shop.clone();
                        async move { Ok::<_, Infallible>(shop.answer(request).await) }
                    });
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { port, authority: ca.pem(), token, users, _task: task }
    }

    /// The repository as a gate is told of it.
    pub(crate) fn repo(&self, name: &str) -> RepoConfig {
        self.repo_with(name, &self.token)
    }

    /// The same with another token.
    pub(crate) fn repo_with(&self, name: &str, token: &str) -> RepoConfig {
        let url = format!("https://127.0.0.1:{}/{name}.git", self.port);
        RepoConfig { url, access: Access::Https { token: Some(Secret::new(token.to_owned())) } }
    }

    /// Its authority's certificate.
    pub(crate) fn authority(&self) -> String {
        self.authority.clone()
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

#[derive(Clone)]
struct Shop {
    directory: PathBuf,
    token: String,
    users: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(user) = self.user(request.headers()) else {
            let mut reply = Response::new(Full::new(Bytes::from("log in\n")));
            *reply.status_mut() = StatusCode::UNAUTHORIZED;
            reply.headers_mut().insert(WWW_AUTHENTICATE, "Basic realm=\"forge\"".parse().unwrap());
            return reply;
        };
        self.users.lock().unwrap().push(user);
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let header = |name: &http::HeaderName| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let mut command = Command::new(crate::client::git());
        command
            .arg("http-backend")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_PROJECT_ROOT", &self.directory)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", head.method.as_str())
            .env("PATH_INFO", head.uri.path())
            .env("QUERY_STRING", head.uri.query().unwrap_or_default())
            .env("CONTENT_TYPE", header(&CONTENT_TYPE))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header(&CONTENT_ENCODING))
            .env("GIT_PROTOCOL", header(&"git-protocol".parse().unwrap()))
            .env("REMOTE_USER", "somebody")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let give = async move {
            let _ = stdin.write_all(&body).await;
        };
        let ((), said) = tokio::join!(give, child.wait_with_output());
        reply(&said.unwrap().stdout)
    }

    fn user(&self, headers: &HeaderMap) -> Option<String> {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let login = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = login.split_once(':')?;
        (password == self.token).then(|| user.to_owned())
    }
}

/// Reads what a CGI program says.
fn reply(said: &[u8]) -> Response<Full<Bytes>> {
    let end = said.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&said[..end]).unwrap();
    let mut reply = Response::new(Full::new(Bytes::copy_from_slice(&said[end + 4..])));
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *reply.status_mut() = value[..3].parse().unwrap();
        } else {
            reply.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
    }
    reply
}

/// Packs a text as git's clients do.
pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}
