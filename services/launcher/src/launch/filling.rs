//! What goes into a bottle beside what its provider needs: the transcript of a session that goes on, skills, a workspace.
//! All of it is unpacked inside, with the agent's rights.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::time::Duration;

use archive::Limits;
use base::id::WorkspaceId;
use boundary::order::Command;
use bus::layout::{COMMITS, TRANSCRIPTS, WORKSPACES};
use bus::message::run::FailureKind;
use manifest::SKILL_RULES;

use super::Launch;
use crate::backend::{AGENT_HOME, AGENT_WORKSPACE, BackendError, Boundary, Outcome, Unpacking};
use crate::commit;
use crate::environment::environment;
use crate::plan::Plan;
use crate::session;
use crate::step::{LaunchError, Step};
use crate::workspace::{self, Reference, WORKSPACE_LIMITS, WorkspacePlan};

/// How long a repository may take to be cloned through the gate, which looks at upstream first.
const CLONE: Duration = Duration::from_secs(10 * 60);
/// How long it may take to remove what is replaced.
const ROOM: Duration = Duration::from_secs(5 * 60);
/// How much larger than what is in it an archive may be.
const OVERHEAD: u64 = 64 << 20;
/// How much of git's words stands in an error.
const WORDS: usize = 600;

/// Archives that were fetched for a bottle: files without names.
#[derive(Default)]
pub(super) struct Fetched {
    commit: Option<File>,
    transcript: Option<File>,
    workspace: Option<File>,
}

impl Launch<'_> {
    /// Whether what was uploaded for this request is there.
    pub(super) async fn is_uploaded(&self, plan: &Plan) -> Result<(), LaunchError> {
        let Some(WorkspacePlan::Upload(name)) = &plan.workspace else { return Ok(()) };
        let found = self.bus.objects(WORKSPACES).info(name.as_str()).await;
        let failed =
            |error| LaunchError::caused(Step::Resolve, FailureKind::Internal, "looking it up", &error);
        let missing = || LaunchError::new(Step::Resolve, FailureKind::Manifest, no_workspace(name));
        found.map_err(failed)?.map(drop).ok_or_else(missing)
    }

    /// Fetches archives from the bus, while the bottle is made.
    pub(super) async fn fetch(&self, plan: &Plan) -> Result<Fetched, LaunchError> {
        let mut fetched = Fetched::default();
        if let Some(commit) = plan.commit() {
            let found = self.object(plan, (COMMITS, &commit.archive), self.world.config.commit).await;
            let found = found
                .map_err(|reason| failed(FailureKind::Session, "fetching what was committed", &reason))?;
            let gone = "what was committed is not on the bus any more; begin without it with --fresh";
            fetched.commit =
                Some(found.ok_or_else(|| LaunchError::new(Step::Provision, FailureKind::Session, gone))?);
        }
        if let Some(resumed) = plan.resume.as_ref().and_then(|resume| resume.session.as_ref()) {
            let most = self.world.config.transcript;
            let found = self.object(plan, (TRANSCRIPTS, &resumed.transcript), most).await;
            let gone = "the transcript is not on the bus any more; begin a fresh session with --fresh";
            let found =
                found.map_err(|reason| failed(FailureKind::Session, "fetching the transcript", &reason))?;
            fetched.transcript =
                Some(found.ok_or_else(|| LaunchError::new(Step::Provision, FailureKind::Session, gone))?);
        }
        if let Some(WorkspacePlan::Upload(name)) = &plan.workspace {
            let found = self.object(plan, (WORKSPACES, name.as_str()), WORKSPACE_LIMITS.bytes).await;
            let found =
                found.map_err(|reason| failed(FailureKind::Provision, "fetching the workspace", &reason))?;
            let missing = || LaunchError::new(Step::Provision, FailureKind::Provision, no_workspace(name));
            fetched.workspace = Some(found.ok_or_else(missing)?);
        }
        Ok(fetched)
    }

    async fn object(
        &self,
        plan: &Plan,
        (store, name): (&'static str, &str),
        most: u64,
    ) -> Result<Option<File>, String> {
        let objects = self.bus.objects(store);
        let told = |error: bus::BusError| base::error::chain(&error);
        let Some(info) = objects.info(name).await.map_err(told)? else { return Ok(None) };
        if info.size > most.saturating_add(OVERHEAD) {
            return Err(format!(
                "it has {} MiB, and at most {} MiB may be in it",
                info.size >> 20,
                most >> 20
            ));
        }
        let state = self.world.config.state().of(&plan.bottle);
        let written = |error: io::Error| format!("cannot write it down: {error}");
        let mut file = tempfile::tempfile_in(state.path()).map_err(written)?;
        let copy = tokio::fs::File::from_std(file.try_clone().map_err(written)?);
        let found = objects.get(name, copy).await.map_err(told)?;
        file.rewind().map_err(written)?;
        Ok(found.map(|_| file))
    }

    /// The first half of step 6: what the agent had is there before what it is given, which is over it.
    pub(super) async fn restore(
        &self,
        plan: &Plan,
        fetched: &mut Fetched,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<(), LaunchError> {
        if let Some(commit) = fetched.commit.take() {
            self.restore_commit(plan, commit, boundary).await?;
        }
        let Some(transcript) = fetched.transcript.take() else { return Ok(()) };
        let limits = session::limits(self.world.config.transcript);
        let unpacked = unpack(boundary, transcript, "", (false, limits)).await;
        unpacked.map_err(|error| {
            let reason = format!("{}; begin a fresh session with --fresh", base::error::chain(&error));
            failed(FailureKind::Session, "unpacking the transcript", &reason)
        })
    }

    /// The environment that was committed. What comes after it takes the place of its own: the transcript, which is as old
    /// as the bottle's end, and a workspace that was asked for.
    async fn restore_commit(
        &self,
        plan: &Plan,
        commit: File,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<(), LaunchError> {
        let limits = commit::limits(self.world.config.commit);
        let unpacked = unpack(boundary, commit, "", (true, limits)).await;
        unpacked.map_err(|error| {
            let reason = format!("{}; begin without it with --fresh", base::error::chain(&error));
            failed(FailureKind::Session, "unpacking what was committed", &reason)
        })?;
        let session = plan.session.iter().filter(|_| plan.is_resumed()).flat_map(|session| &session.paths);
        let mut replaced: Vec<String> = session.map(|path| path.to_string_lossy().into_owned()).collect();
        replaced.extend(plan.workspace.as_ref().map(|_| workspace::DIRECTORY.to_owned()));
        if replaced.is_empty() {
            return Ok(());
        }
        let mut argv = ["rm", "-rf", "--"].map(str::to_owned).to_vec();
        argv.extend(replaced);
        let env = environment(&plan.bottle, BTreeMap::new(), &plan.env);
        let command = Command { argv, env, cwd: AGENT_HOME.to_owned() };
        let doing = "making room in what was committed";
        let done =
            boundary.exec(command, String::new(), ROOM).await.map_err(|error| because(doing, &error))?;
        match done.code {
            Some(0) => Ok(()),
            _ => Err(failed(FailureKind::Session, doing, &last_words(&done.stderr))),
        }
    }

    /// The last part of step 6: skills and workspace.
    pub(super) async fn furnish(
        &self,
        plan: &Plan,
        fetched: Fetched,
        boundary: &mut Box<dyn Boundary>,
    ) -> Result<(), LaunchError> {
        self.give_skills(plan, boundary).await?;
        match (&plan.workspace, fetched.workspace) {
            (Some(WorkspacePlan::Clone { url, reference }), _) => {
                clone(plan, url, reference.as_ref(), boundary).await
            }
            (_, Some(archive)) => {
                let unpacked =
                    unpack(boundary, archive, workspace::DIRECTORY, (true, WORKSPACE_LIMITS)).await;
                unpacked.map_err(|error| because("unpacking the workspace", &error))
            }
            _ => Ok(()),
        }
    }

    async fn give_skills(&self, plan: &Plan, boundary: &mut Box<dyn Boundary>) -> Result<(), LaunchError> {
        if plan.skills.is_empty() {
            return Ok(());
        }
        let folder = self.world.config.manifest_home().skills();
        let scratch = self.world.config.state().of(&plan.bottle).path().to_owned();
        let names: Vec<PathBuf> = plan.skills.iter().map(|skill| PathBuf::from(&skill.name)).collect();
        let count = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let Limits { bytes, entries } = SKILL_RULES.limits;
        let limits = Limits { bytes: bytes * count, entries: entries * count };
        let packing = tokio::task::spawn_blocking(move || {
            let mut packed = tempfile::tempfile_in(scratch)?;
            // The folder itself may be the operator's link; nothing in it may.
            let folder = folder.canonicalize()?;
            let rules = archive::Rules { limits, ..SKILL_RULES };
            archive::pack(&folder, &names, &rules, &packed).map_err(io::Error::other)?;
            packed.rewind()?;
            Ok(packed)
        });
        let packed = packing.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let packed = packed.map_err(|error: io::Error| because("packing the skills", &error))?;
        let unpacked = unpack(boundary, packed, &plan.skills_into, (false, limits)).await;
        unpacked.map_err(|error| because("copying the skills", &error))
    }

    /// Work inside a bottle, unless the launcher is to stop meanwhile: it may take minutes, and nothing runs yet.
    pub(super) async fn unless_stopping<T>(
        &self,
        work: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        tokio::select! {
            done = work => done,
            () = self.life.stopping() => {
                let reason = "its launcher was stopped before the program ran";
                Err(LaunchError::new(Step::Provision, FailureKind::Internal, reason))
            }
        }
    }
}

async fn unpack(
    boundary: &mut Box<dyn Boundary>,
    packed: File,
    into: &str,
    (links, limits): (bool, Limits),
) -> Result<(), BackendError> {
    boundary.unpack(packed, Unpacking { into: into.to_owned(), links, limits }).await
}

/// Clones through the gate, as the agent would.
async fn clone(
    plan: &Plan,
    url: &str,
    reference: Option<&Reference>,
    boundary: &mut Box<dyn Boundary>,
) -> Result<(), LaunchError> {
    let mut argv = vec!["git".to_owned(), "clone".to_owned(), "--quiet".to_owned()];
    match reference {
        Some(Reference::Name(name)) => argv.push(format!("--branch={name}")),
        Some(Reference::Commit(_)) => argv.push("--no-checkout".to_owned()),
        None => {}
    }
    argv.extend(["--", url, workspace::DIRECTORY].map(str::to_owned));
    git(plan, (argv, AGENT_HOME), boundary).await?;
    if let Some(Reference::Commit(commit)) = reference {
        let argv = ["git", "checkout", "--quiet", "--detach", commit].map(str::to_owned).to_vec();
        git(plan, (argv, AGENT_WORKSPACE), boundary).await?;
    }
    Ok(())
}

async fn git(
    plan: &Plan,
    (argv, cwd): (Vec<String>, &str),
    boundary: &mut Box<dyn Boundary>,
) -> Result<(), LaunchError> {
    let mut env = environment(&plan.bottle, BTreeMap::new(), &plan.env);
    env.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned());
    let doing = format!("git {} for the workspace", argv.get(1).map_or("", String::as_str));
    let command = Command { argv, env, cwd: cwd.to_owned() };
    let done = boundary.exec(command, String::new(), CLONE).await;
    let Outcome { code, stderr, .. } = done.map_err(|error| because(&doing, &error))?;
    let words = last_words(&stderr);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(failed(FailureKind::Provision, &doing, &format!("it ended with {code}: {words}"))),
        None => {
            let reason = format!("it was not done within {} minutes: {words}", CLONE.as_secs() / 60);
            Err(failed(FailureKind::Provision, &doing, &reason))
        }
    }
}

/// The end of what a program said, harmless to show.
fn last_words(text: &str) -> String {
    let text = text.trim();
    let start = text.char_indices().rev().nth(WORDS - 1).map_or(0, |(at, _)| at);
    match base::inert(&text[start..], WORDS * 4) {
        words if words.is_empty() => "it said nothing".to_owned(),
        words => words,
    }
}

fn no_workspace(name: &WorkspaceId) -> String {
    format!("the workspace {name} is not on the bus, which keeps one for seven days: upload it again")
}

fn because(doing: &str, error: &dyn std::error::Error) -> LaunchError {
    LaunchError::caused(Step::Provision, FailureKind::Provision, doing, error)
}

fn failed(kind: FailureKind, doing: &str, reason: &str) -> LaunchError {
    LaunchError::new(Step::Provision, kind, format!("{doing}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_and_harmless() {
        assert_eq!(last_words(" \n"), "it said nothing");
        assert_eq!(last_words("fatal: no\n"), "fatal: no");
        let long = format!("{}é\u{1b}[2J", "x".repeat(5000));
        let words = last_words(&long);
        assert!(words.ends_with(r"é\u{1b}[2J") && words.len() < 700 && !words.contains('\u{1b}'), "{words}");
    }
}
