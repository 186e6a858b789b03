//! Markdown with YAML frontmatter (M3).

/// Bytes of a manifest file, and of its frontmatter. Larger ones are refused.
pub(crate) const FILE_LIMIT: u64 = 1024 * 1024;
const FRONTMATTER_LIMIT: usize = 256 * 1024;

/// The two halves of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document<'t> {
    /// The YAML between the two fences; its first line is line 2 of the file.
    pub(crate) yaml: &'t str,
    /// What follows, without surrounding white space.
    pub(crate) body: &'t str,
}

/// Why a text is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoDocument {
    #[error("the file must begin with a line `---`, keys in YAML, and another line `---`")]
    NoFence,
    #[error("the frontmatter is not closed; end it with a line `---`")]
    Unclosed,
    #[error("the frontmatter is larger than 256 KiB")]
    TooLarge,
}

/// Splits a file at its fences. A byte order mark and CRLF line ends are accepted.
pub(crate) fn split(text: &str) -> Result<Document<'_>, NoDocument> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (first, rest) = text.split_once('\n').ok_or(NoDocument::NoFence)?;
    if !is_fence(first) {
        return Err(NoDocument::NoFence);
    }
    let mut offset = 0;
    for line in rest.split_inclusive('\n') {
        if is_fence(line) {
            let (yaml, body) = (&rest[..offset], &rest[offset + line.len()..]);
            let fits = yaml.len() <= FRONTMATTER_LIMIT;
            return if fits { Ok(Document { yaml, body: body.trim() }) } else { Err(NoDocument::TooLarge) };
        }
        offset += line.len();
    }
    Err(NoDocument::Unclosed)
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}
