//! The headers of entries. Names are put in by bytes: tar's own helpers repair paths, and here none needs it.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tar::{EntryType, Header};

/// The longest path and the longest target of a link; the kernel takes no longer ones.
pub(crate) const LONGEST: usize = 4096;
/// Bytes of tar beside the content for one entry at most: its header, two long names with theirs, and the padding.
pub(crate) const AROUND: u64 = 3 * 512 + 2 * (LONGEST as u64 + 512) + 512;

/// An entry's metadata.
pub(crate) struct Meta {
    pub(crate) kind: EntryType,
    pub(crate) mode: u32,
    pub(crate) mtime: u64,
    pub(crate) size: u64,
}

/// Writes the header of an entry; its content comes next, if it has one.
pub(crate) fn header<W: Write>(to: &mut W, path: &Path, link: &OsStr, meta: &Meta) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(meta.kind);
    header.set_mode(meta.mode);
    header.set_mtime(meta.mtime);
    header.set_size(meta.size);
    let fields = header.as_gnu_mut().ok_or(io::ErrorKind::InvalidData)?;
    name(to, path.as_os_str(), EntryType::GNULongName, &mut fields.name)?;
    name(to, link, EntryType::GNULongLink, &mut fields.linkname)?;
    header.set_cksum();
    to.write_all(header.as_bytes())
}

/// Fills the rest of the block that a content of this size ends in.
pub(crate) fn padding<W: Write>(to: &mut W, size: u64) -> io::Result<()> {
    let used = usize::try_from(size % 512).unwrap_or(0);
    if used == 0 { Ok(()) } else { to.write_all(&[0; 512][used..]) }
}

/// The two empty blocks at the end.
pub(crate) fn end<W: Write>(to: &mut W) -> io::Result<()> {
    to.write_all(&[0; 1024])
}

fn name<W: Write>(to: &mut W, name: &OsStr, kind: EntryType, field: &mut [u8; 100]) -> io::Result<()> {
    let bytes = name.as_bytes();
    let fits = bytes.len().min(field.len());
    field[..fits].copy_from_slice(&bytes[..fits]);
    if bytes.len() <= field.len() {
        return Ok(());
    }
    let size = bytes.len() as u64 + 1;
    let mut long = Header::new_gnu();
    long.set_entry_type(kind);
    long.set_size(size);
    if let Some(fields) = long.as_gnu_mut() {
        fields.name[..13].copy_from_slice(b"././@LongLink");
    }
    long.set_cksum();
    to.write_all(long.as_bytes())?;
    to.write_all(bytes)?;
    to.write_all(&[0])?;
    padding(to, size)
}
