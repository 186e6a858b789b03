//! Opening the sidecar ports inside the bottle.

use std::net::{SocketAddr, TcpListener};

/// Listens on each address.
///
/// # Errors
/// An address is not loopback or is taken, or this process inherited descriptors it should not have. The text says
/// which.
pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let inherited = inherited_descriptors().map_err(|e| format!("cannot list init's descriptors: {e}"))?;
    if !inherited.is_empty() {
        return Err(format!("init inherited descriptors that it must not have: {}", inherited.join(", ")));
    }
    addresses.iter().map(|address| listen(*address)).collect()
}

fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    if !address.ip().is_loopback() {
        return Err(format!("{address} is not a loopback address"));
    }
    TcpListener::bind(address).map_err(|e| format!("cannot listen on {address} inside the bottle: {e}"))
}

/// Everything but the standard streams, the channel and the listing itself.
fn inherited_descriptors() -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let number: i32 = entry.file_name().to_string_lossy().parse().unwrap_or(i32::MAX);
        let target = std::fs::read_link(entry.path()).unwrap_or_default().display().to_string();
        let ours =
            number <= 2 || target.starts_with("socket:") && is_channel(number) || target.ends_with("/fd");
        if !ours {
            found.push(format!("{number} ({target})"));
        }
    }
    Ok(found)
}

/// The channel is the first descriptor that init opens itself.
fn is_channel(number: i32) -> bool {
    number == 3
}
