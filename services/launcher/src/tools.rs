//! Programs of the host that a bottle's git gate runs in its box.

use std::path::{Path, PathBuf};

use crate::config::LauncherConfig;

/// Where a box sees the host's programs; the distribution's own come first.
const SYSTEM: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];
/// Names another gitleaks than the one that is found.
const GITLEAKS: &str = "BOT_BOTTLE_GITLEAKS";

/// What the gate runs, as host paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateTools {
    pub(crate) git: PathBuf,
    pub(crate) gitleaks: PathBuf,
    /// Only needed where a repository is reached by SSH.
    pub(crate) ssh: Option<PathBuf>,
}

/// A program that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is missing: {cure}")]
pub(crate) struct MissingTool {
    pub(crate) name: &'static str,
    pub(crate) cure: &'static str,
}

const NO_GIT: MissingTool =
    MissingTool { name: "git", cure: "install it from the system's packages: `apt-get install git`" };
const NO_GITLEAKS: MissingTool = MissingTool {
    name: "gitleaks",
    cure: "`deploy/tools/fetch` unpacks the pinned one; or name one with BOT_BOTTLE_GITLEAKS",
};

impl GateTools {
    /// Looks for them.
    ///
    /// # Errors
    /// The first that is missing, without `ssh`, which not every bottle needs.
    pub(crate) fn find(config: &LauncherConfig) -> Result<Self, MissingTool> {
        let git = system("git").ok_or(NO_GIT)?;
        let gitleaks = gitleaks(config).ok_or(NO_GITLEAKS)?;
        Ok(Self { git, gitleaks, ssh: system("ssh") })
    }
}

/// A program that every box sees.
pub(crate) fn system(name: &str) -> Option<PathBuf> {
    SYSTEM.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
}

/// The one that the environment names; else beside the launcher's programs, in `.tools/bin` above them, or in the path.
pub(crate) fn gitleaks(config: &LauncherConfig) -> Option<PathBuf> {
    if let Some(named) = config.environment.get(GITLEAKS) {
        return Some(PathBuf::from(named.expose()));
    }
    let beside = config.programs.join("gitleaks");
    let tools = config.programs.ancestors().map(|directory| directory.join(".tools/bin/gitleaks"));
    let path = config.environment.get("PATH").map(|path| path.expose().to_owned()).unwrap_or_default();
    let installed: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join("gitleaks")).collect();
    std::iter::once(beside).chain(tools).chain(installed).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitleaks_is_named_or_found_beside_the_programs_or_above_them() {
        let root = tempfile::tempdir().unwrap();
        let programs = root.path().join("target/debug");
        let tools = root.path().join(".tools/bin");
        [&programs, &tools].into_iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
        let mut config = LauncherConfig::new("/home".into(), programs.clone(), String::new());
        config.environment = [("PATH".to_owned(), "/nowhere".to_owned())].into_iter().collect();
        assert_eq!(gitleaks(&config), None);
        assert_eq!(GateTools::find(&config).map_err(|missing| missing.name), Err("gitleaks"));
        std::fs::write(tools.join("gitleaks"), "").unwrap();
        assert_eq!(gitleaks(&config), Some(tools.join("gitleaks")));
        std::fs::write(programs.join("gitleaks"), "").unwrap();
        assert_eq!(gitleaks(&config), Some(programs.join("gitleaks")));
        config.environment = [(GITLEAKS.to_owned(), "/mine".to_owned())].into_iter().collect();
        assert_eq!(gitleaks(&config), Some("/mine".into()));
    }
}
