//! From an approved Dockerfile to an image: what the bottle has made is committed first, then the image is built, and a resume
//! goes on with both (S7). The bottle's launcher does it; asked with the same id it does it once.

use std::time::Duration;

use base::id::{ExchangeId, ProposalId};
use bus::message::Version;
use bus::message::commit::{CommitReply, CommitRequest};
use bus::message::proposal::{Decide, DecideRefusal, DecideReply, ProposalRecord, Scope};
use bus::{Bus, BusError};
use sha2::{Digest as _, Sha256};

use super::Proposals;
use super::apply::{Step, resolved};
use super::decisions::refused;
use super::life::{self, Applied};

/// How long a launcher may be silent: it answers within two seconds, and says how far it is.
const SILENCE: Duration = Duration::from_secs(10);

impl Proposals {
    /// Has the bottle's launcher commit it and build the image, for as long as whoever decided may wait.
    pub(super) async fn build(
        &self,
        bus: &Bus,
        record: &ProposalRecord,
        decision: &Decide,
        dockerfile: &str,
    ) -> Result<Step, BusError> {
        let Some(id) = request_id(decision) else { return Ok(Step::Failed("it has no id".to_owned())) };
        let (bottle, dockerfile) = (record.bottle.clone(), Some(dockerfile.to_owned()));
        let request = CommitRequest { v: Version, id, bottle, dockerfile };
        let end = tokio::time::Instant::now() + self.changes.confirm_within;
        loop {
            match bus.request(&request, SILENCE).await {
                Ok(CommitReply::Committed { commit }) => {
                    let image = commit.image.map(|image| image.name);
                    return Ok(
                        image.map_or_else(|| Step::Failed("no image was built".to_owned()), Step::Built)
                    );
                }
                Ok(CommitReply::Refused { reason }) => return Ok(Step::Failed(reason)),
                Ok(CommitReply::Working { .. }) if tokio::time::Instant::now() < end => {}
                Ok(CommitReply::Working { .. }) | Err(BusError::Deadline { .. }) => return Ok(Step::Builds),
                Err(error) => return Err(error),
            }
        }
    }

    /// It is built: everybody is told, and how to go on in it.
    pub(super) async fn built(
        &self,
        bus: &Bus,
        id: &ProposalId,
        image: String,
    ) -> Result<DecideReply, BusError> {
        let mut book = self.book.lock().await;
        let Some(record) = book.get(id).await? else { return Ok(refused(DecideRefusal::UnknownProposal)) };
        let image = Some(base::inert(&image, 200));
        let applied = Applied { revision: None, scope: Scope::Bottle, image, note: None, lease: None };
        let Some(over) = life::applied(&record, applied, self.clock.now()) else {
            return Ok(resolved(&record));
        };
        book.finish(bus, over.clone()).await?;
        Ok(resolved(&over))
    }
}

/// One for each approval, whichever supervisor carries it out.
fn request_id(decision: &Decide) -> Option<ExchangeId> {
    let hash = hex::encode(Sha256::digest(&decision.signature));
    hash[..32].parse().ok()
}
