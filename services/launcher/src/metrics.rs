//! Whether the operator wants the proxies of this host to count (E17).

use std::path::{Path, PathBuf};

use crate::backend::SIDECAR_SPOOL;
use crate::host::HostEnvironment;

/// The variable that says `on`; `off` is as good as nothing.
const METRICS: &str = "BOT_BOTTLE_METRICS";

/// A word that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("{METRICS} is neither `on` nor `off`")]
pub(crate) struct UnusableMetrics;

/// The socket that a proxy tells its metrics on, as it sees its own directory: no agent sees that.
pub(crate) fn socket(environment: &HostEnvironment) -> Result<Option<PathBuf>, UnusableMetrics> {
    match environment.get(METRICS).map(|value| value.expose()) {
        None | Some("" | "off") => Ok(None),
        Some("on") => Ok(Some(Path::new(SIDECAR_SPOOL).join("metrics.sock"))),
        Some(_) => Err(UnusableMetrics),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_itself_turns_it_on() {
        let of = |value: &str| socket(&[(METRICS.to_owned(), value.to_owned())].into_iter().collect());
        assert_eq!(socket(&HostEnvironment::default()).unwrap(), None);
        assert_eq!((of("").unwrap(), of("off").unwrap()), (None, None));
        assert_eq!(of("on").unwrap(), Some("/spool/metrics.sock".into()));
        assert_eq!(of("yes").unwrap_err().to_string(), "BOT_BOTTLE_METRICS is neither `on` nor `off`");
    }
}
