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
    init_without(format, &[]);
}

/// Like [`init`], but of these targets only errors are written; `BOT_BOTTLE_LOG` can choose otherwise only for a part
/// of one (`h2::proto=debug`).
pub fn init_without(format: Format, quiet: &[&str]) {
    let filter = filter(std::env::var("BOT_BOTTLE_LOG").ok().as_deref(), quiet);
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a second subscriber makes this fail, and the first one is as good.
    let _ = match format {
        Format::Json => log.json().flatten_event(true).try_init(),
        Format::Auto if !terminal => log.json().flatten_event(true).try_init(),
        _ => log.with_ansi(terminal).with_target(false).try_init(),
    };
}

fn filter(chosen: Option<&str>, quiet: &[&str]) -> EnvFilter {
    let filter = chosen.and_then(|chosen| EnvFilter::try_new(chosen).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info"));
    let quiet = quiet.iter().filter_map(|target| format!("{target}=error").parse().ok());
    quiet.fold(filter, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(chosen: Option<&str>) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().with_env_filter(filter(chosen, &["loud"]));
        tracing::subscriber::with_default(log.with_writer(move || writer.clone()).finish(), || {
            tracing::warn!(target: "loud::inside", "noise");
            tracing::error!(target: "loud", "failure");
            tracing::info!("ours");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_quiet_target_writes_errors_only() {
        for chosen in [None, Some("info"), Some("trace")] {
            let text = written(chosen);
            assert!(!text.contains("noise") && text.contains("failure") && text.contains("ours"), "{text}");
        }
        assert!(written(Some("info,loud::inside=warn")).contains("noise"));
    }
}
