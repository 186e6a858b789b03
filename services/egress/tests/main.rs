//! Stories of one bottle's proxy: a real proxy between real clients and a local origin with its own authority.
#![cfg(test)]

mod agent;
mod origin;
mod proxy;

mod asking;
mod bodies;
mod certificates;
mod clients;
mod floods;
mod hostile;
mod identity;
mod incoming;
mod local;
mod logging;
mod metrics;
mod policies;
mod protocols;
mod records;
mod requests;
mod scanning;
mod sidecar;
mod spans;
mod upgrades;
mod websocket;
