//! Where a program's log goes and what it looks like. `docs/logging.md` fixes the names of the fields.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines are written to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One line of text for people.
    Text,
    /// One JSON object a line for machines.
    Json,
}

/// Starts logging for this process. `BOT_BOTTLE_LOG` chooses levels (`info` unless given), in the syntax of
/// `tracing`'s environment filter. A second call changes nothing.
pub fn init(format: Format) {
    let filter = EnvFilter::try_from_env("BOT_BOTTLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a second subscriber makes this fail, and the first one is as good.
    let _ = match format {
        Format::Json => log.json().flatten_event(true).try_init(),
        Format::Auto if !terminal => log.json().flatten_event(true).try_init(),
        _ => log.with_ansi(terminal).with_target(false).try_init(),
    };
}
