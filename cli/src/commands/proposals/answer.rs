//! `proposals approve`, `reject`, `edit`

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use base::id::ProposalId;
use bus::message::proposal::{
    DecideRefusal, DecideReply, OperatorKey, OperatorKeyError, ProposalRecord, ProposalState, Verdict,
};
use bus::message::revision::PolicyRevision;
use bus::{Bus, BusError};
use supervisor::operators;

use super::show;
use crate::args::proposals::{Approve, Bound, Edit, Reject};
use crate::context::{Context, OrBus as _};
use crate::deciding::edit::{self, editable};
use crate::deciding::{Answer, Editor, answer, card, preview};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::interrupt::Interrupts;
use crate::output::{self, Format};

/// When a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than a build may take, with the commit before it.
const BUILDING: Duration = Duration::from_secs(60 * 60);
/// How often a person is told that it goes on, and how often it is looked at.
const AGAIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(300);
/// Bytes of an edit from a file.
const LARGEST: u64 = 64 * 1024;

/// What an answer is given with: the bus, the key, and what is answered.
struct Desk<'a> {
    context: &'a Context,
    bus: Bus,
    key: OperatorKey,
    record: ProposalRecord,
    current: Option<PolicyRevision>,
    format: Format,
}

/// Allows what is asked for.
pub(super) async fn approve(context: &Context, args: Approve) -> Result<Exit, Failure> {
    let desk = Desk::open(context, &args.proposal, args.bound.format.into()).await?;
    let reason = args.reason.unwrap_or_default();
    desk.must_say_why(&reason)?;
    let policy = desk.bound(args.bound)?;
    let effect =
        preview::approval(&desk.record, &policy.policy).map_err(|why| anyhow!(why)).or_exit(Exit::Input)?;
    desk.note(&format!("{}\n{}", card::summary(&desk.record.content), show::render(&effect)));
    desk.give(Verdict::Approve { scope: args.scope.into() }, &reason).await
}

/// Refuses it.
pub(super) async fn reject(context: &Context, args: Reject) -> Result<Exit, Failure> {
    let desk = Desk::open(context, &args.proposal, args.format.into()).await?;
    desk.give(Verdict::Reject, &args.reason.unwrap_or_default()).await
}

/// Allows something else instead.
pub(super) async fn edit(context: &Context, args: Edit) -> Result<Exit, Failure> {
    let may_ask = output::is_interactive();
    if !args.yes && !may_ask {
        let error = anyhow!("there is no terminal to ask on: add --yes to grant the edit without asking");
        return Err(Failure::new(Exit::Usage, error));
    }
    let desk = Desk::open(context, &args.proposal, args.bound.format.into()).await?;
    editable(&desk.record).or_exit(Exit::Input)?;
    let policy = desk.bound(args.bound)?;
    let edit = match &args.file {
        Some(file) => Some(edit::given(&read(file)?, &desk.record, &policy.policy).or_exit(Exit::Input)?),
        None => {
            // An interrupt is the editor's, which shares the terminal.
            let _interrupts = Interrupts::listen()?;
            let editor = Editor::of_environment().or_exit(Exit::Usage)?;
            edit::in_editor(&editor, &desk.record, &policy.policy).await.or_exit(Exit::Input)?
        }
    };
    let Some(edit) = edit else {
        output::note("nothing was changed, and so nothing is decided");
        return Ok(Exit::No);
    };
    desk.note(&show::render(&edit.effect));
    if !args.yes && !agreed()? {
        return Ok(Exit::No);
    }
    let verdict = Verdict::Modify { scope: args.scope.into(), edited: edit.edited };
    desk.give(verdict, &args.reason.unwrap_or_default()).await
}

impl<'a> Desk<'a> {
    async fn open(context: &'a Context, proposal: &ProposalId, format: Format) -> Result<Self, Failure> {
        let key = key(context)?;
        let bus = context.operator().await?;
        let record = super::known(&bus, proposal).await?;
        if let ProposalState::Resolved { resolved, .. } = &record.state {
            let error = anyhow!("{proposal} is answered already: {}", card::ended(resolved));
            return Err(Failure::new(Exit::No, error));
        }
        let current = super::policy(&bus, &record.bottle).await?;
        Ok(Self { context, bus, key, record, current, format })
    }

    /// The policy that the answer is bound to.
    fn bound(&self, bound: Bound) -> Result<&PolicyRevision, Failure> {
        let gone =
            || anyhow!("{} has no policy any more: the proposal can only be rejected", self.record.bottle);
        let current = self.current.as_ref().ok_or_else(gone).or_exit(Exit::NotFound)?;
        match bound.revision {
            Some(shown) if shown != current.revision => {
                let error = anyhow!(
                    "{} is at revision {} now, and you were shown {shown}: look at `bot-bottle proposals show {}`, and answer \
                     again",
                    self.record.bottle,
                    current.revision,
                    self.record.proposal
                );
                Err(Failure::new(Exit::TryAgain, error))
            }
            _ => Ok(current),
        }
    }

    fn must_say_why(&self, reason: &str) -> Result<(), Failure> {
        let kind = self.record.content.kind();
        if kind.is_about_a_secret() && reason.trim().is_empty() {
            let error = anyhow!("a {} may let a secret out: say why it may, with --reason", kind.as_str());
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(())
    }

    fn note(&self, text: &str) {
        if self.format == Format::Text {
            output::note(text);
        }
    }

    async fn give(self, verdict: Verdict, reason: &str) -> Result<Exit, Failure> {
        let Self { context, bus, key, record, current, format } = self;
        let proposal = record.proposal.clone();
        let answer = Answer::new(record, current.as_ref(), verdict, reason);
        let mut given = std::pin::pin!(answer.give(&bus, &key, &context.clock));
        let reply = tokio::select! {
            reply = &mut given => reply,
            () = tokio::time::sleep(PATIENCE) => {
                output::note("waiting until the bottle's proxy has confirmed it");
                given.await
            }
        };
        let reply = match reply.map_err(|error| unknown(error, &proposal))? {
            DecideReply::Building => building(&bus, &proposal).await?,
            reply => reply,
        };
        if format == Format::Json {
            output::json(&reply).context("cannot print the reply")?;
        }
        let told = answer::told(&reply);
        let exit = code(&reply);
        if exit != Exit::Ok {
            let differs: String = told.differs.iter().map(|line| format!("\n  {line}")).collect();
            return Err(Failure::new(exit, anyhow!("{}{differs}", told.text)));
        }
        if format == Format::Text {
            output::line(&format!("{proposal} {}", told.text));
        }
        Ok(Exit::Ok)
    }
}

/// Waits until an image is built, or cannot be, and tells that it waits.
async fn building(bus: &Bus, proposal: &ProposalId) -> Result<DecideReply, Failure> {
    output::note("the bottle is committed and the image built; this may take minutes");
    let (end, mut told) = (Instant::now() + BUILDING, Instant::now());
    while Instant::now() < end {
        match super::known(bus, proposal).await?.state {
            ProposalState::Applying { .. } => {}
            ProposalState::Resolved { resolved, .. } => return Ok(DecideReply::Resolved { resolved }),
            ProposalState::Pending { failed } => {
                let reason = failed.unwrap_or_else(|| "the supervisor gave no reason".to_owned());
                return Ok(DecideReply::Refused { why: DecideRefusal::ApplyFailed { reason } });
            }
        }
        if told.elapsed() >= AGAIN {
            told = Instant::now();
            output::note("the image is still being built");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(DecideReply::Building)
}

/// The operator's key of this home.
///
/// # Errors
/// There is none, or it cannot be used.
pub(crate) fn key(context: &Context) -> Result<OperatorKey, Failure> {
    OperatorKey::load(&operators::key_file(&context.home)).map_err(|error| {
        let exit =
            if matches!(error, OperatorKeyError::Missing { .. }) { Exit::NotFound } else { Exit::Input };
        Failure::new(exit, error)
    })
}

/// An answer that got no reply may have been taken all the same.
fn unknown(error: BusError, proposal: &ProposalId) -> Failure {
    match Err::<(), _>(error).or_bus() {
        Ok(()) => Failure::new(Exit::Internal, anyhow!("no error")),
        Err(failure) => {
            let context = format!(
                "it is not known what became of the answer; `bot-bottle proposals show {proposal}` says how it stands"
            );
            Failure { error: failure.error.context(context), ..failure }
        }
    }
}

/// The exit code of a reply.
fn code(reply: &DecideReply) -> Exit {
    let why = match reply {
        DecideReply::Resolved { .. } => return Exit::Ok,
        DecideReply::Unconfirmed { .. } | DecideReply::Building => return Exit::TryAgain,
        DecideReply::Refused { why } => why,
    };
    match why {
        DecideRefusal::AlreadyResolved { .. } | DecideRefusal::ApplyFailed { .. } => Exit::No,
        DecideRefusal::UnknownProposal => Exit::NotFound,
        DecideRefusal::UnknownOperator | DecideRefusal::BadSignature => Exit::Denied,
        DecideRefusal::ReasonRequired => Exit::Usage,
        DecideRefusal::Malformed { .. }
        | DecideRefusal::InvalidEdit { .. }
        | DecideRefusal::InvalidScope { .. }
        | DecideRefusal::NotApplicable { .. } => Exit::Input,
        DecideRefusal::Untimely { .. }
        | DecideRefusal::Replayed
        | DecideRefusal::BeingApplied
        | DecideRefusal::WrongHash { .. }
        | DecideRefusal::StaleBase { .. } => Exit::TryAgain,
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()));
        opened.or_exit(Exit::NotFound)?.take(LARGEST + 1).read_to_string(&mut text)
    };
    let read = read.with_context(|| format!("cannot read {}", file.display())).or_exit(Exit::Input)?;
    if read as u64 > LARGEST {
        return Err(Failure::new(Exit::Input, anyhow!("the edit is larger than 64 KiB")));
    }
    Ok(text)
}

fn agreed() -> Result<bool, Failure> {
    let mut terminal = std::io::stderr();
    write!(terminal, "grant it? [y/N] ").and_then(|()| terminal.flush()).context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
