//! The bus with a real `nats-server`.
#![cfg(test)]

mod audit;
mod bucket;
mod bypass;
mod dedup;
mod docs;
mod examples;
mod follow;
mod link;
mod objects;
mod permissions;
mod private;
mod queue;
mod request;
mod support;
