//! What no git sends: refused for a reason, with nothing left in mirror or quarantine, and a gate that lives on.

use std::io::Write as _;

use bytes::Bytes;
use gitgate::pktline;
use handover::gitgate::GateLimits;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, git, gits};
use crate::https::gzip;
use crate::world::{Event, World, limited, until};

const ZERO: &str = "0000000000000000000000000000000000000000";
const CAPABILITIES: &str = "report-status side-band-64k";

/// What a raw client hears.
async fn ask(
    world: &World,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, String) {
    let http: Http<HttpConnector, Full<Bytes>> = Http::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(world.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = limited(http.request(request.body(Full::new(body.into())).unwrap())).await.unwrap();
    let status = reply.status();
    let text = limited(reply.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&text).into_owned())
}

const KIND: (&str, &str) = ("content-type", "application/x-git-receive-pack-request");

async fn push(world: &World, body: Vec<u8>) -> String {
    let (status, text) = ask(world, "POST", "tools/git-receive-pack", &[KIND], body).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    text
}

/// One command and what follows it.
fn commands(lines: &[String], rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    lines.iter().for_each(|line| pktline::put(&mut body, line.as_bytes()));
    pktline::flush(&mut body);
    body.extend_from_slice(rest);
    body
}

fn one(rest: &[u8]) -> Vec<u8> {
    commands(&[format!("{ZERO} {} refs/heads/x\0{CAPABILITIES}", "a".repeat(40))], rest)
}

/// A pack with objects of these kinds and contents, and a digest that fits.
async fn pack(count: u32, objects: &[(u8, u64, Vec<u8>)]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&count.to_be_bytes());
    for (kind, size, content) in objects {
        let mut size = *size;
        let mut byte = (kind << 4) | (size & 15) as u8;
        size >>= 4;
        while size > 0 {
            pack.push(byte | 0x80);
            byte = (size & 0x7f) as u8;
            size >>= 7;
        }
        pack.push(byte);
        pack.extend_from_slice(content);
    }
    let digest = sha1(&pack).await;
    pack.extend_from_slice(&digest);
    pack
}

async fn sha1(text: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let said = tokio::process::Command::new("sha1sum").arg(file.path()).output().await.unwrap();
    hex::decode(&String::from_utf8(said.stdout).unwrap()[..40]).unwrap()
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// Upstream is as it was, nothing lies in quarantine, and an honest push goes through.
async fn is_unharmed(world: &World, before: &str, honest: &str) {
    assert_eq!(world.upstream.refs("tools").await, before);
    assert!(world.quarantined().is_empty(), "{:?}", world.quarantined());
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
    client.commit("work", honest, "more\n").await;
    client.git("work", &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{honest}")]).await;
}

#[tokio::test]
async fn lists_of_commands_that_no_git_sends() {
    let world = World::new().await;
    let before = world.upstream.refs("tools").await;
    let new = "a".repeat(40);
    let many: Vec<String> = (0..100_000)
        .map(|n| {
            format!(
                "{ZERO} {new} refs/heads/{n}{}",
                if n == 0 { format!("\0{CAPABILITIES}") } else { String::new() }
            )
        })
        .collect();
    let line = |name: &str| format!("{ZERO} {new} {name}\0{CAPABILITIES}");
    for (body, why) in [
        (commands(&many, b""), "touches more than 1000 refs"),
        (
            commands(&[line("refs/heads/a\u{1b}[2J")], b""),
            "refs/heads/a\\u{1b}[2J: git does not take such a name",
        ),
        (
            commands(&[line("refs/heads/a"), format!("{ZERO} {new} refs/heads/a")], b""),
            "refs/heads/a is there twice",
        ),
        (
            commands(&[format!("{}-more", line("refs/heads/a"))], b""),
            "the capability side-band-64k-more was not offered",
        ),
        (commands(&[format!("{} push-cert=x", line("refs/heads/a"))], b""), "signed pushes are not taken"),
        (commands(&[format!("{} magic", line("refs/heads/a"))], b""), "the capability magic was not offered"),
        (commands(&[line("refs/heads/a\r\nx")], b""), "git does not take such a name"),
        (b"zzzz".to_vec(), "begins with a length"),
        (b"00".to_vec(), "ended before its list of commands did"),
        (b"0001".to_vec(), "a mark in it that belongs elsewhere"),
        (one(b"no pack at all"), "what follows the list of commands is no pack"),
        (one(b"PACK"), "what follows the list of commands is no pack"),
        (
            commands(&[format!("{new} {ZERO} refs/heads/a\0{CAPABILITIES}")], b"PACK"),
            "upstream has another refs/heads/a",
        ),
    ] {
        let said = push(&world, body).await;
        assert!(said.contains(why), "{why}: {said}");
    }
    let events = world.host.events(13).await;
    assert!(events.iter().all(|event| matches!(event, Event::Rejected(_))));
    assert_eq!(world.gate.bench.count(), 0);
    is_unharmed(&world, &before, "honest").await;
}

#[tokio::test]
async fn packs_that_no_git_sends() {
    let limits =
        GateLimits { objects: 1000, object_bytes: 64 << 20, pack_bytes: 8 << 20, ..GateLimits::default() };
    let world = World::with(limits).await;
    let before = world.upstream.refs("tools").await;
    let blob = |text: &[u8]| (3, text.len() as u64, deflated(text));
    let whole = pack(1, &[blob(b"hello\n")]).await;
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut longer = whole.clone();
    longer.extend_from_slice(b"and more");
    // Copies the whole of its base sixteen times, into a base of its own, again and again.
    let base = vec![b'x'; 1 << 20];
    let mut bomb = vec![blob(&base)];
    let (mut size, mut behind) = (1_u64 << 20, 0_u64);
    for _ in 0..4 {
        let mut delta = [varint(size), varint(size * 16)].concat();
        for part in 0..16 {
            let _ = part;
            let (mut at, mut left) = (0_u64, size);
            while left > 0 {
                let length = left.min(0xff_ffff);
                delta.push(0xff);
                delta.extend_from_slice(&(at as u32).to_le_bytes());
                delta.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
                (at, left) = (at + length, left - length);
            }
        }
        let _ = &mut behind;
        let offset = bomb
            .last()
            .map(|(_, length, content): &(u8, u64, Vec<u8>)| header(*length) + content.len() as u64)
            .unwrap();
        let mut content = offset_of(offset);
        content.extend_from_slice(&deflated(&delta));
        bomb.push((6, delta.len() as u64, content));
        size *= 16;
    }
    let bomb = pack(5, &bomb).await;
    let huge = pack(1, &[(3, 1 << 40, deflated(b"small"))]).await;
    // The commit that the command names is in none of them.
    for (rest, why) in [
        (whole[..20].to_vec(), "git refuses the objects"),
        (damaged, "git refuses the objects"),
        // What follows a pack is not read; the pack does not hold what the command names.
        (longer, "names aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, and neither brings it"),
        (pack(2, &[blob(b"hello\n")]).await, "git refuses the objects"),
        (pack(1001, &[]).await, "brings 1001 objects, and one may bring 1000"),
        (bomb, "unpacking them takes more memory"),
        (huge, "git refuses the objects"),
    ] {
        let said = push(&world, one(&rest)).await;
        assert!(said.contains(why) && said.contains("ng refs/heads/x"), "{why}: {said}");
    }
    assert_eq!(world.gate.bench.count(), 0);
    is_unharmed(&world, &before, "honest").await;
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            text.push(byte);
            return text;
        }
        text.push(byte | 0x80);
    }
}

/// Bytes of an object's header in a pack.
fn header(size: u64) -> u64 {
    let mut rest = size >> 4;
    let mut length = 1;
    while rest > 0 {
        rest >>= 7;
        length += 1;
    }
    length
}

/// How far before an object its base begins, as a pack writes it.
fn offset_of(mut distance: u64) -> Vec<u8> {
    let mut text = vec![(distance & 0x7f) as u8];
    while distance > 0x7f {
        distance = (distance >> 7) - 1;
        text.insert(0, (distance & 0x7f) as u8 | 0x80);
    }
    text
}

#[tokio::test]
async fn trees_that_would_be_something_else_on_a_disk() {
    let world = World::new().await;
    let before = world.upstream.refs("tools").await;
    for (git, name) in
        gits().iter().flat_map(|git| ["..", ".git", ".GIT", "git~1", "."].map(|name| (git, name)))
    {
        let client = Client::new(git);
        client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
        let tree = client.git("work", &["rev-parse", "HEAD^{tree}"]).await;
        let entry = [format!("40000 {name}\0").into_bytes(), hex::decode(&tree).unwrap()].concat();
        std::fs::write(client.path("work/tree"), entry).unwrap();
        let bad = client.git("work", &["hash-object", "-w", "-t", "tree", "--literally", "tree"]).await;
        let commit = client.git("work", &["commit-tree", "-m", "bad", "-p", "HEAD", &bad]).await;
        let said = client.refused("work", &["push", "origin", &format!("{commit}:refs/heads/x")]).await;
        assert!(said.contains("remote: git refuses the objects of this push:"), "{name}: {said}");
    }
    assert_eq!(world.gate.bench.count(), 0);
    is_unharmed(&world, &before, "honest").await;
}

#[tokio::test]
async fn a_push_over_a_limit_says_which() {
    let limits = GateLimits { pack_bytes: 2 << 20, refs: 2, objects: 5, ..GateLimits::default() };
    let world = World::with(limits).await;
    let before = world.upstream.refs("tools").await;
    for git in gits() {
        let client = Client::new(&git);
        client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
        let call = ["push", "origin", "HEAD:refs/heads/a", "HEAD:refs/heads/b", "HEAD:refs/heads/c"];
        let said = client.refused("work", &call).await;
        assert!(said.contains("remote: this push touches more than 2 refs"), "{said}");
        std::fs::write(client.path("work/noise"), crate::client::noise(3_500_000)).unwrap();
        client.commit("work", "more", "more\n").await;
        let said = client.refused("work", &["push", "origin", "HEAD:refs/heads/a"]).await;
        assert!(said.contains("remote: this push is larger than 2097152 bytes"), "{said}");
        client.git("work", &["reset", "--quiet", "--hard", "HEAD~1"]).await;
        for name in ["p", "q"] {
            client.commit("work", name, name).await;
        }
        let said = client.refused("work", &["push", "origin", "HEAD:refs/heads/a"]).await;
        assert!(said.contains("remote: this push brings 6 objects, and one may bring 5"), "{said}");
    }
    is_unharmed(&world, &before, "honest").await;
}

#[tokio::test]
async fn a_client_that_stops_midway_leaves_nothing() {
    let world = World::new().await;
    let before = world.upstream.refs("tools").await;
    let mut stream = TcpStream::connect(("127.0.0.1", world.gate.port)).await.unwrap();
    let body = one(b"PACK\0\0\0\x02\0\0\0\x05some");
    let head = format!(
        "POST /tools/git-receive-pack HTTP/1.1\r\nHost: gitgate\r\nContent-Type: {}\r\nContent-Length: 100000\r\n\r\n",
        KIND.1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let quarantine = world.spool.path().join("quarantine");
    let is_empty = || std::fs::read_dir(&quarantine).unwrap().next().is_none();
    // Until git waits for the rest.
    until(&quarantine, || !is_empty()).await;
    drop(stream);
    let events = world.host.events(1).await;
    let Event::Rejected(rejected) = &events[0] else { panic!("{events:?}") };
    assert_eq!(rejected.reason, "the client went away in the middle");
    until(&quarantine, is_empty).await;
    is_unharmed(&world, &before, "honest").await;
}

#[tokio::test]
async fn requests_that_are_none_of_gits() {
    let world = World::new().await;
    let refs = "tools/info/refs?service=git-upload-pack";
    for (method, path, headers, status, why) in [
        (
            "GET",
            refs,
            [("host", "evil.example")].as_slice(),
            StatusCode::MISDIRECTED_REQUEST,
            "is called gitgate",
        ),
        ("GET", "tools/objects/info/packs", &[], StatusCode::FORBIDDEN, "smart HTTP only"),
        (
            "POST",
            "tools/info/lfs/objects/batch",
            &[],
            StatusCode::NOT_IMPLEMENTED,
            "{\"message\":\"git LFS is not",
        ),
        ("PUT", "tools/git-receive-pack", &[], StatusCode::METHOD_NOT_ALLOWED, "method"),
        ("POST", "tools/git-receive-pack", &[], StatusCode::UNSUPPORTED_MEDIA_TYPE, "content type"),
        ("GET", "", &[], StatusCode::NOT_FOUND, "http://gitgate:9420/NAME"),
        (
            "GET",
            "no/info/refs?service=git-upload-pack",
            &[],
            StatusCode::NOT_FOUND,
            "no repository no; it has",
        ),
    ] {
        let (said, text) = ask(&world, method, path, headers, Vec::new()).await;
        assert_eq!(said, status, "{path}: {text}");
        assert!(text.contains(why), "{path}: {text}");
    }
    // A body that unpacks to more than a request may have, and one that is not packed at all.
    let kind = ("content-type", "application/x-git-upload-pack-request");
    let packed = [kind, ("content-encoding", "gzip"), ("git-protocol", "version=2")];
    let bomb = gzip(
        &[b"0014command=ls-refs\n0001".to_vec(), b"001cref-prefix refs/heads/a\n".repeat(3 << 20)].concat(),
    );
    for body in [bomb, b"not gzip".to_vec()] {
        let (status, text) = ask(&world, "POST", "tools/git-upload-pack", &packed, body).await;
        assert!(status == StatusCode::OK && text.contains("ERR the request"), "{status} {text}");
    }
    let other = [kind, ("content-encoding", "br")];
    let (_, text) = ask(&world, "POST", "tools/git-upload-pack", &other, Vec::new()).await;
    assert!(text.contains("ERR the request's body is not packed as gzip"), "{text}");
}

#[tokio::test]
async fn an_object_that_upstream_does_not_show_cannot_be_asked_for() {
    let world = World::new().await;
    // A ref that upstream hides, with a commit of its own.
    let client = Client::new(&git());
    client
        .git(
            ".",
            &["clone", "--quiet", &format!("file://{}", world.upstream.path("tools").display()), "work"],
        )
        .await;
    let hidden = client.commit("work", "hidden", "hidden\n").await;
    client.git("work", &["push", "--quiet", "origin", "HEAD:refs/hidden/x"]).await;
    world.upstream.git("tools", &["config", "transfer.hideRefs", "refs/hidden"]).await;
    for version in ["0", "2"] {
        let version = format!("protocol.version={version}");
        let call = ["-c", &version, "fetch", &world.url("tools"), &hidden];
        let other = Client::new(&git());
        other.git(".", &["init", "--quiet", "work"]).await;
        let said = other.refused("work", &call).await;
        assert!(said.contains("not our ref") || said.contains("unadvertised"), "{said}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_and_a_connection_that_says_nothing_are_closed() {
    let world = World::with(GateLimits { idle_seconds: 1, ..GateLimits::default() }).await;
    for text in ["", "GET /tools/info/refs HTTP/1.1\r\nHost: gitgate\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", world.gate.port)).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        limited(stream.read_to_end(&mut rest)).await.unwrap();
    }
}
