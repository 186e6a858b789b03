//! All manifests that can be seen, whole and broken (M1, M2, M6).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base::id::{AgentName, BottleName};

use crate::agent::{Agent, Origin};
use crate::bottle::Bottle;
use crate::grants;
use crate::home::{Home, Links, list, read, same};
use crate::load::{parse_agent, parse_bottle};
use crate::problem::{FileProblems, Warning};
use crate::provider::{self, ProviderFile, Providers};

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problems}")]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// Where it comes from.
    pub origin: Origin,
    /// What is wrong with it.
    pub problems: FileProblems,
}

/// One manifest: usable, or broken with its reasons.
pub type Entry<T> = Result<T, Broken>;

/// Whose agents may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The operator's own: for everything that was asked for by a message.
    Home,
    /// Those of the current repository as well: only for a person who starts one there.
    Repo,
}

/// All manifests of a home, and the agents of a repository.
#[derive(Clone, Debug)]
pub struct Library {
    home: Home,
    bottles: BTreeMap<BottleName, Entry<Bottle>>,
    agents: BTreeMap<AgentName, Entry<Agent>>,
    providers: Providers,
    repo_agents: BTreeMap<AgentName, Entry<Agent>>,
    warnings: Vec<Warning>,
}

impl Library {
    /// Loads everything under the home, and nothing else.
    #[must_use]
    pub fn of_home(home: Home) -> Self {
        let mut warnings = Vec::new();
        let mut bottles = load(&home.bottles(), &Origin::Home, &mut warnings, |name, path, text| {
            parse_bottle(name, path, text)
        });
        for (name, entry) in &mut bottles {
            let Ok(bottle) = entry else { continue };
            match grants::load(&home, name) {
                Ok(kept) => bottle.grants = kept,
                Err(problems) => {
                    let path = grants::file(&home, name);
                    *entry = Err(Broken { path, origin: Origin::Home, problems });
                }
            }
        }
        // A grants file is no bottle of its own.
        warnings.retain(|warning| !is_beside(&warning.path, &bottles));
        let agents = load(&home.agents(), &Origin::Home, &mut warnings, |name, path, text| {
            parse_agent(name, Origin::Home, path, text)
        });
        let providers = provider::load(&home, &mut warnings);
        Self { home, bottles, agents, providers, repo_agents: BTreeMap::new(), warnings }
    }

    /// Loads everything under the home, and the agents that the repository at `root` ships. Where both have an agent
    /// of one name, the home's is the one, even if it is broken.
    #[must_use]
    pub fn of_home_and_repo(home: Home, root: &Path) -> Self {
        let mut library = Self::of_home(home);
        let directory = root.join(".bot-bottle");
        if same(&directory, library.home.root()) {
            return library;
        }
        if directory.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            library.warn(&directory, "a repository's .bot-bottle cannot be a link; it was passed over");
            return library;
        }
        if directory.join("bottles").symlink_metadata().is_ok() {
            let message =
                "a repository cannot bring bottles; they are ignored. Bottles are loaded from the home only";
            library.warn(&directory.join("bottles"), message);
        }
        let origin = Origin::Repo { root: root.to_owned() };
        let found = load(&directory.join("agents"), &origin, &mut library.warnings, |name, path, text| {
            parse_agent(name, origin.clone(), path, text)
        });
        for (name, entry) in found {
            if library.agents.contains_key(&name) {
                let path = directory.join("agents").join(format!("{name}.md"));
                library.warn(
                    &path,
                    &format!("passed over: the home has an agent {name}, and the home's is used"),
                );
            } else {
                library.repo_agents.insert(name, entry);
            }
        }
        library
    }

    fn warn(&mut self, path: &Path, message: &str) {
        self.warnings.push(Warning { path: path.to_owned(), message: message.to_owned() });
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// All bottles by name.
    #[must_use]
    pub fn bottles(&self) -> &BTreeMap<BottleName, Entry<Bottle>> {
        &self.bottles
    }

    /// The operator's own providers by name.
    #[must_use]
    pub fn providers(&self) -> &BTreeMap<String, Entry<ProviderFile>> {
        &self.providers
    }

    /// All agents within reach by name.
    pub fn agents(&self, reach: Reach) -> impl Iterator<Item = (&AgentName, &Entry<Agent>)> {
        let more = (reach == Reach::Repo).then_some(&self.repo_agents);
        self.agents.iter().chain(more.into_iter().flatten())
    }

    /// One agent within reach.
    #[must_use]
    pub fn agent(&self, name: &AgentName, reach: Reach) -> Option<&Entry<Agent>> {
        let more = (reach == Reach::Repo).then_some(&self.repo_agents);
        self.agents.get(name).or_else(|| more?.get(name))
    }

    /// What was passed over.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Whether a file holds the grants of one of these bottles.
fn is_beside(path: &Path, bottles: &BTreeMap<BottleName, Entry<Bottle>>) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name = stem.and_then(|stem| stem.strip_suffix(grants::SUFFIX)?.parse::<BottleName>().ok());
    name.is_some_and(|name| bottles.contains_key(&name))
}

fn load<N: FromStr + Ord + Clone, T>(
    directory: &Path,
    origin: &Origin,
    warnings: &mut Vec<Warning>,
    parse: impl Fn(N, &Path, &str) -> Result<T, FileProblems>,
) -> BTreeMap<N, Entry<T>> {
    let links = if *origin == Origin::Home { Links::Followed } else { Links::Refused };
    let mut loaded = BTreeMap::new();
    for (stem, path) in list(directory, links, warnings) {
        let Ok(name) = stem.parse::<N>() else {
            let message = "passed over: a name is a lower-case letter, then lower-case letters, digits and hyphens, \
                           at most 50";
            warnings.push(Warning { path, message: message.to_owned() });
            continue;
        };
        let text = read(&path, links).map_err(|message| FileProblems::whole(&path, message));
        let entry = text.and_then(|text| parse(name.clone(), &path, &text));
        loaded.insert(
            name,
            entry.map_err(|problems| Broken { path: path.clone(), origin: origin.clone(), problems }),
        );
    }
    loaded
}
