//! The server's configuration.

use std::path::Path;

/// The text of `nats.conf`. The accounts are in a file of their own, which other servers can include too.
pub(super) fn render(dir: &Path, port: Option<u16>) -> String {
    let port = port.map_or("-1".to_owned(), |port| port.to_string());
    let quoted = |name: &str| format!("{:?}", dir.join(name).display().to_string());
    let (store, log, ports) = (quoted("store"), quoted("server.log"), quoted("run"));
    format!(
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
include \"./accounts.conf\"
"
    )
}
