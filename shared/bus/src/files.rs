//! Files that only their owner may read.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use base::Secret;

/// Makes a directory, and those above it, mode 0700; an existing one becomes so.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Writes a file, mode 0600, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = staged(path, content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes a file that is not there yet, mode 0600, whole or not at all; false when it is there already.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> io::Result<bool> {
    match staged(path, content)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

fn staged(path: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Reads a file that holds a secret; refuses one that others may read.
pub(crate) fn read_private(path: &Path) -> io::Result<Secret> {
    if std::fs::metadata(path)?.mode() & 0o077 != 0 {
        let cure = format!("others may read it: chmod 600 {}", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, cure));
    }
    std::fs::read_to_string(path).map(Secret::new)
}
