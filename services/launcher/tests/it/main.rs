//! The launcher's stories: real boxes, a real bus. They need bubblewrap with user namespaces, nats-server and Python.

mod boundary;
mod crash;
mod launch;
mod limits;
mod seccomp;
mod support;
