//! Subjects, message types, streams, identities, request and reply with deadlines: the contract between the parts
//! of bot-bottle, and no service logic.
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | every message, by subject |
//! | [`Bus`] | one connection: publish, announce, request, subscribe |
//! | [`WorkQueue`] | work that exactly one consumer takes, and that comes back when that consumer dies |
//! | [`Follow`] | a stream's messages from some point on, then live |
//! | [`KeyValue`], [`Objects`] | the buckets and the object store |
//! | [`layout`], [`provision()`] | which streams, buckets and consumers there are, and their creation |
//! | [`role`], [`keys`] | who may do what, and the identities that say who one is |
//! | [`server`] | the private `nats-server` of one machine |
//!
//! Nothing here spawns a task, except the private server's keeper thread and what the NATS client does inside.

pub mod catalog;
pub mod keys;
pub mod layout;
pub mod message;
pub mod role;
pub mod server;

mod bucket;
mod connection;
mod credentials;
mod direct;
mod envelope;
mod error;
mod files;
mod follow;
mod job;
mod objects;
mod provision;
mod publish;
mod queue;
mod request;
mod subscription;
mod trace;
mod watch;

pub use bucket::{KeyValue, Value};
pub use connection::{Bus, Connect, Link};
pub use credentials::{Credentials, InvalidCredentials};
pub use envelope::{Malformed, Payload};
pub use error::{BusError, Denied};
pub use follow::{Follow, Record, Since};
pub use job::Job;
pub use objects::{ObjectInfo, Objects};
pub use provision::{ProvisionError, provision};
pub use publish::Stored;
pub use queue::WorkQueue;
pub use subscription::{Delivery, Subscription};
pub use trace::Trace;
pub use watch::{Change, Watch};
