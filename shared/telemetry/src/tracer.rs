//! Where spans are opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::Trace;
use tokio::sync::mpsc;

use crate::endpoint::Endpoint;
use crate::export::Exporter;
use crate::span::{Kind, Span, Value};

/// Spans that wait for the collector; further ones are lost.
const QUEUE: usize = 2048;

/// Opens spans, or does nothing at all. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Outlet>>);

struct Outlet {
    queue: mpsc::Sender<Span>,
    lost: Arc<AtomicU64>,
    clock: Clock,
}

/// A span that is not over. It is when this is dropped.
pub struct Open {
    parent: Trace,
    doing: Option<Doing>,
}

struct Doing {
    outlet: Arc<Outlet>,
    since: Instant,
    span: Span,
}

impl Tracer {
    /// A tracer whose spans go to this collector as those of `service`; without a collector, one that does nothing.
    /// The task that sends them ends when the last clone is dropped and what waits is sent: at most two seconds after
    /// both that and the lifecycle's stop.
    #[must_use]
    pub fn start(endpoint: Option<Endpoint>, service: &'static str, clock: Clock, life: &Lifecycle) -> Self {
        let Some(endpoint) = endpoint else { return Self::default() };
        let ((queue, spans), lost) = (mpsc::channel(QUEUE), Arc::new(AtomicU64::new(0)));
        let exporter = Exporter::new(endpoint, service, spans, Arc::clone(&lost), life.clone());
        life.spawn(exporter.run());
        Self(Some(Arc::new(Outlet { queue, lost, clock })))
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a trace with its first span.
    #[must_use]
    pub fn begin(&self, name: &'static str, kind: Kind) -> Open {
        let first = Trace::random();
        self.opened(name, kind, first, first)
    }

    /// Begins a span within `parent`.
    #[must_use]
    pub fn open(&self, name: &'static str, kind: Kind, parent: Trace) -> Open {
        self.opened(name, kind, parent, parent.child())
    }

    fn opened(&self, name: &'static str, kind: Kind, parent: Trace, context: Trace) -> Open {
        let doing = self.0.as_ref().map(|outlet| Doing {
            outlet: Arc::clone(outlet),
            since: Instant::now(),
            span: Span {
                name,
                kind,
                context,
                parent,
                start: outlet.clock.now(),
                duration: std::time::Duration::ZERO,
                attributes: Vec::new(),
                error: None,
            },
        });
        Open { parent, doing }
    }

    /// Tells of a span that is over already. One of a trace that nobody samples goes nowhere.
    pub fn tell(&self, span: Span) {
        if let Some(outlet) = &self.0 {
            outlet.tell(span);
        }
    }
}

impl Outlet {
    fn tell(&self, span: Span) {
        if span.context.is_sampled() && self.queue.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Open {
    /// What its own parts and messages belong to: this span, or its parent where no spans are told of.
    #[must_use]
    pub fn context(&self) -> Trace {
        self.doing.as_ref().map_or(self.parent, |doing| doing.span.context)
    }

    /// Notes something about it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(doing) = &mut self.doing {
            doing.span.attributes.push((name, value.into()));
        }
    }

    /// It failed. `reason` holds no secret.
    pub fn fail(&mut self, reason: &str) {
        if let Some(doing) = &mut self.doing {
            doing.span.error = Some(base::inert(reason, 500));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(Doing { outlet, since, mut span }) = self.doing.take() {
            span.duration = since.elapsed();
            outlet.tell(span);
        }
    }
}
