//! What a launcher and a bottle's sidecars say to each other over an inherited Unix socket: secrets in, readiness
//! out, listening sockets across (design: launch steps 3 and 4). Never on argv, never in the environment, never on
//! the bus (invariant 2).

pub mod gitgate;
pub mod serving;
pub mod sidecar;
pub mod spool;

pub use boundary::channel;
pub use boundary::channel::{Channel, ChannelError};
