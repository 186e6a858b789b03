//! The command line.

pub mod audit;
pub mod commit;
pub mod dispatch;
pub mod doctor;
pub mod edit;
pub mod grants;
pub mod proposals;
pub mod resume;
pub mod terminal;
pub mod workspace;

use std::path::PathBuf;

use base::id::{AgentName, BottleName, RequestId, Slug};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use launcher::probe::ProbeReach;
use manifest::settings::RuntimeName;

use crate::commands::completions;

pub use commit::Commit;
pub use resume::Resume;

/// Runs AI coding agents as if they were compromised.
#[derive(Debug, Parser)]
#[command(name = "bot-bottle", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes and error texts: docs/errors.md. First steps: README.md.")]
pub struct Cli {
    /// Where bottles, agents, keys and state live.
    #[arg(long, env = "BOT_BOTTLE_HOME", global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the home: folders, the bus's keys, a first bottle and agent. Safe to run again.
    Init(Init),
    /// Write an identity on the bus, for programs of your own.
    Credentials(Credentials),
    /// Run the host services, and a private bus unless NATS_URL names one.
    Up(Up),
    /// Stop what `up` started.
    Down,
    /// Show whether the bus and the services answer.
    Status(Json),
    /// Run an agent in a bottle of its own, and end with its exit code.
    Start(Start),
    /// Go on with the session of a bottle that is over, on any host.
    Resume(Resume),
    /// Keep what a running bottle has made, without stopping it; `resume` goes on from it.
    Commit(Commit),
    /// Join a running bottle at this terminal; a headless one is only shown.
    Attach(terminal::Attach),
    /// List bottles.
    List(List),
    /// End a running bottle.
    Stop(Stop),
    /// Show what a bottle's program wrote.
    Logs(Logs),
    /// Tail the bus: starts, exits, refusals, pushes.
    Events(Events),
    /// Answer what bottles ask for, on a screen: all bottles, live.
    Supervise,
    /// Answer what bottles ask for, a command at a time.
    #[command(subcommand)]
    Proposals(proposals::Proposals),
    /// List and take back what was granted for good.
    Grants(grants::Grants),
    /// Show, verify and export the trail of decisions.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show what pull requests started, and try what one would start.
    #[command(subcommand)]
    Dispatch(dispatch::Dispatch),
    /// Show what starting an agent would do: bottles, routes, environment names, identity.
    Info(Info),
    /// Edit an agent's or a bottle's file in `$VISUAL` or `$EDITOR`, and check it.
    Edit(edit::Edit),
    /// Show or change the routes of a running bottle.
    #[command(subcommand)]
    Routes(Routes),
    /// Check the files people write.
    #[command(subcommand)]
    Config(Config),
    /// Ask the egress rules, or have them proposed.
    #[command(subcommand)]
    Egress(Egress),
    /// Say what the detectors find in a file, and where; never what it is. Asks nobody.
    Scan(Scan),
    /// Check what this machine must provide, and print the cure for what is missing.
    Doctor(doctor::Doctor),
    /// Remove what dead launchers left behind.
    Cleanup(Cleanup),
    /// Print what a shell needs to complete command lines: `source <(bot-bottle completions bash)`.
    Completions(edit::Completions),
    /// Show the main job end to end, with evidence, touching nothing outside a temporary folder.
    Demo(Demo),
}

/// `--json`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print JSON for programs instead of text for people.
    #[arg(long)]
    pub json: bool,
}

/// How services that a command brings up behave.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Services {
    /// What the escape probe tries beside the canaries that it opens itself.
    #[arg(long, env = "BOT_BOTTLE_PROBE", value_enum, default_value_t)]
    pub probe: ProbeReach,
}

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// Only the keys and folders, no example bottle and agent.
    #[arg(long)]
    pub bare: bool,
}

/// `credentials`
#[derive(Debug, Args)]
pub struct Credentials {
    /// What its holder may do; see docs/bus/permissions.md.
    #[arg(value_enum)]
    pub role: HolderRole,
    /// The file to write, in the form that NATS clients read.
    pub file: PathBuf,
    /// Days until it expires.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub days: u64,
}

/// The roles that a program outside can have. Sidecars get theirs from their launcher.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HolderRole {
    /// Starts and stops bottles, reads everything, changes policies.
    Operator,
    /// Runs bottles.
    Launcher,
    /// Owns policies.
    Supervisor,
    /// Starts agents for pull requests.
    Dispatcher,
    /// Creates the streams.
    Admin,
}

/// `up`
#[derive(Debug, Args)]
pub struct Up {
    /// Run in the background; return once everything answers.
    #[arg(short, long)]
    pub detach: bool,
    /// The private bus's port; a free one unless given.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Services.
    #[command(flatten)]
    pub services: Services,
}

/// `start`
#[derive(Debug, Args)]
pub struct Start {
    /// The agent, by the name of its file; picked from a list unless given.
    #[arg(add = ArgValueCompleter::new(completions::agents))]
    pub agent: Option<AgentName>,
    /// What the agent is told to do.
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Bottle to use instead of the agent's own; repeat to merge several, left to right.
    #[arg(short, long = "bottle", value_name = "NAME", add = ArgValueCompleter::new(completions::bottles))]
    pub bottles: Vec<BottleName>,
    /// Its workspace.
    #[command(flatten)]
    pub workspace: workspace::Workspace,
    /// Ask nothing and run without a terminal; `--json` reports the result as one object.
    #[arg(long)]
    pub headless: bool,
    /// Do not ask before starting.
    #[arg(short, long)]
    pub yes: bool,
    /// Show what would run, and stop there.
    #[arg(long)]
    pub dry_run: bool,
    /// A name for lists, at most 64 printable bytes.
    #[arg(long, value_name = "TEXT", value_parser = launcher::plan::label)]
    pub label: Option<String>,
    /// A colour for lists: one of the 16 ANSI names.
    #[arg(long, value_name = "COLOUR", value_parser = launcher::plan::color)]
    pub color: Option<String>,
    /// The isolation backend.
    #[arg(long, value_name = "NAME", value_parser = launcher::plan::backend)]
    pub backend: Option<String>,
    /// The container runtime of the backend docker: runsc (gVisor), or runc; chosen by what works unless given.
    #[arg(long, value_name = "NAME", value_parser = launcher::plan::runtime)]
    pub runtime: Option<RuntimeName>,
    /// The request's id; the same id twice starts one run.
    #[arg(long, value_name = "ID")]
    pub id: Option<RequestId>,
    /// Print one JSON object at the end instead of the program's output.
    #[arg(long)]
    pub json: bool,
    /// The terminal.
    #[command(flatten)]
    pub terminal: terminal::AtTerminal,
    /// Services.
    #[command(flatten)]
    pub services: Services,
}

/// `list`
#[derive(Debug, Args)]
pub struct List {
    /// Those that are over, too.
    #[arg(short, long)]
    pub all: bool,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `stop`
#[derive(Debug, Args)]
pub struct Stop {
    /// The bottle, as `list` shows it.
    #[arg(add = ArgValueCompleter::new(completions::started))]
    pub bottle: Slug,
    /// Seconds before it is killed.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub grace: u64,
}

/// `logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// The bottle, as `list --all` shows it.
    #[arg(add = ArgValueCompleter::new(completions::started))]
    pub bottle: Slug,
    /// Go on until the bottle ends.
    #[arg(short, long)]
    pub follow: bool,
    /// The bytes as the program wrote them. Dangerous on a terminal: they are the agent's.
    #[arg(long)]
    pub raw: bool,
}

/// `events`
#[derive(Debug, Args)]
pub struct Events {
    /// Only this bottle's.
    #[arg(long, value_name = "BOTTLE")]
    pub bottle: Option<Slug>,
    /// Begin this many minutes ago instead of now.
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub since: Option<u32>,
    /// End when everything stored was shown, instead of waiting for more.
    #[arg(long)]
    pub no_follow: bool,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

fn minutes(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "give a whole number of minutes, such as 90".to_owned())
}

/// `info`
#[derive(Debug, Args)]
pub struct Info {
    /// The agent; or a bottle, as `list --all` shows it.
    pub agent: AgentName,
    /// Bottle to use instead of the agent's own; repeat to merge several.
    #[arg(short, long = "bottle", value_name = "NAME", add = ArgValueCompleter::new(completions::bottles))]
    pub bottles: Vec<BottleName>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `routes`
#[derive(Debug, Subcommand)]
pub enum Routes {
    /// The routes that a bottle runs with, and their revision.
    Show {
        /// The bottle.
        bottle: Slug,
        /// Format.
        #[command(flatten)]
        format: Json,
    },
    /// Add a route; returns once the bottle's proxy runs it.
    Add {
        /// The bottle.
        bottle: Slug,
        /// The route as YAML, as in a bottle's file: `{host: example.org, matches: [{methods: [GET]}]}`.
        route: String,
    },
    /// Remove the route of a host; returns once the bottle's proxy runs without it.
    Remove {
        /// The bottle.
        bottle: Slug,
        /// The route's host, as `routes show` prints it.
        host: String,
    },
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check every bottle and agent of the home and of the current repository.
    Check(Json),
}

/// `egress`
#[derive(Debug, Subcommand)]
pub enum Egress {
    /// Say which rule of a bottle would decide about a request. Nothing is sent.
    Explain(Explain),
    /// Turn what a bottle's proxy refused into routes that would allow it, for you to review. Nothing is changed.
    Learn(Learn),
}

/// `egress explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The method, such as GET.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The bottle whose rules are asked; repeat to merge several.
    #[arg(short, long = "bottle", value_name = "NAME", required = true)]
    pub bottles: Vec<BottleName>,
    /// A request header, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `egress learn`
#[derive(Debug, Args)]
pub struct Learn {
    /// The bottle, as `list --all` shows it.
    #[arg(short, long)]
    pub bottle: Slug,
    /// Only what was refused in the last so many minutes, instead of all that is stored.
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub since: Option<u32>,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `scan`
#[derive(Debug, Args)]
pub struct Scan {
    /// The file; `-` is standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Whether it would leave a bottle, or come into one.
    #[arg(long, value_enum, default_value_t)]
    pub direction: Direction,
    /// A rule file in the gitleaks schema, instead of the standard rules or, if it extends them, with them.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// An environment variable whose value is looked for as a known secret, in every disguise; may be repeated.
    #[arg(long, value_name = "VARIABLE")]
    pub known: Vec<String>,
    /// One object for each finding.
    #[command(flatten)]
    pub format: Json,
}

/// The way that bytes take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// Out of a bottle: tokens and known secrets are looked for.
    #[default]
    Out,
    /// Into a bottle: instructions to the agent are looked for.
    In,
}

/// `cleanup`
#[derive(Debug, Args)]
pub struct Cleanup {
    /// Also remove the kept state of bottles that are over, and images that were built for bottles.
    #[arg(long)]
    pub all: bool,
    /// Format.
    #[command(flatten)]
    pub format: Json,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the temporary home, and print where it is.
    #[arg(long)]
    pub keep: bool,
}
