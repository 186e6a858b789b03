//! The terminal, the bus, and the loop between them.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use base::error::chain;
use base::id::ProposalId;
use bus::message::proposal::{DecideReply, OperatorKey, ProposalRecord};
use bus::message::revision::PolicyRevision;
use bus::{Bus, BusError, Link, Watch, layout};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use futures::{FutureExt as _, StreamExt as _};
use ratatui::backend::CrosstermBackend;
use ratatui::{DefaultTerminal, Terminal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::input::action;
use super::state::{Effect, Question, State};
use super::view;
use crate::commands::proposals::key;
use crate::context::{Context, OrBus as _};
use crate::deciding::edit::{self, Edit};
use crate::deciding::{Answer, Editor};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;

/// The least time between two pictures, so that a thousand changes are a few of them.
const FRAME: Duration = Duration::from_millis(12);
/// Ages change by themselves.
const TICK: Duration = Duration::from_secs(1);

/// Shows what waits and takes answers, until the operator quits.
///
/// # Errors
/// There is no terminal or no key, or the bus does not answer.
pub async fn run(context: &Context) -> Result<Exit, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let error = anyhow!(
            "there is no terminal to draw on: `bot-bottle proposals list --watch` shows the same, `proposals approve` answers"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let key = Arc::new(key(context)?);
    loop {
        let (url, bus) = (context.bus_url()?, context.operator().await?);
        let proposals = bus.bucket(&layout::PROPOSED).watch().await.or_bus()?;
        let policies = bus.bucket(&layout::POLICY).watch().await.or_bus()?;
        let key = Arc::clone(&key);
        let desk = Desk { context, url, bus, key, answers: JoinSet::new(), state: State::default() };
        match Box::pin(desk.run(proposals, policies)).await? {
            Ending::Quit(exit) => return Ok(exit),
            Ending::Moved => {}
        }
    }
}

/// Why the loop ended.
enum Ending {
    /// The operator quit.
    Quit(Exit),
    /// The services are back, with another bus.
    Moved,
}

/// What became of an answer.
type Replied = (ProposalId, Result<DecideReply, BusError>);

struct Desk<'a> {
    context: &'a Context,
    url: Option<String>,
    bus: Bus,
    key: Arc<OperatorKey>,
    answers: JoinSet<Replied>,
    state: State,
}

impl Desk<'_> {
    async fn run(
        mut self,
        mut proposals: Watch<ProposalRecord>,
        mut policies: Watch<PolicyRevision>,
    ) -> Result<Ending, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let mut link = self.bus.link();
        let mut screen = Screen::open().context("cannot use the terminal")?;
        let mut keys = EventStream::new();
        let mut tick = tokio::time::interval(TICK);
        let mut next = Some(Instant::now());
        loop {
            let drawing = next.unwrap_or_else(Instant::now);
            let effect = tokio::select! {
                () = tokio::time::sleep_until(drawing), if next.is_some() => {
                    self.draw(&mut screen)?;
                    next = None;
                    continue;
                }
                event = keys.next() => self.heed(event)?,
                change = proposals.next() => {
                    self.state.proposal(change.or_bus()?);
                    None
                }
                change = policies.next() => {
                    self.state.policy(change.or_bus()?);
                    None
                }
                Some(replied) = self.answers.join_next() => {
                    self.replied(replied);
                    None
                }
                // The sender lives as long as the connection.
                Ok(()) = link.changed() => {
                    self.state.is_away = *link.borrow_and_update() == Link::Down;
                    None
                }
                _ = tick.tick() => {
                    if self.has_moved()? {
                        return Ok(Ending::Moved);
                    }
                    None
                }
                () = interrupts.next() => Some(Effect::Quit),
            };
            match effect {
                Some(Effect::Quit) => return self.end(screen).await.map(Ending::Quit),
                Some(Effect::Answer(answer)) => self.give(*answer),
                Some(Effect::Edit(question)) => {
                    // The keys are the editor's meanwhile.
                    drop(keys);
                    self.edit(&mut screen, *question).await?;
                    if interrupts.order().now_or_never().is_some() {
                        return self.end(screen).await.map(Ending::Quit);
                    }
                    keys = EventStream::new();
                    // An interrupt of the editor is none of ours.
                    interrupts = Interrupts::listen()?;
                }
                None => {}
            }
            next = next.or_else(|| Some(screen.last + FRAME));
        }
    }

    /// Whether the bus has gone for good, and there is another one. What was answered meanwhile is shown as it stands there.
    fn has_moved(&self) -> Result<bool, Failure> {
        if !self.state.is_away {
            return Ok(false);
        }
        let url = self.context.bus_url()?;
        Ok(url.is_some() && url != self.url)
    }

    fn draw(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        let now = self.context.clock.now();
        let mut scroll = self.state.scroll;
        screen
            .terminal
            .draw(|frame| scroll = view::draw(frame, &self.state, now))
            .context("cannot draw on the terminal")?;
        self.state.scroll = scroll;
        screen.last = Instant::now();
        Ok(())
    }

    fn heed(&mut self, event: Option<io::Result<Event>>) -> Result<Option<Effect>, Failure> {
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let event = event.unwrap_or_else(|| Err(gone())).context("cannot read from the terminal")?;
        Ok(action(&event, &self.state.mode).and_then(|action| self.state.act(action)))
    }

    fn give(&mut self, answer: Answer) {
        let (bus, key, clock) = (self.bus.clone(), Arc::clone(&self.key), self.context.clock.clone());
        self.answers.spawn(async move {
            let proposal = answer.shown.proposal.clone();
            (proposal, answer.give(&bus, &key, &clock).await)
        });
    }

    fn replied(&mut self, replied: Result<Replied, tokio::task::JoinError>) {
        // A task that gives an answer neither panics nor is cancelled while this waits for it.
        let Ok((proposal, reply)) = replied else { return };
        let reply = reply.map_err(|error| {
            format!("it is not known what became of the answer: {}", base::inert(&chain(&error), 500))
        });
        self.state.answered(&proposal, reply);
    }

    async fn edit(&mut self, screen: &mut Screen, question: Question) -> Result<(), Failure> {
        screen.leave().context("cannot hand the terminal to the editor")?;
        let edited = edited(&question).await.map_err(|error| base::inert(&chain(error.as_ref()), 1000));
        screen.enter().context("cannot take the terminal back from the editor")?;
        self.state.edited(question, edited);
        Ok(())
    }

    /// Waits for what was answered, so that its reply can be told.
    async fn end(mut self, screen: Screen) -> Result<Exit, Failure> {
        drop(screen);
        if self.answers.is_empty() {
            return Ok(Exit::Ok);
        }
        crate::output::note("waiting for the answers that are on their way; interrupt to leave them");
        let mut interrupts = Interrupts::listen()?;
        loop {
            let replied = tokio::select! {
                replied = self.answers.join_next() => replied,
                () = interrupts.next() => return Ok(Exit::TryAgain),
            };
            let Some(replied) = replied else { return Ok(Exit::Ok) };
            self.replied(replied);
            let note = self.state.note.take();
            note.into_iter().flat_map(|note| note.lines).for_each(|line| crate::output::note(&line));
        }
    }
}

async fn edited(question: &Question) -> anyhow::Result<Option<Edit>> {
    let policy = question.current.as_ref().map(|current| &current.policy);
    let policy = policy.ok_or_else(|| anyhow!("the bottle has no policy any more"))?;
    edit::in_editor(&Editor::of_environment()?, &question.record, policy).await
}

/// The terminal, which is given back as it was: at the end, at an error, and by a hook at a panic.
struct Screen {
    terminal: DefaultTerminal,
    last: Instant,
}

impl Screen {
    fn open() -> io::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        let screen = Self { terminal, last: Instant::now() };
        crossterm::execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(screen)
    }

    fn leave(&mut self) -> io::Result<()> {
        crossterm::execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen)?;
        self.terminal.show_cursor()?;
        disable_raw_mode()
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        crossterm::execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Clear(ClearType::All))?;
        // A new one, which takes nothing for drawn. Clearing the old one asks the terminal where its cursor is, and a reader of
        // keys that has just been dropped can make that fail.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        self.terminal.hide_cursor()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whoever the terminal is taken from cannot be told.
        let _ = crossterm::execute!(io::stdout(), DisableBracketedPaste);
        let _ = self.terminal.show_cursor();
        ratatui::restore();
    }
}
