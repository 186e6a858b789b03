//! Files that a forge or another service runs without anybody's doing (G7). Names are compared without case.

/// Directories of which everything counts.
const DIRECTORIES: [&str; 9] = [
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".builds",
    ".tekton",
    ".semaphore",
    ".gitlab",
    ".azure-pipelines",
    ".teamcity",
];
/// Directories of which some directories count.
const FORGES: [&str; 3] = [".github", ".gitea", ".forgejo"];
/// Those.
const OF_FORGES: [&str; 2] = ["workflows", "actions"];
/// How names of files begin that count.
const FILES: [&str; 16] = [
    ".gitlab-ci.",
    ".woodpecker.",
    ".drone.",
    "jenkinsfile",
    "azure-pipelines",
    ".azure-pipelines",
    ".travis.",
    "bitbucket-pipelines.",
    "appveyor.",
    ".appveyor.",
    ".cirrus.",
    ".build.",
    "buildspec.",
    "cloudbuild.",
    "wercker.",
    ".screwdriver.",
];

/// What an entry has to do with workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    None,
    /// It, and everything in it.
    All,
    /// Only what forges run in it.
    Forge,
}

/// Of an entry of a root directory.
pub(crate) fn interest(name: &[u8]) -> Interest {
    let lower = name.to_ascii_lowercase();
    let Ok(lower) = std::str::from_utf8(&lower) else { return Interest::None };
    if FORGES.contains(&lower) {
        Interest::Forge
    } else if DIRECTORIES.contains(&lower) || FILES.iter().any(|start| lower.starts_with(start)) {
        Interest::All
    } else {
        Interest::None
    }
}

impl Interest {
    /// Of an entry of a directory that is of this interest.
    pub(crate) fn below(self, name: &[u8]) -> Self {
        let is_of_forge = || OF_FORGES.iter().any(|of| name.eq_ignore_ascii_case(of.as_bytes()));
        match self {
            Self::All => Self::All,
            Self::Forge if is_of_forge() => Self::All,
            Self::Forge | Self::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_run_is_known_whatever_its_case() {
        for (path, is_workflow) in [
            (".github/workflows/ci.yml", true),
            (".GitHub/Workflows/ci.yml", true),
            (".github/actions/a/action.yml", true),
            (".github/CODEOWNERS", false),
            (".forgejo/workflows", true),
            (".gitea/template.md", false),
            (".gitlab-ci.yml", true),
            (".circleci/x/y", true),
            ("Jenkinsfile.release", true),
            (".woodpecker.yaml", true),
            ("workflows/ci.yml", false),
            ("src/.github/workflows/ci.yml", false),
            ("README.md", false),
        ] {
            let mut parts = path.split('/');
            let first = interest(parts.next().unwrap().as_bytes());
            let last = parts.fold(first, |interest, name| interest.below(name.as_bytes()));
            assert_eq!(last == Interest::All, is_workflow, "{path}");
        }
    }
}
