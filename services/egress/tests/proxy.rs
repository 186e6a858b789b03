//! A proxy in this process, with its records at hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base::Secret;
use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::message::egress::{Allowed, Blocked};
use egress::{Config, Destination, Parcel, Policies};
use handover::sidecar::{EgressLimits, Uplink};
use policy::EgressPolicy;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::agent::{Via, limited};
use crate::origin::{HOST, Origin};

/// The token that the origin must see and the agent must not.
pub(crate) fn token() -> String {
    ["real", "token", "0123456789"].join("-")
}

/// What only somebody who collects secrets sends.
pub(crate) fn canary() -> String {
    ["Zq7", "canary", "Kd82Lw0PxT5rVbN3mYhGfC1"].concat()
}

pub(crate) struct Proxy {
    via: Via,
    pub(crate) policies: Policies,
    pub(crate) life: Lifecycle,
    records: mpsc::Receiver<Parcel>,
    log: Log,
    _spool: tempfile::TempDir,
}

/// A log at hand.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A route to the origin, with more keys.
pub(crate) fn route(origin: &Origin, more: Value) -> Value {
    let mut route = json!({
        "host": HOST,
        "connect_to": origin.address.to_string(),
        "allow_private": ["127.0.0.0/8"],
        "tls": { "ca": "/origin.pem" },
    });
    let Value::Object(more) = more else { panic!("keys of a route") };
    for (key, value) in more {
        match value {
            Value::Null => drop(route.as_object_mut().unwrap().remove(&key)),
            value => route[key] = value,
        }
    }
    route
}

pub(crate) fn policy(routes: &[Value]) -> EgressPolicy {
    serde_json::from_value(json!({ "routes": routes })).unwrap()
}

impl Proxy {
    /// With one route to the origin that allows everything.
    pub(crate) async fn to(origin: &Origin) -> Self {
        Self::with(origin, &[route(origin, json!({}))]).await
    }

    pub(crate) async fn with(origin: &Origin, routes: &[Value]) -> Self {
        Self::limited(origin, routes, EgressLimits::default()).await
    }

    pub(crate) async fn limited(origin: &Origin, routes: &[Value], limits: EgressLimits) -> Self {
        let spool = tempfile::tempdir().unwrap();
        Self::of(config(origin, routes, limits, spool.path()), spool).await
    }

    pub(crate) async fn of(config: Config, spool: tempfile::TempDir) -> Self {
        let (parcels, records) = mpsc::channel(10_000);
        let life = Lifecycle::new();
        let log = Log::default();
        let mut proxy = egress::build(config, Destination::Channel(parcels), Clock::System, &life).unwrap();
        proxy.log_to(log.clone());
        let (certificate, policies) = (proxy.certificate().to_owned(), proxy.policies());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        proxy.run(vec![listener]);
        Self { via: Via { address, certificate }, policies, life, records, log, _spool: spool }
    }

    /// The next refusal that is recorded.
    pub(crate) async fn blocked(&mut self) -> Blocked {
        loop {
            if let Parcel::Blocked(blocked) = self.parcel().await {
                return *blocked;
            }
        }
    }

    /// The next batch of allowed requests.
    pub(crate) async fn allowed(&mut self) -> Vec<Allowed> {
        loop {
            if let Parcel::Log(log) = self.parcel().await {
                return log.lines;
            }
        }
    }

    /// The next record, as it goes to the bus.
    pub(crate) async fn record(&mut self) -> String {
        match self.parcel().await {
            Parcel::Blocked(blocked) => serde_json::to_string(&blocked).unwrap(),
            Parcel::Log(log) => serde_json::to_string(&log).unwrap(),
        }
    }

    /// What it has logged so far; of every record that came out, its line.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// The next record, of whatever kind.
    pub(crate) async fn parcel(&mut self) -> Parcel {
        limited(self.records.recv()).await.expect("the proxy runs")
    }
}

impl std::ops::Deref for Proxy {
    type Target = Via;
    fn deref(&self) -> &Via {
        &self.via
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.life.stop();
    }
}

pub(crate) fn config(
    origin: &Origin,
    routes: &[Value],
    limits: EgressLimits,
    spool: &std::path::Path,
) -> Config {
    Config {
        bottle: "agent-abcde".parse().unwrap(),
        revision: 1,
        policy: policy(routes),
        secrets: BTreeMap::from([("API_TOKEN".to_owned(), Secret::new(token()))]),
        canary: Some(Secret::new(canary())),
        has_door: true,
        authorities: BTreeMap::from([("/origin.pem".to_owned(), origin.authority.clone())]),
        rules: None,
        uplink: Uplink::default(),
        spool: spool.to_owned(),
        metrics: None,
        trace: bus::Trace::random(),
        collector: None,
        limits,
    }
}
