//! The one door to the `git` program. Nothing that a repository, a user or the system has set is read: no
//! configuration, hooks, attributes, replace refs, grafts or mailmap, and no locale but C.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Settings that hold for every call, over whatever a repository's own file says.
const SETTINGS: [(&str, &str); 14] = [
    // A hook, filter or monitor is a program that somebody else chose.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    // Replace refs, grafts and mail maps show another history than the one that is pushed.
    ("core.useReplaceRefs", "false"),
    ("log.mailmap", "false"),
    // Housekeeping would run when nobody owns it, and delete what a push in quarantine still needs.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // Every object is checked when it comes in, from either side.
    ("transfer.fsckObjects", "true"),
    ("transfer.credentialsInUrl", "die"),
    ("http.followRedirects", "false"),
    ("submodule.recurse", "false"),
    ("protocol.version", "2"),
    // The mirror belongs to the gate, whichever user number it has in its box.
    ("safe.directory", "*"),
];

/// The `git` program, and a directory without anything in it that stands for the home.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    home: PathBuf,
}

impl Git {
    /// `home` is an empty directory that nobody else writes to.
    #[must_use]
    pub fn new(program: PathBuf, home: PathBuf) -> Self {
        Self { program, home }
    }

    /// A call on a bare repository. The caller adds arguments, and `--` or `--end-of-options` before values that came
    /// from outside. The child is killed when its handle is dropped; it reads nothing unless it is given something.
    #[must_use]
    pub fn command(&self, repository: &Path) -> Command {
        self.command_with(repository, [])
    }

    /// Like [`Git::command`], with further settings, which hold over the standing ones.
    #[must_use]
    pub fn command_with<'a>(
        &self,
        repository: &Path,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment())
            .envs(configuration(settings))
            .env("GIT_DIR", repository)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn environment(&self) -> Vec<(String, &OsStr)> {
        let fixed = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            // Not /dev/null itself: git would find a file there, and say that grafts are old.
            ("GIT_GRAFT_FILE", "/dev/null/none"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ALLOW_PROTOCOL", "ssh:https"),
            ("GIT_OPTIONAL_LOCKS", "0"),
        ];
        let owned = |(name, value): (&str, &'static str)| (name.to_owned(), OsStr::new(value));
        let mut variables: Vec<_> = fixed.into_iter().map(owned).collect();
        variables.push(("HOME".to_owned(), self.home.as_os_str()));
        variables
    }
}

/// Settings as git reads them from its environment.
fn configuration<'a>(further: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut count = 0;
    for (key, value) in SETTINGS.into_iter().chain(further) {
        variables.push((format!("GIT_CONFIG_KEY_{count}"), key.to_owned()));
        variables.push((format!("GIT_CONFIG_VALUE_{count}"), value.to_owned()));
        count += 1;
    }
    variables.push(("GIT_CONFIG_COUNT".to_owned(), count.to_string()));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_counted_and_the_last_holds() {
        let variables = configuration([("gc.auto", "1")]);
        let count = SETTINGS.len();
        assert_eq!(variables.last(), Some(&("GIT_CONFIG_COUNT".to_owned(), (count + 1).to_string())));
        assert!(variables.contains(&(format!("GIT_CONFIG_VALUE_{count}"), "1".to_owned())));
    }
}
