//! What must hold for any bytes whatever. Each module has one `check`, which panics where it does not: the programs in
//! `fuzz/targets` give it to libFuzzer, and tests give it the kept inputs and what is near them.
#![expect(clippy::expect_used, reason = "a check panics where something does not hold")]

pub mod codings;
pub mod commands;
mod cut;
pub mod events;
pub mod frames;
pub mod injection;
pub mod objects;
pub mod request;
pub mod rules;
pub mod secrets;
