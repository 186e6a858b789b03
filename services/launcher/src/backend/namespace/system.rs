//! The parts of the host's system that a box sees, read-only.

use std::path::{Path, PathBuf};

/// Directories at the root that are part of `/usr` on newer systems and directories of their own on older ones.
const TOP: [&str; 6] = ["bin", "sbin", "lib", "lib64", "lib32", "libx32"];
/// Host-wide settings that programs need and that hold no secrets.
const SETTINGS: [&str; 14] = [
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/etc/xattr.conf",
];

/// What was found on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct System {
    /// Entries of the root beside `usr`.
    pub(super) top: Vec<Top>,
    /// Files and directories below `/etc` to show as they are.
    pub(super) settings: Vec<PathBuf>,
}

/// `/bin` and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Top {
    /// A link, with what it points to: `bin → usr/bin`.
    Link(String, String),
    /// A directory of its own.
    Directory(String),
}

impl System {
    /// Looks at this host.
    pub(super) fn find() -> Self {
        let mut settings: Vec<PathBuf> = SETTINGS.iter().map(PathBuf::from).filter(|p| p.exists()).collect();
        settings.extend(java_settings());
        Self { top: TOP.iter().filter_map(|name| top(name)).collect(), settings }
    }
}

fn top(name: &str) -> Option<Top> {
    let path = Path::new("/").join(name);
    match path.read_link() {
        Ok(target) => Some(Top::Link(name.to_owned(), target.to_string_lossy().into_owned())),
        Err(_) => path.is_dir().then(|| Top::Directory(name.to_owned())),
    }
}

/// Debian keeps a Java runtime's own settings below `/etc` and it does not start without them.
fn java_settings() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("java-"));
    let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    found.sort();
    found
}
