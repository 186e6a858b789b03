//! The launcher's stories: real boxes, a real bus. They need bubblewrap with user namespaces, nats-server and Python.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing loudly"
)]

mod boundary;
mod claims;
mod crash;
mod docker;
mod door;
mod escape;
mod gitgate;
mod gvisor;
mod images;
mod launch;
mod leaks;
mod limits;
mod probe;
mod providers;
mod records;
mod registry;
mod seccomp;
mod sessions;
mod sidecar;
mod stopping;
mod support;
mod terminal;
