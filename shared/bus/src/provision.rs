//! Creating what the layout says, as often as one likes.

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context, ErrorCode};
use serde::Serialize;

use crate::connection::Bus;
use crate::layout::{
    BUCKETS, BucketSpec, DUPLICATE_WINDOW, Keep, Layout, OBJECTS, ObjectsSpec, Queue, STREAMS, StreamSpec,
};

/// Why the streams are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The server refused one.
    #[error("cannot create or update {what} on the bus")]
    Server {
        /// The stream or consumer.
        what: String,
        /// Its words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server's disk is too full: it sets room for what is bounded aside.
    #[error(
        "the bus has no room for {0}: it sets 3 GiB of its disk aside for output and workspaces, and takes three quarters of \
         what is free at most; free some space where it stores (`bus` in the home, if it is a private one), 4 GiB at least, \
         and start it again"
    )]
    NoRoom(String),
    /// The server took it, but made something else of it: old servers pass over settings that they do not know.
    #[error(
        "the bus made something else of {what} than was asked; it differs in {}: is the server older than {}?",
        fields.join(", "),
        crate::server::OLDEST
    )]
    Different {
        /// The stream or consumer.
        what: String,
        /// The settings that differ.
        fields: Vec<String>,
    },
}

/// Copies of each stream on a cluster: one host may be lost without losing a message or stopping.
const CLUSTER_COPIES: usize = 3;

/// Creates every stream, work queue, bucket and object store of [`crate::layout`], or brings them to what they should
/// be. Needs the admin role.
///
/// # Errors
/// The server refuses one, or its echo differs from what was asked.
pub async fn provision(bus: &Bus, layout: &Layout) -> Result<(), ProvisionError> {
    let context = jetstream::new(bus.client.clone());
    ready(bus).await;
    let clustered = bus.client.server_info().cluster.is_some();
    let copies = layout.replicas.unwrap_or(if clustered { CLUSTER_COPIES } else { 1 });
    for spec in STREAMS {
        ensure_stream(&context, stream(spec, copies)).await?;
    }
    for spec in BUCKETS {
        ensure_stream(&context, bucket(spec, copies)).await?;
    }
    for spec in OBJECTS {
        ensure_stream(&context, objects(spec, copies)).await?;
    }
    for queue in &layout.queues {
        ensure_consumer(&context, queue, copies).await?;
    }
    Ok(())
}

/// JetStream answers a moment later than the server that was just started.
async fn ready(bus: &Bus) {
    let end = tokio::time::Instant::now() + bus.deadline;
    while tokio::time::Instant::now() < end {
        let ask = async_nats::Request::new();
        if bus.ask("asking for JetStream", "$JS.API.INFO".into(), ask, bus.deadline).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn ensure_stream(context: &Context, asked: Config) -> Result<(), ProvisionError> {
    let what = format!("stream {}", asked.name);
    let info = context.create_or_update_stream(asked.clone()).await.map_err(|error| {
        let what = what.clone();
        match error.kind() {
            CreateStreamErrorKind::JetStream(told)
                if told.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED =>
            {
                ProvisionError::NoRoom(what)
            }
            _ => ProvisionError::Server { what, source: Box::new(error) },
        }
    })?;
    same(what.clone(), &asked, &info.config)
}

async fn ensure_consumer(context: &Context, queue: &Queue, copies: usize) -> Result<(), ProvisionError> {
    let what = format!("consumer {} of stream {}", queue.consumer, queue.stream);
    let asked = pull::Config {
        durable_name: Some(queue.consumer.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: queue.ack_wait,
        max_ack_pending: queue.max_ack_pending,
        max_deliver: queue.max_deliver,
        num_replicas: copies,
        ..pull::Config::default()
    };
    let made = context.create_consumer_on_stream(asked.clone(), queue.stream).await;
    let made =
        made.map_err(|error| ProvisionError::Server { what: what.clone(), source: Box::new(error) })?;
    let echo = &made.cached_info().config;
    let echo = (&echo.durable_name, echo.ack_wait, echo.max_ack_pending, echo.max_deliver, echo.num_replicas);
    let asked =
        (&asked.durable_name, asked.ack_wait, asked.max_ack_pending, asked.max_deliver, asked.num_replicas);
    if echo == asked {
        return Ok(());
    }
    Err(ProvisionError::Different { what, fields: vec![format!("asked {asked:?}, made {echo:?}")] })
}

/// Compares every setting that was asked for with the server's echo.
fn same(what: String, asked: &impl Serialize, echo: &impl Serialize) -> Result<(), ProvisionError> {
    let value = |config: Result<serde_json::Value, _>| {
        config.map_err(|error: serde_json::Error| ProvisionError::Server {
            what: what.clone(),
            source: Box::new(error),
        })
    };
    let (asked, echo) = (value(serde_json::to_value(asked))?, value(serde_json::to_value(echo))?);
    let fields: Vec<String> = asked
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, value)| !value.is_null() && echo.get(field.as_str()) != Some(value))
        .map(|(field, _)| field.clone())
        .collect();
    if fields.is_empty() { Ok(()) } else { Err(ProvisionError::Different { what, fields }) }
}

fn common(name: String, subjects: Vec<String>, copies: usize) -> Config {
    Config {
        name,
        subjects,
        storage: StorageType::File,
        num_replicas: copies,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        ..Config::default()
    }
}

fn stream(spec: &StreamSpec, copies: usize) -> Config {
    let subjects = spec.subjects.iter().map(|&subject| subject.to_owned()).collect();
    let mut config = common(spec.name.to_owned(), subjects, copies);
    match spec.keep {
        Keep::Work => config.retention = RetentionPolicy::WorkQueue,
        Keep::Young { age, bytes } => {
            config.max_age = age;
            config.max_bytes = bytes.unwrap_or(-1);
        }
        Keep::Forever => {
            config.deny_delete = true;
            config.deny_purge = true;
        }
    }
    config
}

fn bucket(spec: &BucketSpec, copies: usize) -> Config {
    let name = spec.name;
    Config {
        max_messages_per_subject: spec.history,
        max_age: spec.age.unwrap_or_default(),
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_message_ttl: true,
        deny_delete: true,
        ..common(format!("KV_{name}"), vec![format!("$KV.{name}.>")], copies)
    }
}

fn objects(spec: &ObjectsSpec, copies: usize) -> Config {
    let name = spec.name;
    Config {
        max_age: spec.age,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_message_ttl: true,
        max_bytes: spec.bytes.unwrap_or(-1),
        ..common(format!("OBJ_{name}"), vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")], copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_that_the_server_passed_over_is_noticed() {
        let asked = json!({"name": "S", "deny_purge": true, "max_age": 5, "placement": null});
        let same_but_more = json!({"name": "S", "deny_purge": true, "max_age": 5, "sealed": false});
        assert!(same("stream S".into(), &asked, &same_but_more).is_ok());
        let old_server = json!({"name": "S", "max_age": 0});
        assert_eq!(
            same("stream S".into(), &asked, &old_server).unwrap_err().to_string(),
            "the bus made something else of stream S than was asked; it differs in deny_purge, max_age: is the server older than 2.11.0?"
        );
    }
}
