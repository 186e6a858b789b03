//! What the host must provide, each with its exact cure (L11).

mod docker;

use std::borrow::Cow;
use std::path::Path;
use std::process::{Command, Stdio};

pub use self::docker::{Need, docker, has_gvisor};
use crate::config::LauncherConfig;
use crate::tools::{self, GateTools};

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Prerequisite {
    /// What: `bubblewrap`.
    pub name: Cow<'static, str>,
    /// What was found: a version, or that it works.
    pub found: Result<String, Missing>,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{problem}: {cure}")]
pub struct Missing {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

/// The oldest bubblewrap that can forbid further user namespaces.
const OLDEST: (u32, u32) = (0, 8);
/// The oldest git whose settings the gate relies on.
const OLDEST_GIT: (u32, u32) = (2, 36);
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const LIMIT: &str = "/proc/sys/user/max_user_namespaces";

/// Looks at everything that the `namespace` backend and its sidecars need. Starts a few short processes.
#[must_use]
pub fn prerequisites(config: &LauncherConfig) -> Vec<Prerequisite> {
    let bubblewrap = bubblewrap(&config.bubblewrap);
    let namespaces = match &bubblewrap {
        Ok(_) => namespaces(&config.bubblewrap),
        Err(_) => Err(missing("not tried without bubblewrap", "install bubblewrap first")),
    };
    vec![
        Prerequisite { name: "bubblewrap".into(), found: bubblewrap },
        Prerequisite { name: "user namespaces".into(), found: namespaces },
        Prerequisite { name: "bot-bottle-init".into(), found: program(&config.init()) },
        Prerequisite { name: "bot-bottle-egress".into(), found: program(&config.egress()) },
        Prerequisite { name: "bot-bottle-door".into(), found: program(&config.door()) },
        Prerequisite { name: "bot-bottle-gitgate".into(), found: program(&config.gitgate()) },
        Prerequisite { name: "bot-bottle-deploy-keys".into(), found: program(&config.deploy_keys()) },
        Prerequisite { name: "git".into(), found: git() },
        Prerequisite { name: "gitleaks".into(), found: gitleaks(config) },
        Prerequisite { name: "home".into(), found: home(&config.home) },
    ]
}

fn missing(problem: impl Into<String>, cure: impl Into<String>) -> Missing {
    Missing { problem: problem.into(), cure: cure.into() }
}

fn bubblewrap(path: &Path) -> Result<String, Missing> {
    const INSTALL: &str =
        "install it: `apt-get install bubblewrap`, `dnf install bubblewrap` or `pacman -S bubblewrap`";
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output();
    let output =
        output.map_err(|e| missing(format!("{} cannot be started ({e})", path.display()), INSTALL))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match version(&text) {
        Some(found) if found >= OLDEST => Ok(text),
        _ => Err(missing(
            format!(
                "{} says {:?}, and {}.{} or newer is needed",
                path.display(),
                base::inert(&text, 80),
                OLDEST.0,
                OLDEST.1
            ),
            INSTALL,
        )),
    }
}

/// `bubblewrap 0.8.0`, `git version 2.39.5`, and with a word in parentheses after it.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = number.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Makes the smallest box.
fn namespaces(bubblewrap: &Path) -> Result<String, Missing> {
    let mut command = Command::new(bubblewrap);
    command.args([
        "--unshare-user",
        "--unshare-pid",
        "--unshare-net",
        "--disable-userns",
        "--ro-bind",
        "/",
        "/",
    ]);
    command.args(["--proc", "/proc", "--dev", "/dev", "true"]).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|e| missing(format!("no box can be made ({e})"), "see `bot-bottle doctor`"))?;
    if output.status.success() {
        return Ok("work".to_owned());
    }
    let words = base::inert(String::from_utf8_lossy(&output.stderr).trim(), 300);
    let setting =
        |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    Err(missing(
        format!("no box can be made ({words})"),
        cure(&setting(APPARMOR), &setting(CLONE), &setting(LIMIT)),
    ))
}

/// The cure, from the kernel settings that forbid user namespaces.
fn cure(apparmor: &str, clone: &str, limit: &str) -> String {
    match (apparmor, clone, limit) {
        ("1", ..) => "AppArmor forbids user namespaces to ordinary programs: allow them to bubblewrap with a profile \
                      in /etc/apparmor.d/bwrap that says `profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }`, \
                      or to all with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
            .to_owned(),
        (_, "0", _) => "allow them with `sysctl kernel.unprivileged_userns_clone=1`".to_owned(),
        (.., "0") => "allow them with `sysctl user.max_user_namespaces=15000`".to_owned(),
        _ => "if this is a container, it must be allowed to make namespaces and to mount proc (Docker: \
              `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`)"
            .to_owned(),
    }
}

fn program(path: &Path) -> Result<String, Missing> {
    match rustix::fs::access(path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => Ok(path.display().to_string()),
        Err(error) => Err(missing(
            format!("{} is not there or not executable ({error})", path.display()),
            "install bot-bottle's programs into one directory, or name it with --programs; from source: `make build`",
        )),
    }
}

/// The git gate's own; what the agent uses in its bottle is the same file.
fn git() -> Result<String, Missing> {
    const INSTALL: &str =
        "install a newer one from the system's packages: `apt-get install git openssh-client`";
    let path = tools::system("git").ok_or_else(|| missing("git is not in /usr", INSTALL))?;
    let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let output =
        output.map_err(|e| missing(format!("{} cannot be started ({e})", path.display()), INSTALL))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match version(&text) {
        Some(found) if found >= OLDEST_GIT => Ok(format!("{}, {text}", path.display())),
        _ => Err(missing(
            format!(
                "{} says {:?}, and {}.{} or newer is needed",
                path.display(),
                base::inert(&text, 80),
                OLDEST_GIT.0,
                OLDEST_GIT.1
            ),
            INSTALL,
        )),
    }
}

fn gitleaks(config: &LauncherConfig) -> Result<String, Missing> {
    match GateTools::find(config) {
        Ok(tools) => Ok(tools.gitleaks.display().to_string()),
        Err(error) => Err(missing(format!("{} is not installed", error.name), error.cure)),
    }
}

fn home(path: &Path) -> Result<String, Missing> {
    if path.is_dir() {
        return Ok(path.display().to_string());
    }
    Err(missing(format!("{} is missing", path.display()), "make it with `bot-bottle init`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_cure_for_each_setting() {
        for (settings, word) in [
            (("1", "1", "1000"), "apparmor.d/bwrap"),
            (("", "0", "1000"), "unprivileged_userns_clone=1"),
            (("0", "1", "0"), "max_user_namespaces"),
            (("", "", ""), "container"),
        ] {
            assert!(cure(settings.0, settings.1, settings.2).contains(word), "{settings:?}");
        }
    }

    #[test]
    fn compares_versions_as_numbers() {
        assert!(version("bubblewrap 0.11.0").unwrap() > OLDEST);
        assert!(version("bubblewrap 0.4.1").unwrap() < OLDEST);
        assert_eq!(version("git version 2.39.3 (Apple Git-146)"), Some((2, 39)));
        assert_eq!(version("what"), None);
    }
}
