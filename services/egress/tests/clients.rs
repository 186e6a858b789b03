//! Real clients through the proxy, with nothing but the variables that a bottle sets.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::agent::limited;
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::{Proxy, route, token};

struct Bottle {
    proxy: Proxy,
    home: TempDir,
}

impl Bottle {
    async fn new(origin: &Origin, more: serde_json::Value) -> Self {
        let proxy = Proxy::with(origin, &[route(origin, more)]).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("ca.pem"), &proxy.certificate).unwrap();
        Self { proxy, home }
    }

    /// Runs a program as an agent would.
    async fn run(&self, argv: &[&str]) -> Output {
        let ca = self.home.path().join("ca.pem");
        let url = format!("http://{}", self.proxy.address);
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).env_clear().env("PATH", std::env::var("PATH").unwrap());
        command.env("HOME", self.home.path()).current_dir(self.home.path()).kill_on_drop(true);
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            command.env(name, &url);
        }
        for name in
            ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"]
        {
            command.env(name, &ca);
        }
        limited(command.stdin(std::process::Stdio::null()).output()).await.unwrap()
    }
}

fn out(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn narrow() -> serde_json::Value {
    json!({
        "auth": { "scheme": "Bearer", "token_ref": "API_TOKEN" },
        "matches": [{ "paths": [{ "type": "prefix", "value": "/v1" }] }],
    })
}

async fn speaks(argv: impl Fn(&str) -> Vec<String>) {
    let origin = Origin::start(Speaks::Tls).await;
    let bottle = Bottle::new(&origin, narrow()).await;
    for (path, wanted) in [("/v1/x", "hello from the origin"), ("/admin", "no-match")] {
        let argv = argv(&format!("https://{HOST}{path}"));
        let shown = out(&bottle.run(&argv.iter().map(String::as_str).collect::<Vec<_>>()).await);
        assert!(shown.contains(wanted), "{path}: {shown}");
    }
    assert_eq!(origin.seen().len(), 1);
    assert_eq!(origin.last().header("authorization").unwrap(), format!("Bearer {}", token()));
}

#[tokio::test]
async fn curl() {
    speaks(|url| ["curl", "-sS", url].map(str::to_owned).to_vec()).await;
    speaks(|url| ["curl", "-sS", "--http1.1", url].map(str::to_owned).to_vec()).await;
}

#[tokio::test]
async fn python() {
    let script = "import sys, urllib.request, urllib.error\n\
                  try: print(urllib.request.urlopen(sys.argv[1], timeout=15).read().decode())\n\
                  except urllib.error.HTTPError as e: print(e.code, e.read().decode())\n";
    speaks(|url| ["python3", "-c", script, url].map(str::to_owned).to_vec()).await;
}

#[tokio::test]
async fn node() {
    let script = "const http = require('http'), tls = require('tls'), https = require('https');\n\
        const url = new URL(process.argv[1]), proxy = new URL(process.env.HTTPS_PROXY);\n\
        http.request({host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: url.hostname + ':443'})\n\
          .on('connect', (_, socket) => https.get({host: url.hostname, port: 443, path: url.pathname,\n\
            createConnection: () => tls.connect({socket, servername: url.hostname})},\n\
            r => { r.pipe(process.stdout); r.on('end', () => socket.destroy()); })).end();";
    speaks(|url| ["node", "-e", script, url].map(str::to_owned).to_vec()).await;
}

#[tokio::test]
async fn git_clones_where_the_route_says_so_and_never_pushes() {
    let server = GitServer::start().await;
    let to = |fetch: bool| json!({ "scheme": "http", "tls": null, "connect_to": server.address, "git": { "fetch": fetch } });
    let origin = Origin::start(Speaks::Plain).await;
    let url = format!("http://{HOST}/tools.git");

    let bottle = Bottle::new(&origin, to(false)).await;
    let cloned = bottle.run(&["git", "clone", &url]).await;
    assert!(!cloned.status.success());
    assert!(out(&cloned).contains("git: {fetch: true}"), "{}", out(&cloned));

    let bottle = Bottle::new(&origin, to(true)).await;
    let cloned = bottle.run(&["git", "clone", "-q", &url]).await;
    assert!(cloned.status.success(), "{}", out(&cloned));
    let script = "cd tools && cat file && echo more >> file && \
                  git -c user.name=a -c user.email=a@b commit -qam more && git push origin HEAD";
    let pushed = bottle.run(&["sh", "-c", script]).await;
    assert!(!pushed.status.success());
    let shown = out(&pushed);
    assert!(shown.contains("hello") && shown.contains("http://gitgate:9420"), "{shown}");
}

/// `git http-backend` behind the smallest CGI server that does.
struct GitServer {
    address: String,
    _home: TempDir,
    _server: tokio::process::Child,
}

impl GitServer {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        make_repository(home.path());
        let script = home.path().join("server.py");
        std::fs::write(&script, SERVER).unwrap();
        let mut server = Command::new("python3")
            .arg(&script)
            .arg(home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .kill_on_drop(true)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines =
            tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(server.stdout.take().unwrap()));
        let address = limited(lines.next_line()).await.unwrap().unwrap();
        Self { address, _home: home, _server: server }
    }
}

fn make_repository(home: &Path) {
    let work: PathBuf = home.join("work");
    let script = "git init -q -b main \"$1\" && cd \"$1\" && echo hello > file && git add file && \
                  git -c user.name=a -c user.email=a@b commit -qm first && git clone -q --bare \"$1\" \"$2\" && \
                  git -C \"$2\" config http.receivepack true";
    let made = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&work)
        .arg(home.join("tools.git"))
        .env("HOME", home)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

const SERVER: &str = r#"
import os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def run(self):
        path, _, query = self.path.partition('?')
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=sys.argv[1], GIT_HTTP_EXPORT_ALL='1', REQUEST_METHOD=self.command,
                   PATH_INFO=path, QUERY_STRING=query, CONTENT_TYPE=self.headers.get('Content-Type', ''),
                   HTTP_CONTENT_ENCODING=self.headers.get('Content-Encoding', ''), CONTENT_LENGTH=str(len(body)),
                   GIT_PROTOCOL=self.headers.get('Git-Protocol', ''))
        done = subprocess.run(['git', 'http-backend'], input=body, env=env, capture_output=True).stdout
        head, _, content = done.partition(b'\r\n\r\n')
        fields = [line.decode().split(': ', 1) for line in head.split(b'\r\n')]
        self.send_response(int(dict(fields).get('Status', '200').split()[0]))
        for name, value in fields:
            if name != 'Status': self.send_header(name, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    do_GET = do_POST = run
server = HTTPServer(('127.0.0.1', 0), Handler)
print('127.0.0.1:%d' % server.server_port, flush=True)
server.serve_forever()
"#;
