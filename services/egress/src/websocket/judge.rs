//! What decides about the messages of one direction.

use std::future::Future;

use super::frame::Kind;
use crate::refusal::Refusal;

/// See the module. A message is judged as a whole; one that is too large for that in stretches.
pub(super) trait Judge {
    /// Whether messages of this kind have to be looked at.
    fn looks_at(&self, kind: Kind) -> bool;

    /// Judges a message. What must not go on, and can be blotted out, is.
    ///
    /// # Errors
    /// It must not go on.
    fn judge(&mut self, kind: Kind, message: &mut [u8]) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes the first bytes of a large message.
    ///
    /// # Errors
    /// They must not go on.
    fn begin(&mut self, kind: Kind, first: &[u8]) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes more of it.
    ///
    /// # Errors
    /// It must not go on.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal>;

    /// That was all of it.
    ///
    /// # Errors
    /// Its end must not go on.
    fn end(&mut self) -> Result<(), Refusal>;

    /// What may go on next; `None` before more has come.
    ///
    /// # Errors
    /// What follows must not go on.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, Refusal>> + Send;
}
