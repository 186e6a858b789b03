//! bubblewrap's arguments, as a list that knows which of them are descriptors.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};

/// Arguments in order. They reach bubblewrap through a descriptor, not through its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments(Vec<Argument>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    Text(String),
    /// Becomes the number of a descriptor with this content.
    Data {
        name: String,
        content: Vec<u8>,
    },
}

impl Arguments {
    /// Appends words as they are.
    pub(super) fn push<const N: usize>(&mut self, words: [&str; N]) -> &mut Self {
        self.0.extend(words.into_iter().map(|word| Argument::Text(word.to_owned())));
        self
    }

    /// `option SOURCE DEST`.
    pub(super) fn bind(&mut self, option: &str, source: &Path, destination: &str) -> &mut Self {
        self.push([option, &source.to_string_lossy(), destination])
    }

    /// A file with this content, readable by everyone.
    pub(super) fn file(&mut self, destination: &str, content: Vec<u8>) -> &mut Self {
        self.push(["--perms", "0644", "--file"]).data(destination, content).push([destination])
    }

    /// `option FD`, where FD is a descriptor with this content.
    pub(super) fn with_data(&mut self, option: &str, name: &str, content: Vec<u8>) -> &mut Self {
        self.push([option]).data(name, content)
    }

    fn data(&mut self, name: &str, content: Vec<u8>) -> &mut Self {
        self.0.push(Argument::Data { name: name.to_owned(), content });
        self
    }

    /// The arguments as bubblewrap's `--args` wants them, with the descriptors that they name.
    ///
    /// # Errors
    /// The process is out of descriptors or memory.
    pub(super) fn into_descriptors(self) -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
        let mut text = Vec::new();
        let mut kept = Vec::new();
        for argument in self.0 {
            match argument {
                Argument::Text(word) => text.extend_from_slice(word.as_bytes()),
                Argument::Data { content, .. } => {
                    let file = memory_file(&content)?;
                    text.extend_from_slice(file.as_raw_fd().to_string().as_bytes());
                    kept.push(file);
                }
            }
            text.push(0);
        }
        Ok((memory_file(&text)?, kept))
    }
}

/// One option a line, descriptors by name: for people and snapshots.
impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, argument) in self.0.iter().enumerate() {
            let text = match argument {
                Argument::Text(word) => word.clone(),
                Argument::Data { name, .. } => format!("<{name}>"),
            };
            let separator = match (place, text.starts_with("--")) {
                (0, _) => "",
                (_, true) => "\n",
                (_, false) => " ",
            };
            write!(f, "{separator}{text}")?;
        }
        Ok(())
    }
}

fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("bot-bottle", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
