//! Key-value buckets.

use bus::BusError;
use bus::layout::POLICY;
use bus::role::Role;

use crate::examples::policy_revision;
use crate::support::{World, soon};

#[tokio::test]
async fn values_change_only_by_the_revision_that_was_read() {
    let world = World::start().await;
    let supervisor = world.role(Role::Supervisor).await;
    let policy = supervisor.bucket(&POLICY);
    let mut value = policy_revision("me-00000");
    assert_eq!(policy.get("me-00000").await.unwrap(), None);
    let first = policy.create("me-00000", &value).await.unwrap();
    let again = policy.create("me-00000", &value).await.unwrap_err();
    assert!(matches!(again, BusError::Conflict { .. }), "{again}");

    value.revision = 2;
    let second = policy.update("me-00000", &value, first).await.unwrap();
    let late = policy.update("me-00000", &value, first).await.unwrap_err();
    assert!(matches!(late, BusError::Conflict { expected, .. } if expected == first), "{late}");
    let read = policy.get("me-00000").await.unwrap().unwrap();
    assert_eq!((read.value, read.revision), (value.clone(), second));
    let history = policy.history("me-00000").await.unwrap();
    assert_eq!(history.iter().map(|value| value.value.revision).collect::<Vec<_>>(), [1, 2]);

    policy.put("you-00000", &policy_revision("you-00000")).await.unwrap();
    assert_eq!(policy.keys().await.unwrap(), ["me-00000", "you-00000"]);
    policy.delete("me-00000").await.unwrap();
    assert_eq!(policy.keys().await.unwrap(), ["you-00000"]);
    assert_eq!(policy.get("me-00000").await.unwrap(), None);
    assert_eq!(policy.history("me-00000").await.unwrap(), []);
    policy.create("me-00000", &value).await.unwrap();
    assert_eq!(policy.history("me-00000").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_watch_gives_the_values_and_then_each_change() {
    let world = World::start().await;
    let (supervisor, operator) = (world.role(Role::Supervisor).await, world.role(Role::Operator).await);
    let policy = supervisor.bucket(&POLICY);
    policy.put("me-00000", &policy_revision("me-00000")).await.unwrap();
    let mut watch = operator.bucket(&POLICY).watch().await.unwrap();
    let change = soon("the value", watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.is_some()), ("me-00000", true));
    assert!(watch.stored().await.unwrap().is_none());
    world.kill_server();
    policy.delete("me-00000").await.unwrap();
    let change = soon("the removal", watch.next()).await.unwrap();
    assert_eq!((change.key.as_str(), change.value.is_none()), ("me-00000", true));
}
