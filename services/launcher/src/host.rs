//! What the launcher may read of its host's environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::Secret;

/// The host's environment variables, taken once. Any of them may be a secret.
#[derive(Clone, Default)]
pub struct HostEnvironment(BTreeMap<String, Secret>);

impl HostEnvironment {
    /// This process's own environment; variables that are not UTF-8 are passed over.
    #[must_use]
    pub fn of_process() -> Self {
        let all = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        all.collect()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// A path below the operator's home directory for `~/…`, any other path as it is.
    pub(crate) fn expand(&self, path: &std::path::Path) -> PathBuf {
        match (path.strip_prefix("~"), self.get("HOME")) {
            (Ok(rest), Some(home)) => PathBuf::from(home.expose()).join(rest),
            _ => path.to_owned(),
        }
    }
}

impl FromIterator<(String, String)> for HostEnvironment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }
}
