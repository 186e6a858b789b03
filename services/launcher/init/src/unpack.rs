//! Archives become files here, with the agent's rights and inside its walls: nothing that an agent once wrote is taken
//! apart by anybody who can do more than it.

use std::error::Error as _;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use archive::{Limits, Odd};
use boundary::order::Answer;

/// As in the order.
pub(crate) struct Rules {
    pub(crate) root: String,
    pub(crate) into: String,
    pub(crate) links: bool,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// Unpacks the one archive.
///
/// # Errors
/// There is another number of descriptors, or the archive is not as it should be; the text says what of it.
pub(crate) fn unpack(rules: &Rules, descriptors: Vec<OwnedFd>) -> Result<Answer, String> {
    let [archive]: [OwnedFd; 1] = descriptors
        .try_into()
        .map_err(|given: Vec<_>| format!("an archive is one descriptor, not {}", given.len()))?;
    let links = if rules.links { Odd::Keep } else { Odd::Refuse };
    let limits = Limits { bytes: rules.bytes, entries: rules.entries };
    let (root, into) = (Path::new(&rules.root), Path::new(&rules.into));
    let unpacked = archive::unpack(File::from(archive), root, into, links, limits);
    unpacked.map(|contents| Answer::Unpacked { files: contents.files, bytes: contents.bytes }).map_err(
        |error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        },
    )
}
