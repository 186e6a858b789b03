//! One bottle's flood: the memory of its proxy stays bounded, and another bottle's proxy serves on meanwhile.

use handover::sidecar::{EgressLimits, SidecarAnswer};
use http::Request;
use serde_json::json;
use tokio::net::TcpStream;

use crate::agent::{self, Http1, Via, empty, read};
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::route;
use crate::sidecar::{MIB, Sidecar};

/// Connections that the flooded proxy takes at once, and those that come.
const TAKEN: usize = 48;
const COMING: usize = 120;
/// What it may grow by.
const MOST: u64 = 32 * MIB;

struct Flooded {
    sidecar: Sidecar,
    via: Via,
}

impl Flooded {
    fn new(origin: &Origin) -> Self {
        let mut sidecar = Sidecar::start();
        let limits = EgressLimits { connections: TAKEN, ..EgressLimits::default() };
        let routes = [route(origin, json!({ "scheme": "http", "tls": null }))];
        let SidecarAnswer::Ready { certificate } = sidecar.hand_over_with(origin, &routes, limits) else {
            panic!("not ready")
        };
        let via = Via { address: sidecar.serve(), certificate: certificate.unwrap() };
        Self { sidecar, via }
    }

    /// Requests one after the other, over a connection.
    async fn serves(&self, count: usize) {
        let mut agent = Http1::over(agent::dial(&self.via).await).await;
        for _ in 0..count {
            let request = Request::get(format!("http://{HOST}/")).header("host", HOST);
            assert_eq!(read(agent.send(request.body(empty()).unwrap()).await).await.0, 200);
        }
    }
}

/// Sends what never comes to an end over many connections; they stay open with what is returned.
async fn flood(via: &Via, begin: &str, more: &[u8]) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..COMING {
        let stream = agent::dial(via).await;
        let bytes = [begin.as_bytes(), more].concat();
        // Connections that wait to be accepted take what fits into the kernel's buffers.
        for chunk in bytes.chunks(4096) {
            match stream.try_write(chunk) {
                Ok(_) => {}
                // Nothing more fits, or it was refused already.
                Err(_) => break,
            }
        }
        connections.push(stream);
    }
    connections
}

async fn a_flood_of(begin: &str, more: &[u8]) {
    let origin = Origin::start(Speaks::Plain).await;
    let (flooded, neighbour) = (Flooded::new(&origin), Flooded::new(&origin));
    flooded.serves(1).await;
    let before = flooded.sidecar.peak();
    let connections = flood(&flooded.via, begin, more).await;
    // While all of them are open.
    for _ in 0..5 {
        neighbour.serves(5).await;
    }
    drop(connections);
    // It comes to itself, however many waited.
    flooded.serves(1).await;
    let grown = flooded.sidecar.peak() - before;
    assert!(grown < MOST, "the flooded proxy grew by {} MiB", grown / MIB);
}

#[tokio::test]
async fn heads_without_end() {
    let headers = "x-flood: 0123456789012345678901234567890123456789\r\n".repeat(1_200);
    a_flood_of(&format!("GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n"), headers.as_bytes()).await;
}

#[tokio::test]
async fn bodies_that_stand_still() {
    let begin = format!("POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10000000\r\n\r\n");
    a_flood_of(&begin, &[b'x'; 200_000]).await;
}

#[tokio::test]
async fn handshakes_that_stand_still() {
    let begin = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
    a_flood_of(&begin, b"\x16\x03\x01\x10\x00").await;
}
