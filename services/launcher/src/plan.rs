//! Step 1: the request and the operator's files become one value.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base::id::Slug;
use bus::message::record::CommitRecord;
use bus::message::run::FailureKind;
use bus::message::start::StartRequest;
use bus::message::terminal::Terminal;
use manifest::settings::RuntimeName;
use manifest::{Client, EnvValue, Home, Library, Preflight, Reach, Resolved, Selection, Skill};

use crate::backend::docker;
use crate::backends::{NAMES, NAMESPACE};
use crate::client::is_told;
use crate::client::program::{self, Found};
use crate::host::HostEnvironment;
use crate::limits::{self, Limits};
use crate::session::{ResumePlan, SessionPlan};
use crate::step::{LaunchError, Step};
use crate::workspace::WorkspacePlan;

/// The 16 ANSI colour names (L5).
const COLORS: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
/// Where a program without a place of its own for skills finds them.
const SKILLS_INTO: &str = ".bot-bottle/skills";
/// The longest label (L5).
const LABEL_BYTES: usize = 64;

/// Everything about a launch that is known before anything is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The bottle's name.
    pub bottle: Slug,
    /// The backend that was asked for, if any was.
    pub backend: Option<String>,
    /// The container runtime that was asked for, if any was; then the one that it will be.
    pub runtime: Option<RuntimeName>,
    /// The agent with everything that applies to it.
    pub resolved: Resolved,
    /// The agent's program, and how it is told everything.
    pub client: Client,
    /// Where that program is.
    pub program: Found,
    /// What it is told to do, beside the agent's own prompt.
    pub task: Option<String>,
    /// Shown in lists.
    pub label: String,
    /// An ANSI colour name.
    pub color: Option<String>,
    /// What the bottle may use.
    pub limits: Limits,
    /// How long it may run, from the program's start.
    pub wall: Duration,
    /// The environment that the operator's files give the agent.
    pub env: BTreeMap<String, String>,
    /// What is in the workspace; it is empty unless given.
    pub workspace: Option<WorkspacePlan>,
    /// What is copied from the home's skills folder.
    pub skills: Vec<Skill>,
    /// Where to, below the agent's home.
    pub skills_into: String,
    /// The session, if the provider has any.
    pub session: Option<SessionPlan>,
    /// The session that goes on, or that is left for a fresh one.
    pub resume: Option<ResumePlan>,
    /// The terminal that the program is started at; none for a headless run.
    pub terminal: Option<Terminal>,
    /// What the operator asked for and does not get, one sentence each.
    pub notes: Vec<String>,
}

impl Plan {
    /// What a person sees before the launch: names, never values (M10).
    #[must_use]
    pub fn preflight(&self) -> Preflight {
        Preflight::from(&self.resolved)
    }

    /// The same plan for a session that goes on, or for a fresh one in its place.
    ///
    /// # Errors
    /// The bottles have no sessions any more, or another provider's.
    pub(crate) fn resuming(mut self, resume: Option<ResumePlan>) -> Result<Self, LaunchError> {
        let Some(resume) = resume else { return Ok(self) };
        let wrong = |reason: String| LaunchError::new(Step::Resolve, FailureKind::Session, reason);
        match &resume.session {
            Some(resumed) => {
                let without = || wrong(format!("the bottles of {} have no sessions any more", resume.bottle));
                let session = self.session.take().ok_or_else(without)?;
                self.session = Some(session.resumed(resumed).map_err(wrong)?);
            }
            None if resume.commit.is_some() => {
                self.notes
                    .push(format!("in the committed environment of {}, without a session", resume.bottle));
            }
            None => {
                self.notes.push(format!("a fresh session, with the agent and bottles of {}", resume.bottle));
            }
        }
        self.backend = self.backend.or_else(|| Some(home_of(resume.commit.as_ref()?)?.to_owned()));
        if self.backend.as_deref() == Some(NAMESPACE)
            && resume.commit.as_ref().is_some_and(|commit| commit.image.is_some())
        {
            self.notes.push("without the image of its commit, which only the backend docker has".to_owned());
        }
        self.resume = Some(resume);
        Ok(self)
    }

    /// The Dockerfile that the operator's files name.
    pub(crate) fn dockerfile(&self) -> Option<&Path> {
        match &self.resolved.bottle.image {
            Some(manifest::Image::Dockerfile(path)) => Some(path),
            _ => None,
        }
    }

    /// The environment that it begins with.
    pub(crate) fn commit(&self) -> Option<&CommitRecord> {
        self.resume.as_ref()?.commit.as_ref()
    }

    /// Whether the program goes on with a session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resume.as_ref().is_some_and(|resume| resume.session.is_some())
    }
}

/// Makes the plan for a request that came as a message: only the operator's own agents count (M2).
///
/// # Errors
/// [`FailureKind::Manifest`] with every problem of the files, or a request that this build cannot serve.
pub fn plan(request: &StartRequest, home: &Home, host: &HostEnvironment) -> Result<Plan, LaunchError> {
    let wrong = |reason: String| LaunchError::new(Step::Resolve, FailureKind::Manifest, reason);
    unsupported(request).map_or(Ok(()), |reason| Err(wrong(reason)))?;
    let label = label(request.label.as_deref().unwrap_or(request.agent.as_str())).map_err(wrong)?;
    let color = request.color.as_deref().map(color).transpose().map_err(wrong)?;
    let library = Library::of_home(home.clone());
    let selection =
        Selection { agent: request.agent.clone(), bottles: request.bottles.clone(), reach: Reach::Home };
    let resolved = library.resolve(&selection).map_err(|error| wrong(base::error::chain(&error)))?;
    let client = client(&resolved, request).map_err(wrong)?;
    let program = program::find(&client, host)
        .map_err(|missing| LaunchError::new(Step::Resolve, FailureKind::Prerequisite, missing.to_string()))?;
    let env = environment(&resolved, host).map_err(wrong)?;
    let workspace = request.workspace.as_ref().map(|asked| WorkspacePlan::of(asked, &resolved));
    let skills = resolved.skills.iter().map(|name| home.skill(name)).collect::<Result<_, _>>();
    Ok(Plan {
        bottle: Slug::random(&request.agent),
        backend: request.backend.clone(),
        runtime: request.runtime.as_deref().and_then(|name| runtime(name).ok()),
        limits: limits(&resolved.bottle.limits),
        wall: resolved.bottle.limits.wall_time.map_or(limits::WALL, manifest::WallTime::duration),
        notes: notes(&resolved),
        workspace: workspace.transpose().map_err(wrong)?,
        skills: skills.map_err(|error| wrong(error.to_string()))?,
        skills_into: client.skills.clone().unwrap_or_else(|| SKILLS_INTO.to_owned()),
        session: SessionPlan::of(&client),
        resume: None,
        terminal: request.terminal.clone(),
        color,
        label,
        client,
        program,
        task: request.task.clone(),
        env,
        resolved,
    })
}

/// The backend that a commit needs, if it needs one.
fn home_of(commit: &CommitRecord) -> Option<&'static str> {
    commit.image.as_ref().map(|_| docker::NAME)
}

fn unsupported(request: &StartRequest) -> Option<String> {
    match request {
        StartRequest { backend: Some(name), .. } if backend(name).is_err() => backend(name).err(),
        StartRequest { runtime: Some(name), .. } if runtime(name).is_err() => runtime(name).err(),
        StartRequest { terminal: Some(terminal), .. } => terminal.flaw(),
        _ => None,
    }
}

/// A label that can be shown in lists (L5).
///
/// # Errors
/// What a label may be.
pub fn label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LABEL_BYTES || text.chars().any(char::is_control) {
        return Err(format!("a label is 1 to {LABEL_BYTES} printable bytes"));
    }
    Ok(text.to_owned())
}

/// The name of an ANSI colour (L5).
///
/// # Errors
/// The names there are.
pub fn color(name: &str) -> Result<String, String> {
    if COLORS.contains(&name.strip_prefix("bright-").unwrap_or(name)) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "there is no colour {}: choose one of {}, each also with bright- before it",
        base::inert(name, 40),
        COLORS.join(", ")
    ))
}

/// The name of an isolation backend.
///
/// # Errors
/// The names there are.
pub fn backend(name: &str) -> Result<String, String> {
    if NAMES.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("there is no backend {}: this release has {}", base::inert(name, 40), NAMES.join(" and ")))
}

/// The name of a container runtime.
///
/// # Errors
/// The names there are.
pub fn runtime(name: &str) -> Result<RuntimeName, String> {
    let found = RuntimeName::ALL.into_iter().find(|one| one.as_str() == name);
    found.ok_or_else(|| {
        let names = RuntimeName::ALL.map(RuntimeName::as_str).join(" and ");
        format!("there is no container runtime {}: this release knows {names}", base::inert(name, 40))
    })
}

fn client(resolved: &Resolved, request: &StartRequest) -> Result<Client, String> {
    let missing =
        "names no agent_provider: write `agent_provider: {template: command, argv: [...]}` into a bottle";
    let client =
        resolved.bottle.client.clone().ok_or_else(|| format!("no bottle of {} {missing}", resolved.agent))?;
    if request.terminal.is_some() {
        let no = || format!("the provider {} does not run at a terminal: start it headless", client.provider);
        return if client.interactive.is_some() { Ok(client) } else { Err(no()) };
    }
    if !is_told(&client, request.task.as_deref()) {
        return Err(format!("the provider {} works on a task, and there is none: give one", client.provider));
    }
    Ok(client)
}

fn environment(resolved: &Resolved, host: &HostEnvironment) -> Result<BTreeMap<String, String>, String> {
    let value = |name: &str, value: &EnvValue| match value {
        EnvValue::Literal(text) => Ok(text.clone()),
        EnvValue::FromHost(from) => {
            host.get(&from.from_host).map(|value| value.expose().to_owned()).ok_or_else(|| {
                format!("env {name}: the variable {} is not set where the launcher runs", from.from_host)
            })
        }
    };
    resolved.bottle.env.iter().map(|(name, given)| Ok((name.clone(), value(name, given)?))).collect()
}

fn limits(given: &manifest::Limits) -> Limits {
    Limits {
        memory: Some(given.memory.map_or(limits::MEMORY, manifest::ByteSize::bytes)),
        cpu_millis: given.cpu.map(|cpu| u64::from(cpu.thousandths())),
        processes: Some(given.processes.map_or(limits::PROCESSES, u64::from)),
        processes_assumed: given.processes.is_none(),
        disk: given.disk.map(manifest::ByteSize::bytes),
    }
}

/// What the operator should know: the manifest's warnings.
#[must_use]
pub fn notes(resolved: &Resolved) -> Vec<String> {
    resolved.warnings.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::PromptMode;

    const BOTTLE: &str = "---\nagent_provider: {template: command, argv: [echo]}\nenv: {A: one, B: {from_host: HOST_B}}\nlimits: {memory: 1G, cpu: 0.5, wall_time: 90s}\n---\n";

    fn plan_with(bottle: &str, change: impl FnOnce(&mut StartRequest)) -> Result<Plan, LaunchError> {
        let home = tempfile::tempdir().unwrap();
        for (path, text) in
            [("bottles/dev.md", bottle), ("agents/tester.md", "---\nbottle: dev\n---\nBe brief.")]
        {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let text = r#"{"v":1,"id":"r1","agent":"tester","task":"Do it."}"#;
        let mut request: StartRequest = serde_json::from_str(text).unwrap();
        change(&mut request);
        let host = [("HOST_B".to_owned(), "two".to_owned())].into_iter().collect();
        plan(&request, &Home::at(home.path().to_owned()), &host)
    }

    #[test]
    fn a_plan_is_everything_that_is_known_before() {
        let plan = plan_with(BOTTLE, |_| ()).unwrap();
        assert_eq!(plan.program.words, ["echo"]);
        assert_eq!(crate::client::told(&plan), "Be brief.\n\nDo it.");
        assert_eq!(plan.label, "tester");
        assert_eq!(
            plan.env.into_iter().collect::<Vec<_>>(),
            [("A".into(), "one".into()), ("B".into(), "two".into())]
        );
        assert_eq!((plan.limits.memory, plan.limits.cpu_millis), (Some(1 << 30), Some(500)));
    }

    #[test]
    fn a_bottle_without_limits_has_the_launchers() {
        let limits = |line: &str| {
            let bottle = BOTTLE.replace("limits: {memory: 1G, cpu: 0.5, wall_time: 90s}\n", line);
            let plan = plan_with(&bottle, |_| ()).unwrap();
            (plan.limits, plan.wall)
        };
        let (none, wall) = limits("");
        assert_eq!((none.memory, none.processes, none.processes_assumed), (Some(4 << 30), Some(1024), true));
        assert_eq!((none.cpu_millis, none.disk, wall), (None, None, Duration::from_secs(7 * 86_400)));
        let (some, wall) = limits("limits: {processes: 2000, wall_time: 30d}\n");
        assert_eq!(wall, Duration::from_secs(30 * 86_400));
        assert_eq!((some.memory, some.processes, some.processes_assumed), (Some(4 << 30), Some(2000), false));
    }

    fn terminal() -> Terminal {
        Terminal { rows: 24, cols: 80, term: "xterm-256color".into(), truecolor: true }
    }

    #[test]
    fn at_a_terminal_nobody_but_the_person_has_the_input() {
        let headless = plan_with(BOTTLE, |_| ()).unwrap();
        assert_eq!(crate::client::way(&headless), PromptMode::Stdin);
        let plan = plan_with(BOTTLE, |r| r.terminal = Some(terminal())).unwrap();
        assert_eq!(crate::client::way(&plan), PromptMode::File);
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        type Change = fn(&mut StartRequest);
        let cases: [(&str, Change, &str); 11] = [
            (BOTTLE, |r| r.color = Some("mauve".into()), "choose one of black"),
            (BOTTLE, |r| r.label = Some("a\u{1b}b".into()), "printable"),
            (BOTTLE, |r| r.agent = "testor".parse().unwrap(), "did you mean tester"),
            (BOTTLE, |r| r.backend = Some("dokcer".into()), "this release has namespace and docker"),
            (BOTTLE, |r| r.runtime = Some("crun".into()), "this release knows runc and runsc"),
            (BOTTLE, |r| r.terminal = Some(Terminal { rows: 0, ..terminal() }), "1 to 2000 rows"),
            (
                BOTTLE,
                |r| r.terminal = Some(Terminal { term: "x/../y".into(), ..terminal() }),
                "no kind of terminal",
            ),
            ("---\nagent_provider: claud\n---\n", |_| (), "did you mean claude"),
            ("---\nagent_provider: claude\n---\n", |r| r.task = None, "there is none: give one"),
            ("---\nenv: {}\n---\n", |_| (), "names no agent_provider"),
            (&BOTTLE.replace("HOST_B", "HOST_C"), |_| (), "HOST_C is not set"),
        ];
        for (bottle, change, words) in cases {
            let error = plan_with(bottle, change).unwrap_err();
            assert!(error.reason.contains(words), "{error}");
            assert_eq!((error.step, error.kind), (Step::Resolve, FailureKind::Manifest));
        }
    }
}
