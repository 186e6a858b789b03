//! Asking and answering.

use std::time::Duration;

use bus::BusError;
use bus::message::Version;
use bus::message::revision::{PolicyGet, PolicyGetReply};
use bus::role::Role;

use crate::support::{SOON, World, slug, soon};

#[tokio::test]
async fn answers_cross_the_accounts_and_each_failure_has_its_name() {
    let world = World::start().await;
    let me = slug("me-00000");
    let (bottle, supervisor) = (world.bottle(&me).await, world.role(Role::Supervisor).await);
    let get = PolicyGet { v: Version, bottle: me.clone() };

    let nobody = bottle.request(&get, SOON).await.unwrap_err();
    assert!(matches!(nobody, BusError::NoResponders { .. }), "{nobody}");

    let mut asked = supervisor.subscribe::<PolicyGet>("policy.get.*").await.unwrap();
    let silent = bottle.request(&get, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(silent, BusError::Deadline { .. }), "{silent}");
    soon("the first request", asked.next()).await.unwrap();

    let answer = async {
        let asked = soon("the request", asked.next()).await.unwrap();
        assert_eq!(asked.message.as_ref().unwrap().bottle, me);
        asked.answer(&PolicyGetReply::Unknown).await.unwrap();
    };
    let (reply, ()) = tokio::join!(bottle.request(&get, SOON), answer);
    assert_eq!(reply.unwrap(), PolicyGetReply::Unknown);

    let other = PolicyGet { v: Version, bottle: slug("you-00000") };
    let denied = bottle.request(&other, SOON).await.unwrap_err();
    assert!(matches!(denied, BusError::Denied(_)), "{denied}");
}
