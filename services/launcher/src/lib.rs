//! Turns a start request into a running bottle and back into nothing.

pub mod backend;
pub mod limits;
pub mod state;
mod sys;
