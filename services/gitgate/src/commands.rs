//! What a client that pushes asks for, before its pack: commands, capabilities and push options (gitprotocol-pack). It is
//! read here, by nobody else, and in pieces as they arrive.

mod flaw;

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

pub use flaw::Flaw;

use crate::object::ObjectId;
use crate::pktline::{self, Line};
use crate::push::Update;
use crate::reference::RefName;

/// Push options of one push.
pub const OPTIONS: usize = 64;
/// Bytes of one push option.
pub const OPTION_BYTES: usize = 4096;
/// Commits at which a shallow clone ends.
const SHALLOW: usize = 100_000;

/// How names of objects are made in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 40 digits.
    Sha1,
    /// 64 digits.
    Sha256,
}

impl Format {
    /// As git calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Digits of an object's name.
    #[must_use]
    pub fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

/// What a client understands and asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It wants to be told what became of each ref.
    pub report_status: bool,
    /// It can be shown something meanwhile.
    pub side_band: bool,
    /// All refs or none. They are always.
    pub atomic: bool,
    /// Push options follow.
    pub push_options: bool,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The refs that should move.
    pub updates: Vec<Update>,
    /// What the client understands.
    pub capabilities: Capabilities,
    /// Push options, as sent.
    pub options: Vec<String>,
}

impl Commands {
    /// Whether a pack follows: for everything but removals.
    #[must_use]
    pub fn has_pack(&self) -> bool {
        self.updates.iter().any(|update| update.new.is_some())
    }
}

/// Reads commands as they arrive.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    refs: usize,
    stage: Stage,
    seen: Commands,
    names: HashSet<RefName>,
    shallow: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Commands,
    Options,
    Done,
}

impl Parser {
    /// For a repository of this format, and at most so many refs.
    #[must_use]
    pub fn new(format: Format, refs: usize) -> Self {
        let (seen, names) = (Commands::default(), HashSet::new());
        Self { format, refs, stage: Stage::Commands, seen, names, shallow: 0 }
    }

    /// Takes what is complete off the front. `true`: all of it was read, and what is left is the pack.
    ///
    /// # Errors
    /// What is wrong; what was read until then is still [`Parser::seen`].
    pub fn feed(&mut self, arrived: &mut BytesMut) -> Result<bool, Flaw> {
        while self.stage != Stage::Done {
            let Some(line) = pktline::take(arrived)? else { return Ok(false) };
            self.stage = match (self.stage, line) {
                (Stage::Commands, Line::Data(line)) => {
                    self.line(&line)?;
                    Stage::Commands
                }
                (Stage::Commands, Line::Flush) if self.seen.capabilities.push_options => Stage::Options,
                (Stage::Options, Line::Data(line)) => {
                    self.option(&line)?;
                    Stage::Options
                }
                (_, Line::Flush) => Stage::Done,
                _ => return Err(Flaw::Mark),
            };
        }
        Ok(true)
    }

    /// What was read so far.
    #[must_use]
    pub fn seen(&self) -> &Commands {
        &self.seen
    }

    /// What was read.
    #[must_use]
    pub fn into_seen(self) -> Commands {
        self.seen
    }

    fn line(&mut self, line: &Bytes) -> Result<(), Flaw> {
        let is_first = self.seen.updates.is_empty();
        let (command, capabilities) = match line.iter().position(|byte| *byte == 0) {
            Some(at) if is_first => (&line[..at], Some(&line[at + 1..])),
            Some(_) => return Err(Flaw::Command),
            None => (&line[..], None),
        };
        let command = std::str::from_utf8(command).map_err(|_| Flaw::Text)?;
        let command = command.strip_suffix('\n').unwrap_or(command);
        if let Some(capabilities) = capabilities {
            self.capabilities(capabilities)?;
        }
        if let Some(commit) = command.strip_prefix("shallow ") {
            return self.shallow(commit);
        }
        if command.starts_with("push-cert") {
            return Err(Flaw::Signed);
        }
        self.command(command)
    }

    /// Where a shallow clone ends does not matter: its commits' ancestors are in the mirror, or the push is refused for
    /// want of them.
    fn shallow(&mut self, commit: &str) -> Result<(), Flaw> {
        self.object(commit)?;
        self.shallow += 1;
        if self.shallow > SHALLOW { Err(Flaw::Command) } else { Ok(()) }
    }

    fn command(&mut self, command: &str) -> Result<(), Flaw> {
        let mut words = command.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(Flaw::Command);
        };
        let (old, new) = (self.object(old)?, self.object(new)?);
        if old.is_none() && new.is_none() {
            return Err(Flaw::Command);
        }
        if self.seen.updates.len() >= self.refs {
            return Err(Flaw::TooMany { limit: self.refs });
        }
        let name: RefName = name.parse().map_err(|why| Flaw::Name { name: base::inert(name, 250), why })?;
        if !self.names.insert(name.clone()) {
            return Err(Flaw::Twice(name));
        }
        self.seen.updates.push(Update { name, old, new });
        Ok(())
    }

    fn object(&self, text: &str) -> Result<Option<ObjectId>, Flaw> {
        let object = ObjectId::parse_or_none(text).map_err(|_| Flaw::Command)?;
        if text.len() == self.format.digits() { Ok(object) } else { Err(Flaw::Format(self.format)) }
    }

    fn capabilities(&mut self, text: &[u8]) -> Result<(), Flaw> {
        let text = std::str::from_utf8(text).map_err(|_| Flaw::Text)?;
        let known = &mut self.seen.capabilities;
        for word in text.split_ascii_whitespace() {
            match word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value))) {
                ("report-status", None) => known.report_status = true,
                ("side-band-64k", None) => known.side_band = true,
                ("atomic", None) => known.atomic = true,
                ("push-options", None) => known.push_options = true,
                ("quiet" | "ofs-delta" | "delete-refs" | "no-thin", None) | ("agent", Some(_)) => {}
                ("object-format", Some(format)) if format == self.format.as_str() => {}
                ("object-format", _) => return Err(Flaw::Format(self.format)),
                ("push-cert", _) => return Err(Flaw::Signed),
                _ => return Err(Flaw::Capability(base::inert(word, 100))),
            }
        }
        Ok(())
    }

    fn option(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let option = std::str::from_utf8(line).map_err(|_| Flaw::Text)?;
        let option = option.strip_suffix('\n').unwrap_or(option);
        let is_fine = option.len() <= OPTION_BYTES
            && !option.chars().any(char::is_control)
            && self.seen.options.len() < OPTIONS;
        if !is_fine {
            return Err(Flaw::Option);
        }
        self.seen.options.push(option.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
