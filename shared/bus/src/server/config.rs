//! The server's configuration.

use std::fmt::Write as _;
use std::path::Path;

use crate::keys::{Keys, KeysError};

/// The text of `nats.conf`. It holds no secret: claims are signed, not encrypted.
pub(super) fn render(dir: &Path, port: Option<u16>, keys: &Keys) -> Result<String, KeysError> {
    let port = port.map_or("-1".to_owned(), |port| port.to_string());
    let accounts = keys.account_jwts()?;
    let system = accounts.first().map(|(key, _)| key.as_str()).unwrap_or_default();
    let operator = keys.operator_jwt()?;
    let quoted = |name: &str| format!("{:?}", dir.join(name).display().to_string());
    let (store, log, ports) = (quoted("store"), quoted("server.log"), quoted("run"));
    let mut preload = String::new();
    for (key, jwt) in &accounts {
        // Writing to a String cannot fail.
        let _ = writeln!(preload, "  {key}: {jwt}");
    }
    Ok(format!(
        "# Written by bot-bottle at each start; changes are lost.
listen: \"127.0.0.1:{port}\"
server_name: bot-bottle
ports_file_dir: {ports}
log_file: {log}
logfile_size_limit: 10MB
logfile_max_num: 3
max_payload: 1MB
jetstream {{
  store_dir: {store}
  # Acknowledged means on disk.
  sync_interval: always
}}
operator: {operator}
system_account: {system}
resolver: MEMORY
resolver_preload: {{
{preload}}}
"
    ))
}
