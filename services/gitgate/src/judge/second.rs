//! gitleaks as a second opinion (G4). Its start takes half a second, so that a process waits for the next push.
//!
//! It is given text over its standard input and reads nothing else: no repository, no environment, no file of the
//! agent's. What it answers is believed only if it has found what was put before and behind the text for it to find.

mod feed;
mod process;
mod readable;
mod report;
mod sentinel;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::trouble::Trouble;
pub(crate) use feed::{Fed, Feeder};
use process::Process;
pub(crate) use report::Second as SecondFinding;
use sentinel::Sentinel;

/// The configuration where the operator has none: gitleaks' own rules. Its rule about names and values takes the next
/// item of a list for the value, which every second lock file has.
const DEFAULT: &str = r#"
title = "bot-bottle"
[extend]
useDefault = true
[[rules]]
id = "generic-api-key"
[[rules.allowlists]]
description = "items of a list, each on a line of its own"
regexTarget = "match"
regexes = ['''["'],\s*\n\s*["']''']
"#;

/// Starts gitleaks, and keeps one waiting.
pub(crate) struct Opinions {
    program: PathBuf,
    /// Holds the configuration, an empty ignore file and nothing else.
    home: tempfile::TempDir,
    is_standard: bool,
    waiting: Mutex<Option<Process>>,
    runtime: Handle,
}

/// The opinion on one push, while it is being formed.
pub(crate) struct Opinion {
    /// One task, which ends with it.
    answer: JoinSet<Result<report::Report, Trouble>>,
}

impl Opinions {
    /// `rules` are the operator's own, in the gitleaks schema; gitleaks' own rules where there are none.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub(crate) fn new(program: PathBuf, scratch: &Path, rules: Option<&str>) -> Result<Self, Trouble> {
        let failed = || Trouble::io("writing the configuration of gitleaks");
        let home = tempfile::Builder::new().prefix("gitleaks-").tempdir_in(scratch).map_err(failed())?;
        let text = format!("{}\n{}", rules.unwrap_or(DEFAULT), sentinel::RULE);
        for (name, text) in [(process::CONFIG, text.as_str()), (process::IGNORE, "")] {
            let mut file = std::fs::File::create_new(home.path().join(name)).map_err(failed())?;
            file.write_all(text.as_bytes()).map_err(failed())?;
        }
        let is_standard = rules.is_none();
        Ok(Self { program, home, is_standard, waiting: Mutex::default(), runtime: Handle::current() })
    }

    /// Starts one, unless one waits.
    pub(crate) fn expect(&self) {
        let _runtime = self.runtime.enter();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.as_mut().is_some_and(Process::is_alive) {
            match Process::start(&self.program, self.home.path()) {
                Ok(process) => *waiting = Some(process),
                Err(error) => {
                    tracing::error!(
                        error = base::error::chain(&error),
                        "cannot start gitleaks; pushes are refused"
                    );
                }
            }
        }
    }

    /// Begins an opinion: what the feeder is given, it is about.
    ///
    /// # Errors
    /// gitleaks cannot be started.
    pub(crate) fn begin(&self) -> Result<(Feeder, Opinion), Trouble> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let process = match waiting.and_then(|mut process| process.is_alive().then_some(process)) {
            Some(process) => process,
            None => Process::start(&self.program, self.home.path())?,
        };
        let sentinel = Sentinel::new(self.is_standard);
        let (feeder, texts) = Feeder::new(&sentinel);
        let mut answer = JoinSet::new();
        answer.spawn(async move { report::Report::read(&process.run(texts).await?, &sentinel) });
        Ok((feeder, Opinion { answer }))
    }
}

impl Opinion {
    /// What was found, once the feeder has ended.
    ///
    /// # Errors
    /// [`Trouble::SecondOpinion`]: whatever went wrong, there is no opinion.
    pub(crate) async fn finish(mut self, fed: &Fed) -> Result<Vec<SecondFinding>, Trouble> {
        let answered = self.answer.join_next().await.and_then(Result::ok);
        let report = answered.ok_or_else(|| process::doubt("its reader was ended"))??;
        report.locate(fed)
    }
}
