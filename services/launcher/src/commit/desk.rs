//! Where a run takes orders to commit, and where who asked hears how far they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::id::ExchangeId;
use bus::message::commit::CommitRequest;
use bus::message::record::CommitRecord;
use tokio::sync::{mpsc, watch};

/// What came of an order: what was kept, or why nothing was.
pub(crate) type Outcome = Result<CommitRecord, String>;

/// Where a run takes them.
pub(crate) type Orders = mpsc::Receiver<Order>;

/// How many bytes of an archive there are.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An order to commit. Whoever drops it without an outcome has not committed anything.
#[derive(Debug)]
pub(crate) struct Order {
    /// Who asked chose it.
    pub(crate) id: ExchangeId,
    /// What to make the image of, instead of what the bottle is made of.
    pub(crate) dockerfile: Option<String>,
    /// To be told meanwhile.
    pub(crate) progress: Arc<Progress>,
    /// To be told at the end.
    pub(crate) outcome: watch::Sender<Option<Outcome>>,
}

/// An order, for who asked.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    id: ExchangeId,
    progress: Arc<Progress>,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Job {
    /// How far it is.
    pub(crate) fn packed(&self) -> u64 {
        self.progress.bytes()
    }

    /// Completes when it is over.
    pub(crate) async fn over(&mut self) -> Outcome {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(ENDED.to_owned())),
            Err(_) => Err(ENDED.to_owned()),
        }
    }

    fn is_over(&self) -> bool {
        self.outcome.borrow().is_some() || self.outcome.has_changed().is_err()
    }
}

const ENDED: &str = "the bottle ended before it was committed";

/// One run's desk. It has one order at a time.
#[derive(Debug)]
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    last: Mutex<Option<Job>>,
}

impl Desk {
    pub(crate) fn open() -> (Self, Orders) {
        let (orders, taken) = mpsc::channel(1);
        (Self { orders, last: Mutex::default() }, taken)
    }

    /// The order of this id: a new one, unless it was given before.
    ///
    /// # Errors
    /// Why there cannot be another one now.
    pub(crate) fn ask(&self, request: &CommitRequest) -> Result<Job, String> {
        let id = &request.id;
        // Each change is one assignment.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref() {
            Some(job) if job.id == *id => return Ok(job.clone()),
            Some(job) if !job.is_over() => return Err("it is being committed already".to_owned()),
            _ => {}
        }
        let (progress, (outcome, hears)) = (Arc::new(Progress::default()), watch::channel(None));
        let dockerfile = request.dockerfile.clone();
        let order = Order { id: id.clone(), dockerfile, progress: progress.clone(), outcome };
        self.orders.try_send(order).map_err(|_| "the bottle is ending".to_owned())?;
        Ok(last.insert(Job { id: id.clone(), progress, outcome: hears }).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_order_at_a_time_and_each_id_once() {
        let (desk, mut orders) = Desk::open();
        let request = || CommitRequest {
            v: bus::message::Version,
            id: ExchangeId::random(),
            bottle: "me-00000".parse().unwrap(),
            dockerfile: None,
        };
        let (one, other) = (request(), request());
        let mut job = desk.ask(&one).unwrap();
        desk.ask(&one).unwrap();
        assert!(desk.ask(&other).unwrap_err().contains("already"));
        let order = orders.recv().await.unwrap();
        assert_eq!(order.id, one.id);
        order.progress.add(7);
        assert_eq!(job.packed(), 7);
        order.outcome.send_replace(Some(Err("no".to_owned())));
        assert_eq!(job.over().await, Err("no".to_owned()));
        // What came of it is still there for who asks once more.
        assert_eq!(desk.ask(&one).unwrap().over().await, Err("no".to_owned()));
        let mut job = desk.ask(&other).unwrap();
        drop(orders);
        assert_eq!(job.over().await, Err(ENDED.to_owned()));
        assert!(desk.ask(&request()).unwrap_err().contains("ending"));
    }
}
