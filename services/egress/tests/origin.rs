//! An origin on loopback that speaks TLS with its own authority, HTTP/1.1 and HTTP/2, and remembers what it saw.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, stream};
use http::{HeaderName, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) const HOST: &str = "api.example.com";

/// What the origin saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) version: http::Version,
    pub(crate) headers: http::HeaderMap,
    pub(crate) trailers: Option<http::HeaderMap>,
    pub(crate) received: u64,
    /// Its first mebibyte.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What `/scripted` answers.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) status: u16,
    /// In the place of the status's own.
    pub(crate) reason: Option<String>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Clone)]
pub(crate) enum Piece {
    Data(Bytes),
    /// Waits until [`Origin::release_event`].
    Gate,
    Trailers(http::HeaderMap),
}

impl Script {
    /// An answer of this media type; none if it is empty.
    pub(crate) fn new(kind: &str) -> Self {
        let script = Self { status: 200, ..Self::default() };
        if kind.is_empty() { script } else { script.header("content-type", kind) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub(crate) fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.pieces.push(Piece::Data(data.into()));
        self
    }

    pub(crate) fn gate(mut self) -> Self {
        self.pieces.push(Piece::Gate);
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.pieces.push(Piece::Trailers([(name, value.parse().unwrap())].into_iter().collect()));
        self
    }
}

#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) authority: String,
    shared: Arc<Shared>,
    _tasks: Arc<JoinSet<()>>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    said: Mutex<Vec<String>>,
    connections: watch::Sender<usize>,
    /// One permit lets one event of `/events` out.
    events: Semaphore,
    script: Mutex<Script>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Plain,
    Tls,
    TlsHttp1,
    /// Its certificate is for another name.
    TlsAs(&'static str),
}

impl Origin {
    pub(crate) async fn start(speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let name = if let Speaks::TlsAs(name) = speaks { name } else { HOST };
        let (authority, acceptor) = acceptor(name, speaks != Speaks::TlsHttp1);
        let acceptor = (speaks != Speaks::Plain).then_some(acceptor);
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            said: Mutex::default(),
            connections: watch::Sender::new(0),
            events: Semaphore::new(0),
            script: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, Arc::clone(&shared)));
        Self { address, authority, shared, _tasks: Arc::new(tasks) }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the origin saw a request")
    }

    /// The messages on its WebSockets.
    pub(crate) fn said(&self) -> Vec<String> {
        self.shared.said.lock().unwrap().clone()
    }

    /// From now on `/scripted` answers this.
    pub(crate) fn says(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// How many connections it accepted so far.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Lets one more event out.
    pub(crate) fn release_event(&self) {
        self.shared.events.add_permits(1);
    }
}

fn acceptor(name: &str, http2: bool) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols =
        if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        shared.connections.send_modify(|count| *count += 1);
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match acceptor {
                None => serve(stream, shared).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().preserve_header_case(true);
    // Clients hang up as they please.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

type Reply = Response<BoxBody<Bytes, hyper::Error>>;

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> Result<Reply, hyper::Error> {
    let mut seen = Seen {
        target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        version: request.version(),
        headers: request.headers().clone(),
        trailers: None,
        received: 0,
        body: Vec::new(),
    };
    let path = request.uri().path().to_owned();
    if path == "/ws" {
        let agreed = upgrade(&mut request, Arc::clone(&shared));
        shared.seen.lock().unwrap().push(seen);
        return Ok(agreed);
    }
    if path == "/echo" {
        return Ok(Response::new(echo(request.into_body())));
    }
    let early = path == "/early";
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            seen.received += data.len() as u64;
            seen.body.extend_from_slice(&data[..data.len().min((1 << 20) - seen.body.len())]);
        } else if let Ok(trailers) = frame.into_trailers() {
            seen.trailers = Some(trailers);
        }
        if early {
            break;
        }
    }
    shared.seen.lock().unwrap().push(seen);
    let count = path.strip_prefix("/big/").map(|count| count.parse::<u64>().unwrap());
    let mut reply = match (path.as_str(), count) {
        (_, Some(count)) => Response::new(big(count)),
        ("/events", _) => Response::new(events(shared)),
        ("/scripted", _) => return Ok(scripted(shared)),
        ("/trailers", _) => Response::new(with_trailers()),
        ("/never", _) => std::future::pending().await,
        ("/redirect", _) => {
            let mut reply = Response::new(text(""));
            *reply.status_mut() = StatusCode::FOUND;
            reply.headers_mut().insert(header::LOCATION, "https://elsewhere.example/".parse().unwrap());
            reply
        }
        _ => Response::new(text("hello from the origin")),
    };
    reply.headers_mut().insert("x-origin", "yes".parse().unwrap());
    reply.headers_mut().insert("proxy-authenticate", "Basic".parse().unwrap());
    Ok(reply)
}

fn text(text: &'static str) -> BoxBody<Bytes, hyper::Error> {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed()
}

/// This many mebibytes.
fn big(count: u64) -> BoxBody<Bytes, hyper::Error> {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let frames = stream::iter((0..count * 16).map(move |_| Ok(Frame::data(chunk.clone()))));
    BodyExt::boxed(StreamBody::new(frames))
}

fn events(shared: Arc<Shared>) -> BoxBody<Bytes, hyper::Error> {
    let frames = stream::unfold((shared, 0), |(shared, count)| async move {
        shared.events.acquire().await.unwrap().forget();
        let event = Bytes::from(format!("data: {count}\n\n"));
        (count < 3).then_some((Ok(Frame::data(event)), (shared, count + 1)))
    });
    BodyExt::boxed(StreamBody::new(frames))
}

fn scripted(shared: Arc<Shared>) -> Reply {
    let Script { status, reason, headers, pieces } = shared.script.lock().unwrap().clone();
    let frames = stream::iter(pieces).filter_map(move |piece| {
        let shared = Arc::clone(&shared);
        async move {
            match piece {
                Piece::Data(data) => Some(Ok(Frame::data(data))),
                Piece::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
                Piece::Gate => {
                    shared.events.acquire().await.unwrap().forget();
                    None
                }
            }
        }
    });
    let mut reply = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    *reply.headers_mut() = headers;
    if let Some(reason) = reason {
        reply.extensions_mut().insert(hyper::ext::ReasonPhrase::try_from(reason.into_bytes()).unwrap());
    }
    reply
}

/// What comes, as it comes, and trailers in the end.
fn echo(body: Incoming) -> BoxBody<Bytes, hyper::Error> {
    let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = body.into_data_stream().map(|data| data.map(Frame::data));
    BodyExt::boxed(StreamBody::new(frames.chain(stream::once(async { Ok(Frame::trailers(trailers)) }))))
}

fn with_trailers() -> BoxBody<Bytes, hyper::Error> {
    let trailers = [("grpc-status", "0"), ("host", "x")];
    let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let frames =
        vec![Ok(Frame::data(Bytes::from_static(b"x"))), Ok(Frame::trailers(trailers.into_iter().collect()))];
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

fn upgrade(request: &mut Request<Incoming>, shared: Arc<Shared>) -> Reply {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let credential = request.headers().get("authorization").cloned();
    let upgrade = hyper::upgrade::on(request);
    #[expect(clippy::disallowed_methods, reason = "it ends with its socket")]
    tokio::spawn(async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, None).await;
        while let Some(message) = socket.next().await {
            let text = match &message {
                Ok(message) if message.is_text() || message.is_binary() => {
                    Some(String::from_utf8_lossy(&message.clone().into_data()).into_owned())
                }
                Ok(_) => None,
                Err(_) => Some("invalid".to_owned()),
            };
            shared.said.lock().unwrap().extend(text);
            let Ok(message) = message else { break };
            let is_said = message.is_text() || message.is_binary();
            if is_said && socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let mut reply = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", &accept)]
    {
        reply.headers_mut().insert(name, value.parse().unwrap());
    }
    reply.headers_mut().extend(credential.map(|credential| (HeaderName::from_static("x-echo"), credential)));
    reply
}

/// A body of `count` chunks of 64 KiB that is made as it is read.
pub(crate) fn stream_of(
    count: usize,
) -> impl Body<Data = Bytes, Error = std::convert::Infallible> + Send + Sync + Unpin {
    let chunk = Bytes::from(vec![b'u'; 64 * 1024]);
    StreamBody::new(stream::iter((0..count).map(move |_| Ok(Frame::data(chunk.clone())))))
}
