//! The operator's command line, and the host services together on one machine.

pub mod args;
pub mod commands;
pub mod context;
pub mod deciding;
pub mod demo;
pub mod exit;
pub mod host;
pub mod interrupt;
pub mod learn;
pub mod output;
pub mod picker;
pub mod supervise;
pub mod terminal;
pub mod words;
