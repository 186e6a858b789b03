//! What an operator does with a proposal, whatever the surface: read it, see what an answer would change, edit it, answer.

pub mod answer;
pub mod card;
pub mod diff;
pub mod edit;
pub mod editor;
pub mod preview;

pub use answer::{Answer, Told};
pub use card::Line;
pub use editor::Editor;
