//! One launch, step by step (design: launch steps 1 to 8; `docs/launcher.md`).

mod committing;
mod ending;
mod filling;
mod live;
mod made;
mod program;
mod revision;
mod settle;
mod sidecars;
mod snapshot;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::message::Version;
use bus::message::revision::{Change, Confirm, PolicyChange};
use bus::message::run::{FailureKind, StepTime};
use bus::message::start::StartRequest;
use bus::{Bus, Trace};
use telemetry::{Kind, Open};

use self::made::Made;
use self::revision::first_revision;
use crate::backend::{Backend, BackendError, Boundary, BoundarySpec, Progress};
use crate::canary::Canary;
use crate::commit::Orders;
use crate::hold::Hold;
use crate::image::Source;
use crate::output::Pumps;
use crate::plan::{Plan, plan};
use crate::probe;
use crate::record::{Owner, Registered, add_note};
use crate::session;
use crate::sidecars::{Sidecars, Wanted, ports};
use crate::step::{LaunchError, Step};
use crate::terminal::Listed;
use crate::world::World;

pub(crate) use live::{Stop, Stops};
pub(crate) use settle::Settled;

/// The operator's own secret rules, in the home.
const RULES: &str = "rules.toml";
/// How much longer than its longest run a bottle's bus identity lives: its launch comes before, its end after.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// What a request is launched with.
pub(crate) struct Launch<'a> {
    pub(crate) world: &'a World,
    /// The start as a whole; the steps are parts of it.
    trace: Trace,
    /// In that trace.
    pub(crate) bus: Bus,
    pub(crate) request: &'a StartRequest,
    /// Which try this is, from 1.
    pub(crate) attempt: u64,
    /// The launcher's own.
    life: &'a Lifecycle,
    /// Of the steps so far; some run at the same time.
    times: Mutex<Vec<StepTime>>,
}

/// A bottle in which the agent's program runs.
struct Running {
    plan: Plan,
    registered: Registered,
    backend: Arc<dyn Backend>,
    boundary: Box<dyn Boundary>,
    sidecars: Sidecars,
    pumps: Pumps,
    /// Its terminal, if it has one; those who type find it here.
    terminal: Option<Listed>,
    since: Instant,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(
        world: &'a World,
        trace: Trace,
        (request, attempt): (&'a StartRequest, u64),
        life: &'a Lifecycle,
    ) -> Self {
        Self {
            world,
            trace,
            bus: world.bus.with_trace(trace),
            request,
            attempt,
            life,
            times: Mutex::default(),
        }
    }

    /// Step 1.
    ///
    /// # Errors
    /// The request or the files are wrong; nothing was made.
    pub(crate) async fn resolve(&self) -> Result<Plan, LaunchError> {
        let (home, host) = (self.world.config.manifest_home(), &self.world.config.environment);
        let resolving = async {
            let mut request = self.request.clone();
            let resume = match &self.request.resume {
                Some(resume) => Some(session::find(&self.bus, &request, resume).await?),
                None => None,
            };
            if let Some(resume) = &resume {
                request.bottles.clone_from(&resume.bottles);
            }
            let mut plan = plan(&request, &home, host)?.resuming(resume)?;
            self.is_uploaded(&plan).await?;
            let backend = self.backend(&plan)?;
            backend.works().await.map_err(|error| no_backend(&error))?;
            let chosen = backend.runtime(plan.runtime).await.map_err(|error| no_backend(&error))?;
            plan.runtime = chosen.runtime;
            plan.notes.extend(chosen.note);
            self.has_image(&plan).await?;
            Ok(plan)
        };
        self.step(Step::Resolve, None, Box::pin(resolving)).await
    }

    /// Steps 2 to 8: from the plan to nothing. A launch that has come to nothing when its launcher stops is handed
    /// back whatever failed: it may have been the stop, and if not, it fails once more elsewhere.
    ///
    /// # Errors
    /// The first step that failed; what was made before was undone, in reverse.
    pub(crate) async fn perform(
        self,
        plan: Plan,
        hold: &Hold,
        mut stops: Stops,
        commits: Orders,
    ) -> Result<Settled, LaunchError> {
        let mut made = Made::new(self.backend(&plan)?.clone(), self.world, &plan);
        match Box::pin(self.bring_up(plan, &mut made)).await {
            Ok(running) => Ok(Box::pin(self.live(running, hold, (stops, commits))).await),
            Err(error) => {
                let hand_back = self.life.is_stopping() && !live::is_wanted_over(&mut stops);
                made.undo(&error, hand_back).await;
                if hand_back { Ok(Settled::HandedBack) } else { Err(error) }
            }
        }
    }

    async fn bring_up(&self, plan: Plan, made: &mut Made) -> Result<Running, LaunchError> {
        let bottle = plan.bottle.clone();
        let canary = Canary::random(&plan.env);
        let revision = self.step(Step::Record, Some(&plan), Box::pin(self.record(&plan, made))).await?;
        self.observe(&plan, Step::Sidecars).await;
        self.observe(&plan, Step::Boundary).await;
        let (sidecars, boundary, fetched) = tokio::join!(
            self.timed(Step::Sidecars, self.sidecars(&plan, revision, &canary)),
            self.timed(Step::Boundary, self.boundary(&plan)),
            self.fetch(&plan),
        );
        self.note_time(Step::Sidecars, sidecars.1);
        self.note_time(Step::Boundary, boundary.1);
        // Both are kept before either is looked at, so that a failure of one undoes the other.
        let (sidecars, boundary) = (
            sidecars.0.map(|sidecars| made.sidecars.insert(sidecars)),
            boundary.0.map(|b| made.boundary.insert(b)),
        );
        let (sidecars, boundary, mut fetched) = (sidecars?, boundary?, fetched?);
        connect(sidecars, boundary).await?;
        let targets = &self.world.config.targets;
        let probing = async {
            let probed = probe::probe(boundary, targets).await;
            probed.map_err(|error| LaunchError::new(Step::Probe, FailureKind::Probe, error.to_string()))
        };
        self.step(Step::Probe, Some(&plan), probing).await?;
        let provisioning = async {
            self.restore(&plan, &mut fetched, boundary).await?;
            let prepared = self.provision(&plan, &sidecars.certificate, &canary, boundary).await?;
            self.furnish(&plan, fetched, boundary).await?;
            self.set_up(&plan, &prepared, boundary).await?;
            Ok(prepared)
        };
        let prepared = self.step(Step::Provision, Some(&plan), self.unless_stopping(provisioning)).await?;
        if self.life.is_stopping() {
            let reason = "its launcher was stopped before the program ran";
            return Err(LaunchError::new(Step::Run, FailureKind::Internal, reason));
        }
        self.note_session(&plan).map_err(|error| {
            LaunchError::caused(Step::Run, FailureKind::Internal, "writing down what the session is", &error)
        })?;
        let (pumps, desk) = self.step(Step::Run, Some(&plan), self.start(&plan, prepared, boundary)).await?;
        let terminal = desk.map(|desk| self.world.terminals.list(&bottle, desk));
        tracing::info!(%bottle, request = %self.request.id, "the program runs");
        let notes = [boundary.notes(), sidecars.notes()].concat();
        let (registered, boundary, sidecars) = made.give();
        let since = Instant::now();
        let backend = self.backend(&plan)?.clone();
        let mut running = Running { plan, registered, backend, boundary, sidecars, pumps, terminal, since };
        notes.iter().for_each(|note| running.registered.amend(|record| add_note(record, note)));
        Ok(running)
    }

    /// Step 2. The label on disk comes first: it is what a later reconciliation goes by.
    async fn record(&self, plan: &Plan, made: &mut Made) -> Result<u64, LaunchError> {
        let failed = |doing: &str, error: &dyn std::error::Error| {
            LaunchError::caused(Step::Record, FailureKind::Internal, doing, error)
        };
        let state = self.world.config.state().of(&plan.bottle);
        made.has_state = true;
        let owner = Owner { launcher: self.world.id().clone(), request: self.request.id.clone() };
        let labelled = state.create().and_then(|()| owner.store(&state));
        labelled.map_err(|error| failed(&format!("making {}", state.path().display()), &error))?;
        let (world, bus) = (self.world, &self.bus);
        let change = PolicyChange {
            v: Version,
            bottle: plan.bottle.clone(),
            base: 0,
            change: Change::Replace { policy: plan.resolved.bottle.egress.clone() },
            confirm: Confirm::Stored,
        };
        let (registered, revision) = tokio::join!(
            Registered::create(
                bus,
                &world.clock,
                world.id(),
                (self.request, self.attempt),
                plan,
                (self.backend(plan)?.name(), plan.runtime)
            ),
            first_revision(bus, &change),
        );
        made.registered = Some(registered.map_err(|error| failed("recording the bottle", &error))?);
        if let Some(resume) = self.request.resume.as_ref().filter(|resume| !resume.fresh) {
            session::claim(bus, &world.clock, (self.request, resume), &plan.bottle).await?;
        }
        match revision.map_err(|error| failed("asking the supervisor to store the policy", &error))? {
            Ok(revision) => Ok(revision),
            Err(reply) => {
                let reason = format!("the supervisor did not store the policy: {reply:?}");
                Err(LaunchError::new(Step::Record, FailureKind::Internal, reason))
            }
        }
    }

    /// What isolates the bottle.
    fn backend(&self, plan: &Plan) -> Result<&Arc<dyn Backend>, LaunchError> {
        let has_image = plan.resolved.bottle.image.is_some();
        let found = self.world.backends.of_bottle(plan.backend.as_deref(), has_image);
        found.map_err(|error| no_backend(&error))
    }

    /// Step 4.
    async fn boundary(&self, plan: &Plan) -> Result<Box<dyn Boundary>, LaunchError> {
        let (progress, mut lines) = Progress::channel();
        let spec = BoundarySpec {
            bottle: plan.bottle.clone(),
            limits: plan.limits,
            ports: ports(Wanted::of(&plan.resolved.bottle)),
            programs: plan.program.mount.iter().cloned().collect(),
            image: pinned(plan).or_else(|| plan.resolved.bottle.image.as_ref().map(Source::from)),
            runtime: plan.runtime,
            progress,
        };
        let telling = async {
            while let Some(line) = lines.recv().await {
                self.tell_progress(&plan.bottle, line).await;
            }
            std::future::pending::<()>().await;
        };
        let made = tokio::select! {
            made = self.backend(plan)?.create(spec) => made,
            () = telling => unreachable!("it waits for the other"),
        };
        made.map_err(|e| LaunchError::caused(Step::Boundary, FailureKind::Boundary, "making the bottle", &e))
    }

    /// Who does not hear it has the log.
    async fn tell_progress(&self, bottle: &Slug, line: String) {
        let progress = bus::message::progress::Progress {
            v: Version,
            request: self.request.id.clone(),
            bottle: bottle.clone(),
            line,
        };
        if let Err(error) = self.bus.announce(&progress).await {
            tracing::debug!(error = base::error::chain(&error), "progress was not told");
        }
    }

    /// Whether what a commit was made of is still there; a bottle is never made of something else without a word.
    async fn has_image(&self, plan: &Plan) -> Result<(), LaunchError> {
        let backend = self.backend(plan)?;
        let (Some(image), Some(resume)) =
            (plan.commit().and_then(|commit| commit.image.as_ref()), plan.resume.as_ref())
        else {
            return Ok(());
        };
        match backend.has_image(&image.id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(session::without_image(&resume.bottle, image)),
            Err(error) => Err(no_backend(&error)),
        }
    }

    async fn step<T>(
        &self,
        step: Step,
        plan: Option<&Plan>,
        work: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        if let Some(plan) = plan {
            self.observe(plan, step).await;
        }
        let (result, time) = self.timed(step, work).await;
        self.note_time(step, time);
        result
    }

    /// Does a step's work, as a span, and measures it.
    async fn timed<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, LaunchError>>,
    ) -> (Result<T, LaunchError>, Duration) {
        let (mut span, start) = (self.span(step), Instant::now());
        let done = work.await;
        if let Err(error) = &done {
            span.fail(&error.reason);
        }
        (done, start.elapsed())
    }

    fn span(&self, step: Step) -> Open {
        self.world.tracer.open(step.as_str(), Kind::Internal, self.trace)
    }

    async fn observe(&self, plan: &Plan, step: Step) {
        (self.world.observer)(plan.bottle.clone(), step).await;
    }

    fn note_time(&self, step: Step, time: Duration) {
        // A panic elsewhere leaves the list as it was.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(StepTime { step: step.to_string(), ms: time.as_secs_f64() * 1000.0 });
    }
}

/// The image of the commit that a bottle begins with.
fn pinned(plan: &Plan) -> Option<Source> {
    let image = plan.commit()?.image.as_ref()?;
    Some(Source::Pinned { id: image.id.clone(), name: image.name.clone() })
}

fn no_backend(error: &BackendError) -> LaunchError {
    LaunchError::new(Step::Resolve, FailureKind::Prerequisite, error.to_string())
}

/// The end of step 4: the sockets that init opened go to the sidecars.
async fn connect(sidecars: &mut Sidecars, boundary: &mut Box<dyn Boundary>) -> Result<(), LaunchError> {
    sidecars.serve(boundary.take_listeners()).await.map_err(|error| {
        let reason = format!("handing the bottle's ports over: {}", base::error::chain(&error));
        LaunchError::new(Step::Boundary, FailureKind::Sidecar, reason)
    })
}
