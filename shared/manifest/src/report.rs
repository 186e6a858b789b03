//! Everything that is wrong with a home and a repository (M11).

use std::fmt;
use std::path::{Path, PathBuf};

use base::id::BottleName;
use serde::Serialize;

use crate::agent::{Agent, Origin};
use crate::bottle::Bottle;
use crate::dispatch::DispatchFile;
use crate::home::Home;
use crate::library::{Library, Reach};
use crate::problem::{FileProblem, Place, Warning, inert_path};
use crate::resolve::ResolveError;
use crate::settings::Settings;
use crate::skills::SkillError;

/// What `config check` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every file that was read, in order.
    pub files: Vec<PathBuf>,
    /// What is wrong, file by file.
    pub problems: Vec<FileProblem>,
    /// What was passed over.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Checks every manifest under the home, and every agent of the repository at `repo`: each file alone, and that
    /// what it names is there and fits.
    #[must_use]
    pub fn of(home: Home, repo: Option<&Path>) -> Self {
        let library = match repo {
            Some(root) => Library::of_home_and_repo(home, root),
            None => Library::of_home(home),
        };
        let mut report =
            Self { files: Vec::new(), problems: Vec::new(), warnings: library.warnings().to_vec() };
        report.problems.extend(Settings::load(library.home()).err().iter().flatten().cloned());
        report.dispatch(&library);
        for (name, entry) in library.providers() {
            report
                .problems
                .extend(entry.as_ref().err().iter().flat_map(|broken| broken.problems.iter().cloned()));
            report.files.push(library.home().root().join("contrib").join(name).join("provider.yaml"));
        }
        for (name, entry) in library.bottles() {
            let path = library.home().bottles().join(format!("{name}.md"));
            match entry {
                Ok(bottle) => report.problems.extend(bottle_links(&library, bottle, &path)),
                Err(broken) => report.problems.extend(broken.problems.iter().cloned()),
            }
            report.files.push(path);
        }
        for (_, entry) in library.agents(Reach::Repo) {
            match entry {
                Ok(agent) => {
                    let path = agent_path(&library, agent);
                    report.problems.extend(agent_links(&library, agent, &path));
                    report.problems.extend(agent_skills(&library, agent, &path));
                    report.files.push(path);
                }
                Err(broken) => {
                    report.problems.extend(broken.problems.iter().cloned());
                    report.files.push(broken.path.clone());
                }
            }
        }
        report.problems.extend(broken_skills(library.home()));
        report
    }

    /// The dispatcher's file, and that the agents that it names are there.
    fn dispatch(&mut self, library: &Library) {
        let path = DispatchFile::file(library.home());
        let file = match DispatchFile::load(library.home()) {
            Ok(None) => return,
            Ok(Some(file)) => file,
            Err(problems) => {
                self.problems.extend(problems.iter().cloned());
                self.files.push(path);
                return;
            }
        };
        let known: Vec<String> = library.agents(Reach::Home).map(|(name, _)| name.to_string()).collect();
        for (index, agent) in
            file.rules.iter().enumerate().filter_map(|(i, rule)| Some((i, rule.agent.as_ref()?)))
        {
            if !known.iter().any(|name| name == agent.as_str()) {
                let message = format!("there is no agent {agent} under the home");
                let key = format!("rules[{index}].agent");
                self.problems.push(FileProblem { path: path.clone(), place: Place::START, key, message });
            }
        }
        self.files.push(path);
    }

    /// Whether nothing is wrong. Warnings do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    /// Each warning and each problem on a line, then how much there was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "{warning}")?;
        }
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let count =
            |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        write!(f, "{}, {}", count(self.files.len(), "file"), count(self.problems.len(), "problem"))
    }
}

fn agent_path(library: &Library, agent: &Agent) -> PathBuf {
    let directory = match &agent.origin {
        Origin::Home => library.home().agents(),
        Origin::Repo { root } => root.join(".bot-bottle").join("agents"),
    };
    directory.join(format!("{}.md", agent.name))
}

fn bottle_links(library: &Library, bottle: &Bottle, path: &Path) -> Vec<FileProblem> {
    let error = library.resolve_bottles(std::slice::from_ref(&bottle.name)).err();
    error.map_or_else(Vec::new, |error| link_problems(error, path, "extends", bottle.extends_at))
}

/// Only whether the bottle that it names is there: what is wrong with that one is said once, at its own file.
fn agent_links(library: &Library, agent: &Agent, path: &Path) -> Option<FileProblem> {
    let name: &BottleName = agent.file.bottle.as_ref()?;
    if library.bottles().contains_key(name) {
        return None;
    }
    let near = policy::check::nearest(name.as_str(), library.bottles().keys().map(BottleName::as_str));
    let advice = near.map_or_else(
        || format!("write {}", inert_path(&library.home().bottles().join(format!("{name}.md")))),
        |near| format!("did you mean {near}?"),
    );
    let message = format!("there is no bottle {name}; {advice}");
    Some(FileProblem { path: path.to_owned(), place: agent.bottle_at, key: "bottle".to_owned(), message })
}

/// Skills that it names and that are not there; what is wrong with one is said once, at its own directory.
fn agent_skills(library: &Library, agent: &Agent, path: &Path) -> Vec<FileProblem> {
    let missing = agent.file.skills.iter().filter_map(|name| match library.home().skill(name) {
        Err(error @ SkillError::Unknown { .. }) => Some(error.to_string()),
        _ => None,
    });
    let problem = |message| FileProblem {
        path: path.to_owned(),
        place: agent.skills_at,
        key: "skills".to_owned(),
        message,
    };
    missing.map(problem).collect()
}

fn broken_skills(home: &Home) -> Vec<FileProblem> {
    let skills = home.skill_names().into_iter();
    let broken = skills.filter_map(|name| match home.skill(&name) {
        Err(SkillError::Broken { reason, .. }) => Some((name, reason)),
        _ => None,
    });
    let problem = |(name, message): (String, String)| FileProblem {
        path: home.skills().join(name),
        place: Place::START,
        key: String::new(),
        message,
    };
    broken.map(problem).collect()
}

fn link_problems(error: ResolveError, path: &Path, key: &str, place: Place) -> Vec<FileProblem> {
    let problem = |place, key: String, message| FileProblem { path: path.to_owned(), place, key, message };
    match error {
        ResolveError::Conflict { problems, .. } => problems
            .into_iter()
            .map(|found| {
                let message = format!("together with what it extends: {}", found.message);
                problem(Place::START, found.at.to_string(), message)
            })
            .collect(),
        ResolveError::Broken(broken) => {
            let message = format!("{} is broken", inert_path(&broken.path));
            vec![problem(place, key.to_owned(), message)]
        }
        error => vec![problem(place, key.to_owned(), error.to_string())],
    }
}
