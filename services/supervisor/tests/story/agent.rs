//! An agent with an MCP client, and the door that it knocks at.

use std::net::SocketAddr;

use base::lifecycle::Lifecycle;
use bus::{Connect, Trace};
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ProgressNotificationParam, ProtocolVersion,
    ServerResult,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, PeerRequestOptions, RequestHandle,
    RoleClient, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use supervisor::door::{self, Config, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{SOON, World, bottle, soon};

/// A door that is open.
pub(crate) struct Open {
    life: Lifecycle,
    pub(crate) address: SocketAddr,
}

impl Open {
    pub(crate) async fn of(world: &World, change: impl FnOnce(&mut Limits)) -> Self {
        let credentials = world.keys.mint_bottle(&bottle(), SOON * 10).unwrap();
        let mut limits = Limits::default();
        change(&mut limits);
        let connect = Connect::new(world.server.url(), credentials);
        let life = Lifecycle::new();
        let door = door::build(Config { bottle: bottle(), connect, trace: Trace::random(), limits }, &life);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        door.run(vec![listener]);
        Self { life, address }
    }

    /// One in another process.
    pub(crate) fn elsewhere(address: SocketAddr) -> Self {
        Self { life: Lifecycle::new(), address }
    }

    pub(crate) async fn shut(self) {
        self.life.stop();
        soon("the door's end", self.life.run(SOON)).await;
    }

    /// Sends these bytes as a request of its own, and hears everything that comes back.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that has refused already may not take the rest.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A POST of this body, with further header lines.
    pub(crate) async fn post(&self, more: &str, body: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: supervise:9100\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: \
             application/json, text/event-stream\r\nContent-Length: {}\r\n{more}\r\n",
            body.len()
        );
        self.raw(format!("{head}{body}").as_bytes()).await
    }
}

impl Open {
    /// Begins a session by hand; its header line.
    pub(crate) async fn session(&self) -> String {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "raw", "version": "0" },
        } });
        let begun = self.post("", &body.to_string()).await;
        let id = begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        let session = format!("Mcp-Session-Id: {id}\r\n");
        let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert!(self.post(&session, &begun.to_string()).await.starts_with("HTTP/1.1 202"));
        session
    }
}

/// Hears of progress.
pub(crate) struct Ears(mpsc::Sender<ProgressNotificationParam>);

impl ClientHandler for Ears {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.0.try_send(progress);
    }
}

pub(crate) struct Agent {
    client: RunningService<RoleClient, Ears>,
    pub(crate) progress: mpsc::Receiver<ProgressNotificationParam>,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) is_error: bool,
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Told {
    fn of(result: CallToolResult) -> Self {
        let text = result.content[0].as_text().unwrap().text.clone();
        Self { is_error: result.is_error.unwrap_or(false), text, value: result.structured_content.unwrap() }
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: &str, is_error: bool, word: &str) -> &Self {
        assert_eq!((&self.value["status"], self.is_error), (&status.into(), is_error), "{self:?}");
        assert!(self.text.contains(word), "no {word:?} in {self:?}");
        self
    }

    pub(crate) fn proposal(&self) -> String {
        self.value["proposal"].as_str().unwrap().to_owned()
    }
}

impl Agent {
    /// A client with a session, as those before 2026 have one.
    pub(crate) async fn at(open: &Open) -> Self {
        Self::with(open, ClientLifecycleMode::Initialize).await
    }

    /// A client without.
    pub(crate) async fn without_session(open: &Open) -> Self {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        Self::with(open, ClientLifecycleMode::Discover { preferred_versions }).await
    }

    async fn with(open: &Open, lifecycle: ClientLifecycleMode) -> Self {
        let (sender, progress) = mpsc::channel(64);
        // It makes none without a provider of cryptography, for TLS that nobody speaks here; a second one is refused.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{}/", open.address));
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let client =
            soon("a session", Ears(sender).serve_with_lifecycle(transport, lifecycle)).await.unwrap();
        Self { client, progress }
    }

    pub(crate) async fn tools(&self) -> Vec<rmcp::model::Tool> {
        soon("the tools", self.client.list_all_tools()).await.unwrap()
    }

    /// Begins a call.
    pub(crate) async fn begin(&self, tool: &'static str, input: Value) -> RequestHandle<RoleClient> {
        let Value::Object(arguments) = input else { panic!("{input}") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let options = PeerRequestOptions::no_options();
        self.client.send_cancellable_request(CallToolRequest::new(params).into(), options).await.unwrap()
    }

    pub(crate) async fn calls(&self, tool: &'static str, input: Value) -> Told {
        ends(self.begin(tool, input).await).await
    }

    pub(crate) async fn leaves(self) {
        self.client.cancel().await.unwrap();
    }
}

/// The end of a call.
pub(crate) async fn ends(call: RequestHandle<RoleClient>) -> Told {
    let result = soon("the call's end", call.await_response()).await.unwrap();
    let ServerResult::CallToolResult(result) = result else { panic!("{result:?}") };
    Told::of(result)
}
