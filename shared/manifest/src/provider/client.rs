//! A provider with a bottle's options: everything that a launch needs to know of the agent's program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use policy::Route;
use policy::problem::{KeyPath, Problems};
use serde_json::Value as Json;

use super::file::{
    DoorFile, InstructionsFile, LoginFile, ModeFile, OptionFile, OptionKind, Pieces, ProviderFile,
    SessionFile, SessionId, VerifyFile,
};
use super::files::{self, Content, PlacedFile};
use super::template;
use super::{ProviderOptions, SessionFiles};

mod options;

use options::Given;

/// What is run, and how it is told everything. Its texts hold only names of [`template::AT_LAUNCH`] and of
/// [`LoginFile::values`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The provider's name.
    pub provider: String,
    /// The program.
    pub program: Program,
    /// Arguments after those of the mode.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Files below the agent's home.
    pub files: Vec<PlacedFile>,
    /// Routes for the proxy; a bottle's policy holds them already.
    pub routes: Vec<Route>,
    /// How the agent's prompt reaches it; before the task where there is nothing.
    pub instructions: Option<InstructionsFile>,
    /// Without a terminal.
    pub headless: ModeFile,
    /// On a terminal.
    pub interactive: Option<ModeFile>,
    /// How a conversation is continued.
    pub session: Option<SessionFile>,
    /// Arguments that register the bottle's MCP server.
    pub register: Option<Vec<String>>,
    /// The directory of skills below the home.
    pub skills: Option<String>,
    /// A command that must succeed.
    pub verify: Option<VerifyFile>,
    /// Phrases of a program that is not logged in.
    pub login: Vec<String>,
    /// The host's login that it uses.
    pub host_login: Option<LoginFile>,
}

/// The program of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Looked up on the host by its name.
    Named {
        /// The name.
        name: String,
        /// How a person gets it.
        install: Option<String>,
        /// What it only starts, below its `node_modules`.
        native: Vec<String>,
    },
    /// At this path of the host.
    At(PathBuf),
    /// These words, as the bottle finds them.
    Words(Vec<String>),
}

impl Client {
    /// A provider with what a bottle says of it. `supervised` says whether the bottle has an MCP server.
    ///
    /// # Errors
    /// Every option that is unknown, missing or wrong, each below `agent_provider`.
    pub fn of(file: &ProviderFile, said: &ProviderOptions, supervised: bool) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let at = KeyPath::root().key("agent_provider");
        let given = options::read(file, said, &at, &mut problems);
        let program = program(file, said, &at, &mut problems);
        if file.session.is_some() && said.session.is_some() {
            problems.push(&at.key("session"), "this provider has sessions of its own; leave `session` out");
        }
        let mut made = Made::default();
        made.add(&file.always, &given, &at, &mut problems);
        for (name, option) in &file.options {
            if given.is_on(name, option) {
                made.add(&option.adds, &given.with_value(name, option), &at.key(name), &mut problems);
            }
        }
        if supervised {
            made.add(&file.supervise.adds, &given, &at, &mut problems);
        }
        let known = given.login.iter().flat_map(|login| login.values.keys());
        made.check_filled(&known.map(String::as_str).collect::<Vec<_>>(), &at, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self::assemble(file, said, (program, made), supervised, &given))
    }

    fn assemble(
        file: &ProviderFile,
        said: &ProviderOptions,
        (program, made): (Program, Made),
        supervised: bool,
        given: &Given,
    ) -> Self {
        let filled = |texts: &[String]| {
            texts.iter().map(|text| template::fill(text, &given.values)).collect::<Vec<_>>()
        };
        let mode = |mode: &ModeFile| ModeFile {
            start: filled(&mode.start),
            resume: mode.resume.as_deref().map(filled),
            task: said.prompt.unwrap_or(mode.task),
            result: mode.result.clone(),
        };
        let DoorFile { command, .. } = &file.supervise;
        Self {
            provider: said.template.clone(),
            program,
            arguments: made.arguments,
            env: made.env,
            files: made.files,
            routes: made.routes,
            instructions: file.instructions.clone(),
            headless: mode(&file.headless),
            interactive: file.interactive.as_ref().map(mode),
            session: file.session.clone().or_else(|| said.session.as_ref().map(assigned)),
            register: command.as_deref().filter(|_| supervised).map(filled),
            skills: file.skills.clone(),
            verify: file.verify.clone(),
            login: file.login.clone(),
            host_login: given.login.clone(),
        }
    }
}

fn program(file: &ProviderFile, said: &ProviderOptions, at: &KeyPath, problems: &mut Problems) -> Program {
    match (&file.program, &said.program, &said.argv) {
        (Some(_), _, Some(_)) => {
            problems.push(&at.key("argv"), "this provider has a program of its own; leave `argv` out");
        }
        (None, Some(_), _) => {
            problems.push(&at.key("program"), "this provider's program is in `argv`; leave `program` out");
        }
        (_, Some(path), _) if !path.is_absolute() => {
            problems.push(&at.key("program"), "write the program's absolute path on the host");
        }
        (Some(_), Some(path), None) => return Program::At(path.clone()),
        (Some(name), None, None) => {
            let (install, native) = (file.install.clone(), file.native.clone());
            return Program::Named { name: name.clone(), install, native };
        }
        (None, None, argv) => match argv {
            Some(argv) if argv.first().is_some_and(|program| !program.is_empty()) => {
                return Program::Words(argv.clone());
            }
            _ => problems.push(
                &at.key("argv"),
                "this provider needs a program: write `argv: [program, argument]` beside `template`",
            ),
        },
    }
    Program::Words(Vec::new())
}

/// A session whose files the bottle names.
fn assigned(files: &SessionFiles) -> SessionFile {
    SessionFile { id: SessionId::Assigned, paths: files.paths.clone() }
}

/// What the pieces make together.
#[derive(Default)]
struct Made {
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    files: Vec<PlacedFile>,
    routes: Vec<Route>,
}

impl Made {
    fn add(&mut self, pieces: &Pieces, given: &Given, at: &KeyPath, problems: &mut Problems) {
        let Given { values, typed, .. } = given;
        let fill = |text: &String| template::fill(text, values);
        self.arguments.extend(pieces.arguments.iter().map(fill));
        self.env.extend(pieces.env.iter().map(|(name, value)| (name.clone(), fill(value))));
        for piece in &pieces.files {
            let document = |json: &Json| template::fill_json(json, values, typed);
            let content = match (&piece.json, &piece.toml) {
                (Some(json), _) => Content::Json(document(json)),
                (_, Some(toml)) => Content::Toml(document(toml)),
                _ => Content::Text(fill(&piece.text.clone().unwrap_or_default())),
            };
            let placed = PlacedFile { path: PathBuf::from(&piece.path), content };
            if let Err(error) = files::add(&mut self.files, placed) {
                problems.push(at, error.to_string());
            }
        }
        for route in &pieces.routes {
            match serde_json::from_value::<Route>(template::fill_json(route, values, typed)) {
                Ok(route) => self.join(route),
                Err(error) => problems
                    .push(at, format!("a route of the provider: {}", base::inert(&error.to_string(), 200))),
            }
        }
    }

    /// Notes each name that stands for an option without a value.
    fn check_filled(&self, known: &[&str], at: &KeyPath, problems: &mut Problems) {
        let mut found: Vec<&str> =
            self.arguments.iter().chain(self.env.values()).map(String::as_str).collect();
        for file in &self.files {
            match &file.content {
                Content::Text(text) => found.push(text),
                Content::Json(json) | Content::Toml(json) => template::texts(json, &mut found),
            }
        }
        let names = found.into_iter().flat_map(template::names);
        let missing = names.filter(|name| !template::AT_LAUNCH.contains(name) && !known.contains(name));
        for name in missing.collect::<std::collections::BTreeSet<_>>() {
            problems.push(&at.key(name), "the provider needs this with what else is set");
        }
    }

    /// Parts of one route may be in several pieces.
    fn join(&mut self, route: Route) {
        let same = self.routes.iter().position(|there| there.host == route.host && there.port == route.port);
        let Some(there) = same.map(|index| &mut self.routes[index]) else { return self.routes.push(route) };
        there.allow_private.extend(route.allow_private);
        there.auth = route.auth.or(there.auth.take());
    }
}

/// Whether an option is one that adds its pieces.
fn is_switch(kind: OptionKind) -> bool {
    matches!(kind, OptionKind::Switch | OptionKind::Login)
}

impl Given {
    fn is_on(&self, name: &str, option: &OptionFile) -> bool {
        match self.values.get(name) {
            Some(value) => !is_switch(option.kind) || value == "true",
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
