//! Git objects, ignore files and zip files as an agent may push them.

use std::convert::Infallible;

use gitgate::judge::archive;
use gitgate::judge::parse::{Entry, Headers, Ignored, Mode, entries};

/// Bytes that an entry of a zip file unpacks into before it is left alone.
const UNPACKED: usize = 1 << 20;

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 5 {
        0 => headers(data),
        1 => tree(data, 20),
        2 => tree(data, 32),
        3 => {
            let mut once = Ignored::read(data);
            once.join(Ignored::read(data));
            assert!(!once.names("", 0) || data.contains(&b':'));
        }
        _ => zip(data),
    }
}

/// Every byte belongs to some part, and what a commit or a tag names stands in it.
fn headers(data: &[u8]) {
    let Ok(headers) = Headers::read(data) else { return };
    assert!(headers.message <= data.len());
    for at in 0..data.len() {
        assert!(at < headers.message || headers.part(at) == "message");
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(commit) = headers.commit() {
        assert!(text.starts_with(&format!("tree {}\n", commit.tree)));
        assert!(commit.parents.iter().all(|parent| text.contains(&format!("\nparent {parent}\n"))));
    }
    if let Ok(tag) = headers.tag() {
        assert!(text.starts_with(&format!("object {}\n", tag.object)));
    }
}

/// Nothing of a tree is left out.
fn tree(data: &[u8], width: usize) {
    let Ok(entries) = entries(data, width) else { return };
    let length = |entry: &Entry<'_>| {
        let mode = if entry.mode == Mode::Tree { 5 } else { 6 };
        assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0));
        mode + 1 + entry.name.len() + 1 + entry.raw.len()
    };
    assert_eq!(entries.iter().map(length).sum::<usize>(), data.len());
}

/// What entries hold lies in the file, and unpacking it ends.
fn zip(data: &[u8]) {
    let Ok(entries) = archive::entries(data) else { return };
    for entry in entries {
        assert!(data.ends_with(entry.data));
        let mut made = 0;
        let ended = archive::inflate(entry.data, |bytes| {
            made += bytes.len();
            if made > UNPACKED { Err(()) } else { Ok(()) }
        });
        assert!(ended.is_ok() || made > UNPACKED);
    }
    archive::inflate(data, |_| Ok::<_, Infallible>(())).expect("nothing stops it");
}
