//! `supervise`: answering what bottles ask for, on a screen (S5).
//!
//! [`state`] knows what is shown and what a key does, [`input`] which key is which action, [`view`] draws, and [`run()`] has
//! the terminal and the bus. The first three are pure.

pub mod input;
mod run;
pub mod state;
pub mod view;

pub use run::run;

#[cfg(test)]
mod tests;
