//! What the judge lets through and what it does not, with objects that real git has made.
#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it should be")]

mod asking;
mod hiding;
mod made;
mod opinions;
mod ordinary;
mod packed;
mod refs;
#[expect(dead_code, reason = "the stories of serving use the rest")]
#[path = "../ssh.rs"]
mod ssh;
mod through;
mod workflows;
mod world;
