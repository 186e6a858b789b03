//! Printing for people and for programs. The only place that writes to standard output.
#![expect(clippy::print_stderr, reason = "this module is where printing belongs")]

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Text for people or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text.
    Text,
    /// JSON.
    Json,
}

impl From<crate::args::Json> for Format {
    fn from(args: crate::args::Json) -> Self {
        if args.json { Self::Json } else { Self::Text }
    }
}

/// A line on standard output. A reader that has gone (`| head`) is no failure.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    {
        std::process::exit(0);
    }
}

/// Bytes on standard output or standard error, as they are.
pub fn bytes(data: &[u8], to_stderr: bool) {
    let written = if to_stderr {
        let mut out = io::stderr().lock();
        out.write_all(data).and_then(|()| out.flush())
    } else {
        let mut out = io::stdout().lock();
        out.write_all(data).and_then(|()| out.flush())
    };
    if written.is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// A remark on standard error: progress, warnings, hints. Never part of a command's result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// One JSON value on one line. It is the same value for programs, and harmless on a terminal.
///
/// # Errors
/// The value has no JSON form.
pub fn json<T: Serialize>(value: &T) -> serde_json::Result<()> {
    line(&escaped(&serde_json::to_string(value)?));
    Ok(())
}

/// JSON with whatever could move a cursor or hide what it says as `\u` escapes.
#[must_use]
pub fn escaped(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let (mut one, mut units) = ([0; 4], [0; 2]);
    for character in json.chars() {
        // JSON has ASCII's own control characters escaped already, but for DEL; line ends are between its tokens.
        let is_harmless = match character {
            '\u{7f}' => false,
            c if c.is_ascii() => true,
            c => is_inert(c.encode_utf8(&mut one)),
        };
        if is_harmless {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

fn is_inert(text: &str) -> bool {
    base::inert(text, usize::MAX) == text
}

/// A colour of the 16 ANSI ones, by its parameter.
#[derive(Clone, Copy, Debug)]
pub enum Paint {
    /// Good.
    Green,
    /// Bad.
    Red,
    /// Of note.
    Yellow,
    /// Less important.
    Dim,
}

/// Colours the text if standard output is a terminal and `NO_COLOR` is not set.
#[must_use]
pub fn paint(paint: Paint, text: &str) -> String {
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Green => 32,
        Paint::Red => 31,
        Paint::Yellow => 33,
        Paint::Dim => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Text in a bottle's colour (L5), one of the 16 ANSI names, if standard error is a terminal and `NO_COLOR` is not set.
#[must_use]
pub fn tint(color: Option<&str>, text: &str) -> String {
    const NAMES: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    let is_plain =
        !io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let named = |name: &str| NAMES.iter().position(|known| *known == name);
    let code = color.and_then(|color| match color.strip_prefix("bright-") {
        Some(bright) => named(bright).map(|place| 90 + place),
        None => named(color).map(|place| 30 + place),
    });
    match code.filter(|_| !is_plain) {
        Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        None => text.to_owned(),
    }
}

/// Whether a person is at the other end of both standard input and standard error.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Columns aligned under their headings, two spaces apart. Cells must be inert already.
#[must_use]
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, &w)| format!("{cell:<w$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![render(headings.to_vec())];
    lines.extend(rows.iter().map(|row| render(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// Prints text from an agent: as it is for a program, inert on a terminal.
pub fn untrusted(text: &str) {
    if io::stdout().is_terminal() { line(&inert_lines(text)) } else { line(text) }
}

/// Text of several lines from an agent, inert but for its line ends and tabs.
#[must_use]
pub fn inert_lines(text: &str) -> String {
    let line = |text: &str| {
        text.split('\t').map(|part| base::inert(part, usize::MAX)).collect::<Vec<_>>().join("\t")
    };
    text.split('\n').map(|part| line(part.strip_suffix('\r').unwrap_or(part))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bcd".to_owned(), "x".to_owned()]];
        insta::assert_snapshot!(table(&["ID", "WHAT"], &rows), @r"
        ID   WHAT
        a    long cell
        bcd  x
        ");
    }

    #[test]
    fn json_is_the_same_value_and_harmless() {
        let value = "a\u{9b}31m\u{202e}\u{e0041}\u{7f}\u{1b}[2J é 漢 \\ \"";
        let shown = escaped(&serde_json::to_string(value).unwrap());
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
        assert!(is_inert(&shown.replace('\\', "")) && shown.contains("é 漢"), "{shown}");
    }

    #[test]
    fn an_agents_lines_stay_lines_and_nothing_else() {
        assert_eq!(inert_lines("one\r\n\ttwo\u{1b}[2J\n"), "one\n\ttwo\\u{1b}[2J\n");
    }
}
