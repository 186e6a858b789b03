//! Contents that are packed: which packing it is, by its first bytes, and what a zip file holds.

use flate2::{Decompress, FlushDecompress, Status};
use scan::coding::Coding;

/// How many first bytes tell.
pub const HEAD: usize = 16;
/// What an entry of a zip file begins with.
pub const ZIP_ENTRY: &[u8] = b"PK\x03\x04";
/// Bytes that one step of unpacking makes at most.
const STEP: usize = 32 << 10;
/// Entries of a zip file that are looked at.
const ENTRIES: usize = 100_000;

/// What contents begin like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Nothing that is known.
    None,
    /// One that is unpacked as it comes.
    Coded(Coding),
    /// One that is known and cannot be unpacked here.
    Closed(&'static str),
}

/// Packings that anybody can open, and this gate cannot.
const CLOSED: [(&[u8], &str); 12] = [
    (b"BZh11AY&SY", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"LZIP", "lzip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "compress"),
    (b"MSCF\0\0\0\0", "cab"),
    (b"PACK\0\0\0", "git pack"),
    (b"# v2 git bundle", "git bundle"),
    (b"# v3 git bundle", "git bundle"),
];

/// Tells by the first [`HEAD`] bytes.
#[must_use]
pub fn packing(head: &[u8]) -> Packing {
    // Nine levels of bzip2 differ in one digit.
    let is_bzip2 = head.len() >= 10 && head.starts_with(b"BZh") && &head[4..10] == b"1AY&SY";
    if is_bzip2 {
        return Packing::Closed("bzip2");
    }
    if let Some((_, name)) = CLOSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Packing::Closed(name);
    }
    match head {
        [0x1f, 0x8b, 8, ..] => Packing::Coded(Coding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Coded(Coding::Zstd),
        [method, flags, ..] if method & 0x0f == 8 && is_zlib(*method, *flags) => {
            Packing::Coded(Coding::Deflate)
        }
        _ => Packing::None,
    }
}

/// RFC 1950, section 2.2, without a preset dictionary.
fn is_zlib(method: u8, flags: u8) -> bool {
    method >> 4 <= 7 && flags & 0x20 == 0 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

/// An entry of a zip file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name. Untrusted.
    pub name: String,
    /// How it is packed.
    pub method: Method,
    /// From its data to the end of the file: how long it is, its packing says, or nobody.
    pub data: &'a [u8],
    /// How much of that it says itself to be, if it says.
    pub length: Option<usize>,
}

/// How an entry is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it stands.
    Stored,
    /// With bare deflate.
    Deflated,
    /// With zstd.
    Zstd,
    /// Encrypted, or a method that is known and not unpacked here.
    Closed,
}

/// Why a zip file is not looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has more than {ENTRIES} entries")]
pub struct TooManyEntries;

/// Every entry of a zip file, wherever it stands: what its directory says is not asked, since it may leave some out.
///
/// # Errors
/// There are too many.
pub fn entries(file: &[u8]) -> Result<Vec<Entry<'_>>, TooManyEntries> {
    let places = memchr::memmem::find_iter(file, ZIP_ENTRY);
    let found: Vec<_> = places.filter_map(|at| entry(&file[at..])).take(ENTRIES + 1).collect();
    if found.len() > ENTRIES { Err(TooManyEntries) } else { Ok(found) }
}

/// The local header of APPNOTE.TXT, section 4.3.7.
fn entry(at: &[u8]) -> Option<Entry<'_>> {
    let header = at.get(..30)?;
    let short = |from: usize| u16::from_le_bytes([header[from], header[from + 1]]);
    let long = |from: usize| u32::from(short(from)) | u32::from(short(from + 2)) << 16;
    let (version, flags, method) = (short(4) & 0xff, short(6), short(8));
    let (name_length, extra_length) = (usize::from(short(26)), usize::from(short(28)));
    let name = at.get(30..30 + name_length).filter(|name| !name.is_empty() && version <= 63)?;
    let data = at.get(30 + name_length + extra_length..)?;
    let method = match method {
        _ if flags & 1 == 1 => Method::Closed,
        0 => Method::Stored,
        8 => Method::Deflated,
        93 => Method::Zstd,
        1..=6 | 9 | 10 | 12 | 14 | 16 | 18..=20 | 94..=99 => Method::Closed,
        _ => return None,
    };
    // With bit 3 the length stands behind the data; all ones mean that it stands in the extra field.
    let size = long(18);
    let length = usize::try_from(size).ok().filter(|_| flags & 8 == 0 && size != u32::MAX);
    Some(Entry { name: String::from_utf8_lossy(name).into_owned(), method, data, length })
}

/// Unpacks a bare deflate stream as far as it goes. What is behind its end, or behind a fault in it, nobody unpacks.
///
/// # Errors
/// Those of `take`, which gets what it unpacks into.
pub fn inflate<E>(mut data: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut inflate = Decompress::new(false);
    let mut out = vec![0; STEP];
    loop {
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(data, &mut out, FlushDecompress::None);
        let used = usize::try_from(inflate.total_in() - taken).unwrap_or(data.len());
        let length = usize::try_from(inflate.total_out() - made).unwrap_or(0);
        data = &data[used.min(data.len())..];
        take(&out[..length.min(STEP)])?;
        match status {
            Ok(Status::Ok) if used > 0 || length > 0 => {}
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packings_are_known_by_their_first_bytes() {
        for (head, packing_of_it) in [
            (b"\x1f\x8b\x08\0".as_slice(), Packing::Coded(Coding::Gzip)),
            (b"\x78\x9c\x01", Packing::Coded(Coding::Deflate)),
            (b"BZh91AY&SY", Packing::Closed("bzip2")),
            (b"BZh9 is a word", Packing::None),
            (b"\xfd7zXZ\0\0", Packing::Closed("xz")),
            (b"plain text", Packing::None),
            (b"", Packing::None),
        ] {
            assert_eq!(packing(head), packing_of_it, "{head:?}");
        }
    }

    #[test]
    fn entries_are_found_without_a_directory() {
        let mut file = b"prefix".to_vec();
        file.extend_from_slice(ZIP_ENTRY);
        file.extend_from_slice(&[
            20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0,
        ]);
        file.extend_from_slice(b"aabcPK\x03\x04 no entry");
        let found = entries(&file).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].method, found[0].length),
            ("a", Method::Stored, Some(3))
        );
        assert!(found[0].data.starts_with(b"abc"));
    }
}
