//! Secrets in a text of any length.

use std::io::Read;
use std::sync::Arc;

use anyhow::Context as _;
use scan::{Detectors, Enabled, Finding, Next, Shape, Stream};

use super::lines::{Lines, Place};
use super::pieces;
use crate::exit::{Exit, Failure, OrExit as _};

/// A finding and its place.
pub(super) struct Located {
    pub(super) finding: Finding,
    pub(super) place: Place,
}

/// Tells of every finding, in the order of their places.
pub(super) fn scan(
    input: &mut dyn Read,
    detectors: &Arc<Detectors>,
    found: &mut dyn FnMut(Located),
) -> Result<(), Failure> {
    let mut search = Search {
        stream: Stream::new(Arc::clone(detectors), Enabled::default(), Shape::Plain),
        lines: Lines::new(),
        found,
    };
    pieces(input, |piece| {
        search.lines.add(piece);
        search.stream.push(piece);
        search.go_on()
    })?;
    search.stream.end();
    search.go_on()
}

struct Search<'f> {
    stream: Stream,
    lines: Lines,
    found: &'f mut dyn FnMut(Located),
}

impl Search<'_> {
    fn go_on(&mut self) -> Result<(), Failure> {
        loop {
            match self.stream.poll() {
                Ok(Next::Bytes(_)) => {}
                Ok(Next::Finding(finding)) => {
                    let place = self.lines.place(finding.span.start);
                    (self.found)(Located { finding, place });
                    self.stream.pass();
                }
                Ok(Next::More | Next::End) => return Ok(()),
                Err(error) => {
                    let judged = self.lines.read() - self.stream.held();
                    let line = self.lines.place(judged).line;
                    let error = Err(error).with_context(|| {
                        format!("from line {line} (byte {judged}) on it cannot be judged; the proxy refuses such a body")
                    });
                    return error.or_exit(Exit::Input);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::Secret;
    use scan::{Known, Rules};

    use super::*;

    /// Gives one byte at a time, as a slow pipe does.
    struct Slow<R>(R);

    impl<R: Read> Read for Slow<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn secret() -> String {
        ["Vx7", "kQ2", "mZp", "9Lw", "R4t", "Hs8"].concat()
    }

    fn places(text: &[u8], is_slow: bool) -> Vec<String> {
        let known = Known { name: "SECRET".into(), value: Secret::new(secret()), is_canary: false };
        let key = Secret::new("key of the test".to_owned());
        let detectors = Arc::new(Detectors::new(Rules::standard(), vec![known], key));
        let mut seen = Vec::new();
        let mut keep = |located: Located| {
            let Located { finding, place } = located;
            seen.push(format!("{}:{} {} {}", place.line, place.column, finding.span.start, finding.detector));
        };
        let ended = if is_slow {
            scan(&mut Slow(text), &detectors, &mut keep)
        } else {
            scan(&mut &*text, &detectors, &mut keep)
        };
        assert!(ended.is_ok());
        seen
    }

    #[test]
    fn each_finding_has_its_line_and_column() {
        let text = format!("first\nkey: {0}\n\nlast {0} and {0}\n", secret());
        let expected =
            ["2:6 11 known_secrets/SECRET", "4:6 36 known_secrets/SECRET", "4:29 59 known_secrets/SECRET"];
        assert_eq!(places(text.as_bytes(), false), expected);
        assert_eq!(places(text.as_bytes(), true), expected);
    }

    #[test]
    fn a_secret_far_into_a_large_text_is_found_at_its_place() {
        let mut text = b"a line of eighteen\n".repeat(50_000);
        text.extend_from_slice(format!("x {}", secret()).as_bytes());
        assert_eq!(places(&text, false), ["50001:3 950002 known_secrets/SECRET"]);
    }
}
