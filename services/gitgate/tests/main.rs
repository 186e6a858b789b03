//! Stories of one bottle's git gate: real git clients on one side, real OpenSSH and HTTPS servers on the other, a bus
//! between, and a judge that the story plays.
#![cfg(test)]

mod bench;
mod client;
mod https;
mod ssh;
mod upstream;
mod world;

mod cloning;
mod hostile;
mod pushing;
mod reaching;
mod recording;
