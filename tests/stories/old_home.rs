//! A home that an earlier release has made.

use bus::keys::Keys;
use bus::role::Role;
use bus::{Bus, Connect, Credentials};
use harness::{Backend, Home, World, on_each_backend};
use policy::EgressPolicy;

on_each_backend!(an_old_home_is_brought_up_to_date_and_old_credentials_stay_good);

async fn an_old_home_is_brought_up_to_date_and_old_credentials_stay_good(on: Backend) {
    let home = Home::on(on);
    home.run(&["init", "--bare"]).await.expect_code(0);
    home.run(&["credentials", "operator", "me.creds"]).await.expect_code(0);
    home.write("talker", &["echo", "hello"], &EgressPolicy::default());
    // It knew one role less and no operators, and what it let each role do was another thing.
    for file in ["bus/keys/role-dispatcher.nk", "operator.nk", "operators"] {
        std::fs::remove_file(home.path().join(file)).unwrap();
    }
    home.write_file("bus/accounts.conf", &accounts_of_another_release(&home));

    let world = World::up_in(home, &[]).await;
    world.run(&["start", "talker", "--yes"]).await.expect_code(0).expect_out("hello\n");
    world.run(&["proposals", "list"]).await.expect_code(0);
    world.run(&["audit", "verify"]).await.expect_code(0);
    let url = bus::server::find(world.home.path()).unwrap().unwrap().url;
    let old = Credentials::read(&world.home.path().join("me.creds")).unwrap();
    let bus = Bus::connect(Connect::new(url, old)).await.unwrap();
    assert_eq!(bus.bucket(&bus::layout::BOTTLES).keys().await.unwrap().len(), 1);
    Keys::load(world.home.path()).unwrap().mint(Role::Dispatcher, None).unwrap();
    world.down().await;
}

/// The same operator and accounts with nothing signed for them: a server that read this would let nobody in.
fn accounts_of_another_release(home: &Home) -> String {
    let text = std::fs::read_to_string(home.path().join("bus/accounts.conf")).unwrap();
    let (before, _) = text.split_once("resolver_preload").unwrap();
    format!("{before}resolver_preload: {{}}\n")
}
