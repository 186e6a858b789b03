//! Files on disk to one checked value; every error names file, line, column and key (features M1 to M11).
//!
//! [`Home`] knows where the files are, [`Library`] has loaded all of them, [`Library::resolve`] makes of an agent
//! and its bottles the one value that a launch needs. Nothing here touches the network, and no manifest holds a
//! secret: only where a secret is found.

pub mod agent;
pub mod bottle;
pub mod dispatch;
mod document;
pub mod env;
pub mod git;
pub mod grants;
pub mod home;
pub mod image;
pub mod library;
pub mod limits;
mod load;
mod merge;
pub mod preflight;
pub mod problem;
pub mod provider;
pub mod report;
pub mod resolve;
pub mod schema;
mod semantics;
pub mod settings;
mod shape;
pub mod skills;
mod tree;

pub use agent::{Agent, Origin};
pub use bottle::Bottle;
pub use dispatch::{DispatchFile, DispatchRule};
pub use env::EnvValue;
pub use git::{GitGate, GitUser, RefRules, Repo, RepoKey, WorkflowRule};
pub use home::{Home, find_repo};
pub use image::{Image, ImageFile, ImageSettings};
pub use library::{Broken, Library, Reach};
pub use limits::{ByteSize, Cpus, Limits, WallTime};
pub use load::{parse_agent, parse_bottle};
pub use preflight::Preflight;
pub use problem::{FileProblem, FileProblems, Place, Warning};
pub use provider::{AgentProvider, Client, PromptMode, ProviderOptions, SessionFiles};
pub use report::Report;
pub use resolve::{Claim, Claimant, EffectiveBottle, GitIdentity, ResolveError, Resolved, Selection};
pub use settings::{ProposalLimits, Settings};
pub use skills::{SKILL_RULES, Skill, SkillError};
