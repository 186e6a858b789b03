//! What the origin says: judged as its answers are (E10), message by message.

use super::frame::Kind;
use super::judge::Judge;
use crate::incoming::{Judge as Judgement, Screen, Watch};
use crate::inspect::Inspection;
use crate::refusal::Refusal;

/// See the module.
pub(super) struct Arriving<'a> {
    screen: &'a Screen,
    watch: Watch,
    inspection: Inspection,
    /// The judgement of a large message, and what it has let pass.
    large: Option<Judgement>,
    ready: Vec<u8>,
}

impl<'a> Arriving<'a> {
    pub(super) fn new(screen: &'a Screen, watch: Watch, inspection: Inspection) -> Self {
        Self { screen, watch, inspection, large: None, ready: Vec::new() }
    }

    /// `None` where there is nothing to look for.
    fn judgement(&self, kind: Kind) -> Option<Judgement> {
        self.screen.message(self.watch, kind == Kind::Text)
    }

    fn note(&self, judgement: &mut Judgement) {
        judgement.found.drain(..).for_each(|found| self.inspection.note(found));
    }
}

impl Judge for Arriving<'_> {
    fn looks_at(&self, kind: Kind) -> bool {
        self.judgement(kind).is_some()
    }

    async fn judge(&mut self, kind: Kind, message: &mut [u8]) -> Result<(), Refusal> {
        let Some(mut judgement) = self.judgement(kind) else { return Ok(()) };
        let mut passed = Vec::with_capacity(message.len());
        judgement.push(message, &mut passed)?;
        judgement.end(&mut passed)?;
        self.note(&mut judgement);
        // What is blotted out keeps its length, and what is not refused passes as a whole.
        if passed.len() != message.len() {
            return Err(Refusal::Internal);
        }
        message.copy_from_slice(&passed);
        Ok(())
    }

    async fn begin(&mut self, kind: Kind, first: &[u8]) -> Result<(), Refusal> {
        self.large = self.judgement(kind);
        self.push(first)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        match &mut self.large {
            Some(judgement) => judgement.push(bytes, &mut self.ready),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(mut judgement) = self.large.take() else { return Ok(()) };
        judgement.end(&mut self.ready)?;
        self.note(&mut judgement);
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        Ok((!self.ready.is_empty()).then(|| std::mem::take(&mut self.ready)))
    }
}
