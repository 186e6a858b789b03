//! The text of an event: what a reader of its fields would see.

/// Writes the text of an event's `lines` to `text`: its data joined by line ends, then everything else it says. With
/// `continues` the first line is the rest of a data line that began earlier. How much of `text` is data, in bytes.
pub(super) fn of(lines: &[u8], continues: bool, text: &mut Vec<u8>) -> usize {
    text.clear();
    let mut rest = Vec::new();
    for (at, line) in lines.split(|&byte| byte == b'\r' || byte == b'\n').enumerate() {
        let (is_data, value) = if continues && at == 0 { (true, line) } else { field(line) };
        let to = if is_data { &mut *text } else { &mut rest };
        if !value.is_empty() {
            to.extend_from_slice(value);
            to.push(b'\n');
        }
    }
    let data = text.len().saturating_sub(1);
    text.append(&mut rest);
    text.pop();
    data
}

/// Whether a line is data, and its value: what follows the colon and one space; a comment's text; all of a line that
/// is no field.
fn field(line: &[u8]) -> (bool, &[u8]) {
    let Some(colon) = memchr::memchr(b':', line) else { return (false, line) };
    let value = &line[colon + 1..];
    (&line[..colon] == b"data", value.strip_prefix(b" ").unwrap_or(value))
}
