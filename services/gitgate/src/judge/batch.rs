//! Objects read one behind the other through one `git cat-file`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use super::program::{Repository, Running, View};
use super::trouble::Trouble;
use crate::object::ObjectId;

const DOING: &str = "reading objects";
/// The longest line before an object.
const LONGEST_LINE: u64 = 200;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// An answer in parts: [`Batch::next`], then [`Batch::piece`] until it is empty.
pub(crate) struct Batch {
    input: BufReader<Running>,
    left: u64,
    /// Whether the line's end behind the object is still to be read.
    is_open: bool,
}

impl Batch {
    /// Asks for all of these, in their order.
    pub(crate) fn of<'a>(
        repository: &Repository<'_>,
        ids: impl Iterator<Item = &'a ObjectId>,
    ) -> Result<Self, Trouble> {
        let input: File = repository.lines(ids.map(ObjectId::as_str))?;
        let running =
            repository.start(DOING, View::Both, &["cat-file", "--batch", "--buffer"], Some(input))?;
        Ok(Self { input: BufReader::with_capacity(64 << 10, running), left: 0, is_open: false })
    }

    /// The kind and size of the next object, which must be `id`.
    pub(crate) fn next(&mut self, id: &ObjectId) -> Result<(Kind, u64), Trouble> {
        let mut line = String::new();
        let read = (&mut self.input).take(LONGEST_LINE).read_line(&mut line);
        read.map_err(|error| self.input.get_ref().failed(error))?;
        let missing = || Trouble::object(id, "git has it not, or says something else than what it is");
        let rest = line.strip_suffix('\n').and_then(|line| line.strip_prefix(id.as_str()));
        let (kind, size) = rest.and_then(|rest| rest.trim_start().split_once(' ')).ok_or_else(missing)?;
        let kind = match kind {
            "commit" => Kind::Commit,
            "tree" => Kind::Tree,
            "blob" => Kind::Blob,
            "tag" => Kind::Tag,
            _ => return Err(missing()),
        };
        self.left = size.parse().map_err(|_| missing())?;
        self.is_open = true;
        Ok((kind, self.left))
    }

    /// Up to `most` bytes of the object; none at its end.
    pub(crate) fn piece(&mut self, most: usize, piece: &mut Vec<u8>) -> Result<(), Trouble> {
        let length = self.left.min(most as u64);
        piece.clear();
        let read = (&mut self.input).take(length).read_to_end(piece);
        read.map_err(|error| self.input.get_ref().failed(error))?;
        if piece.len() as u64 != length {
            return Err(Trouble::git(DOING, "an object ends early"));
        }
        self.left -= length;
        if self.left == 0 && std::mem::take(&mut self.is_open) { self.end() } else { Ok(()) }
    }

    /// All of an object whose size the caller has bounded.
    pub(crate) fn whole(&mut self, size: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        let most = usize::try_from(size).map_err(|_| Trouble::git(DOING, "an object is too large"))?;
        self.piece(most.max(1), &mut bytes)?;
        Ok(bytes)
    }

    fn end(&mut self) -> Result<(), Trouble> {
        let mut end = [0];
        self.input.read_exact(&mut end).map_err(|error| self.input.get_ref().failed(error))?;
        if end == *b"\n" { Ok(()) } else { Err(Trouble::git(DOING, "an object goes on behind its end")) }
    }

    /// Nothing more is expected.
    pub(crate) fn finish(self) -> Result<(), Trouble> {
        if !self.input.buffer().is_empty() {
            return Err(Trouble::git(DOING, "it said more than it was asked"));
        }
        self.input.into_inner().succeed()
    }
}

/// Objects asked for one at a time.
pub(crate) struct Lookup {
    batch: Batch,
    questions: std::io::PipeWriter,
}

impl Lookup {
    pub(crate) fn new(repository: &Repository<'_>) -> Result<Self, Trouble> {
        let (running, questions) = repository.converse(DOING, &["cat-file", "--batch-command"])?;
        Ok(Self { batch: Batch { input: BufReader::new(running), left: 0, is_open: false }, questions })
    }

    /// One object, if it has at most `most` bytes.
    pub(crate) fn get(&mut self, id: &ObjectId, most: u64) -> Result<(Kind, Vec<u8>), Trouble> {
        let (kind, size) = self.ask("contents", id)?;
        if size > most {
            return Err(Trouble::object(id, format!("it is a {} larger than {most} bytes", kind.as_str())));
        }
        Ok((kind, self.batch.whole(size)?))
    }

    /// What an object is.
    pub(crate) fn kind(&mut self, id: &ObjectId) -> Result<Kind, Trouble> {
        let (kind, _) = self.ask("info", id)?;
        // No contents follow, nor the line's end behind them.
        (self.batch.left, self.batch.is_open) = (0, false);
        Ok(kind)
    }

    fn ask(&mut self, what: &str, id: &ObjectId) -> Result<(Kind, u64), Trouble> {
        writeln!(self.questions, "{what} {id}").map_err(Trouble::io("asking git for an object"))?;
        self.batch.next(id)
    }
}
