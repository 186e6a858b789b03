//! What a client that pushes sends before its pack, cut anywhere (gitprotocol-pack).

use std::collections::HashSet;

use bytes::BytesMut;
use gitgate::commands::{Commands, Flaw, Format, OPTION_BYTES, OPTIONS, Parser};

use crate::cut::{Pieces, byte};

/// Refs of one push.
const REFS: usize = 8;

/// A list of commands and what follows it, behind one byte for the repository's format and three for how it is cut.
pub fn check(mut data: &[u8]) {
    let format = if byte(&mut data) & 1 == 0 { Format::Sha1 } else { Format::Sha256 };
    let whole = Pieces::of(data).whole();
    let at_once = read(format, &mut std::iter::once(whole));
    let cut = read(format, &mut Pieces::of(data));
    assert_eq!(at_once, cut, "how a list is cut changes what it says");
    let Ok((seen, rest)) = at_once else { return };
    assert!(whole.ends_with(&rest), "what is left is not what came");
    let names: HashSet<_> = seen.updates.iter().map(|update| update.name.as_str()).collect();
    assert!(
        names.len() == seen.updates.len() && names.len() <= REFS,
        "a ref is there twice, or too many are"
    );
    for update in &seen.updates {
        let objects = [&update.old, &update.new];
        assert!(objects.iter().any(|object| object.is_some()), "a command does nothing");
        assert!(objects.iter().copied().flatten().all(|object| object.as_str().len() == format.digits()));
        let name = update.name.as_str();
        assert!(
            name.starts_with("refs/") && base::inert(name, usize::MAX) == name,
            "{name:?} is not shown as it is"
        );
    }
    assert!(seen.options.len() <= OPTIONS);
    for option in &seen.options {
        assert!(option.len() <= OPTION_BYTES && !option.chars().any(char::is_control), "{option:?}");
    }
}

/// What was asked for and what follows; where the list is not complete, nothing follows.
fn read(
    format: Format,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Result<(Commands, Vec<u8>), (Flaw, Commands)> {
    let (mut parser, mut arrived) = (Parser::new(format, REFS), BytesMut::new());
    let mut is_done = false;
    for piece in pieces {
        arrived.extend_from_slice(piece);
        if !is_done {
            is_done = parser.feed(&mut arrived).map_err(|flaw| (flaw, parser.seen().clone()))?;
        }
    }
    Ok((parser.into_seen(), arrived.to_vec()))
}
