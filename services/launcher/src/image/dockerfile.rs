//! What a Dockerfile needs: images to begin with, and files beside it. Nothing is run, and what the engine's own builder
//! cannot do is refused here, where the cure can be said.

use std::collections::BTreeSet;

/// The largest Dockerfile.
pub(super) const LARGEST: u64 = 64 << 10;
const FROM_FLAGS: [&str; 1] = ["--platform"];
const COPY_FLAGS: [&str; 2] = ["--from", "--chown"];

/// A Dockerfile that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dockerfile {
    /// Its lines.
    pub(super) lines: Vec<String>,
    /// What it is made of, in order.
    pub(super) stages: Vec<Stage>,
    /// The files and directories beside it that it copies, as it writes them.
    pub(super) sources: BTreeSet<String>,
}

/// One `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// The index of the line after it.
    pub(super) after: usize,
    /// What it begins with.
    pub(super) base: Base,
    name: Option<String>,
}

/// What a stage begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage.
    Earlier,
    /// An image, by its name.
    Image(String),
}

/// A Dockerfile that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {flaw}")]
pub struct DockerfileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A parser directive.
    #[error("the directive `# {0}` is not supported: remove it, and write for Docker's own builder")]
    Directive(String),
    /// It never says `FROM`.
    #[error("there is no FROM")]
    NoStage,
    /// An instruction stands before the first `FROM`.
    #[error("{0} stands before FROM, where it has no use here")]
    BeforeStage(String),
    /// Something variable where it must be known beforehand.
    #[error("`{0}` is known only while building: write it out")]
    Variable(String),
    /// An option that only BuildKit has.
    #[error("{instruction} {option} needs BuildKit, which is not used: do without it")]
    Option {
        /// The instruction.
        instruction: String,
        /// Its option.
        option: String,
    },
    /// A here-document.
    #[error("a here-document needs BuildKit, which is not used: put the text into a file and COPY it")]
    HereDocument,
    /// Something fetched by the engine itself.
    #[error("ADD of a URL is not supported, since the engine would fetch it: use RUN with curl")]
    Fetched,
    /// Files of another image.
    #[error("COPY --from={0} names no earlier stage: write `FROM {0} AS name` above, and copy from that")]
    OtherImage(String),
    /// A pattern or the whole directory.
    #[error(
        "`{0}` is not one file or directory below the Dockerfile's: name each, without patterns and `..`"
    )]
    Source(String),
    /// An instruction without what it needs.
    #[error("{0} is not complete")]
    Incomplete(String),
}

/// An instruction with the lines it is continued on joined.
struct Instruction {
    first: usize,
    after: usize,
    text: String,
}

impl Dockerfile {
    /// Reads one.
    ///
    /// # Errors
    /// The first thing that cannot be built.
    pub(super) fn parse(text: &str) -> Result<Self, DockerfileError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        refuse_directives(&lines)?;
        let mut found = Self { lines, stages: Vec::new(), sources: BTreeSet::new() };
        for instruction in instructions(&found.lines) {
            let read = found.read(&instruction);
            read.map_err(|flaw| DockerfileError { line: instruction.first + 1, flaw })?;
        }
        if found.stages.is_empty() {
            return Err(DockerfileError { line: 1, flaw: Flaw::NoStage });
        }
        Ok(found)
    }

    fn read(&mut self, instruction: &Instruction) -> Result<(), Flaw> {
        let (keyword, rest) = split_word(&instruction.text);
        let keyword = keyword.to_ascii_uppercase();
        if self.stages.is_empty() && keyword != "FROM" {
            return Err(Flaw::BeforeStage(base::inert(&keyword, 40)));
        }
        match keyword.as_str() {
            "FROM" => self.read_from(rest, instruction.after),
            "COPY" | "ADD" => self.read_copy(&keyword, rest),
            "RUN" => refuse_options(&keyword, rest, &[]).and_then(|words| match words.starts_with("<<") {
                true => Err(Flaw::HereDocument),
                false => Ok(()),
            }),
            _ => Ok(()),
        }
    }

    fn read_from(&mut self, rest: &str, after: usize) -> Result<(), Flaw> {
        let words = refuse_options("FROM", rest, &FROM_FLAGS)?;
        let mut words = words.split_whitespace();
        let image = words.next().ok_or_else(|| Flaw::Incomplete("FROM".to_owned()))?;
        if image.contains('$') {
            return Err(Flaw::Variable(base::inert(image, 100)));
        }
        let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
        let base = match image {
            "scratch" => Base::Scratch,
            image if self.is_stage(image) => Base::Earlier,
            image => Base::Image(image.to_owned()),
        };
        self.stages.push(Stage { after, base, name: name.map(str::to_owned) });
        Ok(())
    }

    fn read_copy(&mut self, keyword: &str, rest: &str) -> Result<(), Flaw> {
        let words = refuse_options(keyword, rest, &COPY_FLAGS)?;
        let from = rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
        if let Some(from) = from {
            let numbered = from.parse().is_ok_and(|number: usize| number + 1 < self.stages.len());
            return if numbered || self.is_stage(from) {
                Ok(())
            } else {
                Err(Flaw::OtherImage(base::inert(from, 100)))
            };
        }
        let mut sources: Vec<String> = match words.trim_start().starts_with('[') {
            true => serde_json::from_str(words).unwrap_or_default(),
            false => words.split_whitespace().map(str::to_owned).collect(),
        };
        if sources.pop().is_none() || sources.is_empty() {
            return Err(Flaw::Incomplete(keyword.to_owned()));
        }
        for source in sources {
            self.sources.insert(checked_source(&source)?);
        }
        Ok(())
    }

    fn is_stage(&self, word: &str) -> bool {
        self.stages
            .iter()
            .any(|stage| stage.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(word)))
    }
}

fn refuse_directives(lines: &[String]) -> Result<(), DockerfileError> {
    for (index, line) in lines.iter().enumerate() {
        let Some(comment) = line.trim().strip_prefix('#') else { return Ok(()) };
        let Some((name, _)) = comment.split_once('=') else { return Ok(()) };
        let name = name.trim().to_ascii_lowercase();
        if ["syntax", "escape", "check"].contains(&name.as_str()) {
            return Err(DockerfileError { line: index + 1, flaw: Flaw::Directive(name) });
        }
    }
    Ok(())
}

fn instructions(lines: &[String]) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut open: Option<Instruction> = None;
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (text, goes_on) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        let instruction = open.get_or_insert(Instruction { first: index, after: index, text: String::new() });
        instruction.text.push_str(text);
        instruction.after = index + 1;
        if !goes_on {
            found.extend(open.take());
        }
    }
    found.extend(open);
    found
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// What follows the options of an instruction.
fn refuse_options<'a>(instruction: &str, rest: &'a str, known: &[&str]) -> Result<&'a str, Flaw> {
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        let (option, next) = split_word(rest);
        let name = option.split('=').next().unwrap_or(option);
        if !known.contains(&name) {
            let option = base::inert(name, 40);
            return Err(Flaw::Option { instruction: instruction.to_owned(), option });
        }
        if option.contains('$') {
            return Err(Flaw::Variable(base::inert(option, 100)));
        }
        rest = next;
    }
    Ok(rest)
}

/// A source as a plain relative path. The whole directory is none: it may hold what no image should.
fn checked_source(source: &str) -> Result<String, Flaw> {
    if source.starts_with("<<") {
        return Err(Flaw::HereDocument);
    }
    if source.contains("://") || source.starts_with("git@") {
        return Err(Flaw::Fetched);
    }
    if source.contains('$') {
        return Err(Flaw::Variable(base::inert(source, 100)));
    }
    let parts: Vec<&str> = source.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let plain = |part: &&str| *part != ".." && !part.contains(['*', '?', '[', '\\']);
    if parts.is_empty() || !parts.iter().all(plain) {
        return Err(Flaw::Source(base::inert(source, 100)));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_needs() {
        let text = "# about\nFROM --platform=linux/amd64 debian:bookworm-slim AS tools\nRUN one && \\\n  # why\n  two\n\
                    COPY --chown=1000 ./a.txt [b] /x/\nfrom scratch\nCOPY --from=tools /x /x\nCOPY --from=0 /y /y\n\
                    FROM tools\nADD [\"c d\", \"/e/\"]\nCOPY dir/ /f\n";
        let error = Dockerfile::parse(text).unwrap_err();
        assert_eq!((error.line, error.flaw), (6, Flaw::Source("[b]".to_owned())));
        let found = Dockerfile::parse(&text.replace(" [b]", "")).unwrap();
        assert_eq!(found.sources.iter().map(String::as_str).collect::<Vec<_>>(), ["a.txt", "c d", "dir"]);
        let bases: Vec<_> = found.stages.iter().map(|stage| (stage.after, stage.base.clone())).collect();
        let image = Base::Image("debian:bookworm-slim".to_owned());
        assert_eq!(bases, [(2, image), (7, Base::Scratch), (10, Base::Earlier)]);
    }

    #[test]
    fn what_cannot_be_built_is_named_with_its_line() {
        let texts = [
            "",
            "# syntax=docker/dockerfile:1\nFROM a",
            "ARG A=b\nFROM $A",
            "FROM ${A}",
            "FROM",
            "FROM a\nRUN --mount=type=secret,id=x cat /run/secrets/x",
            "FROM a\nRUN <<END\nx\nEND",
            "FROM a\nCOPY --link b /b",
            "FROM a\nCOPY --from=b /b /b",
            "FROM a\nCOPY . /all",
            "FROM a\nCOPY ../keys /keys",
            "FROM a\nCOPY *.txt /x",
            "FROM a\nCOPY $HOME/x /x",
            "FROM a\nADD https://example.com/x /x",
            "FROM a\nCOPY x",
        ];
        let errors = texts.map(|text| Dockerfile::parse(text).unwrap_err().to_string()).join("\n");
        insta::assert_snapshot!(errors);
    }
}
