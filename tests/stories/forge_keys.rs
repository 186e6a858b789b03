//! Deploy keys at a forge with memory (G8).

use base::Secret;
use gitgate::deploy_keys::obey;
use handover::gitgate::{DeployKeyAnswer, DeployKeyHandover, DeployKeyOrder};
use handover::sidecar::Uplink;
use harness::{FakeForge, TOKEN};

const TITLE: &str = "bot-bottle reviewer-x1y2z";

fn order(forge: &FakeForge, order: DeployKeyOrder) -> DeployKeyHandover {
    DeployKeyHandover {
        v: 1,
        order,
        url: "ssh://git@forge.example.org:2222/team/tools.git".to_owned(),
        api_url: Some(forge.url()),
        token: Secret::new(TOKEN.to_owned()),
        title: TITLE.to_owned(),
        uplink: Uplink::default(),
    }
}

async fn refusal(order: DeployKeyHandover) -> String {
    match obey(order).await {
        Err(error) => format!("{error:#}"),
        Ok(_) => panic!("the order was carried out"),
    }
}

#[tokio::test]
async fn a_key_is_registered_and_taken_back() {
    let forge = FakeForge::start().await;
    forge.add("somebody else's", "ssh-ed25519 AAAA other");
    let answer = obey(order(&forge, DeployKeyOrder::Register)).await.unwrap();
    let DeployKeyAnswer::Registered { key } = answer else { panic!("no key came back") };
    let private = ssh_key::PrivateKey::from_openssh(key.expose()).unwrap();
    let registered = forge.key(TITLE).unwrap();
    assert_eq!(registered.key, private.public_key().to_openssh().unwrap());
    assert!(!registered.read_only, "the gate pushes with it");

    for _ in 0..2 {
        let answer = obey(order(&forge, DeployKeyOrder::Revoke)).await.unwrap();
        assert!(matches!(answer, DeployKeyAnswer::Revoked), "doing it twice is harmless");
        assert_eq!(forge.titles(), ["somebody else's"]);
    }
}

#[tokio::test]
async fn keys_are_found_on_any_page() {
    let forge = FakeForge::start().await;
    (0..120).for_each(|number| forge.add(&format!("key {number}"), "ssh-ed25519 AAAA"));
    forge.add(TITLE, "ssh-ed25519 AAAA");
    forge.add(TITLE, "ssh-ed25519 BBBB");
    assert!(matches!(obey(order(&forge, DeployKeyOrder::Revoke)).await.unwrap(), DeployKeyAnswer::Revoked));
    assert_eq!(forge.titles().len(), 120);
    assert_eq!(forge.key(TITLE), None);
}

#[tokio::test]
async fn what_the_forge_refuses_is_said_with_what_to_try_and_without_the_token() {
    let forge = FakeForge::start().await;
    let wrong = |token: &str| DeployKeyHandover {
        token: Secret::new(token.to_owned()),
        ..order(&forge, DeployKeyOrder::Register)
    };
    let refused = refusal(wrong("another")).await;
    assert!(refused.contains("401") && refused.contains("right to administer"), "{refused}");
    assert!(!refused.contains("another"), "{refused}");
    let refused = refusal(wrong("a\nb")).await;
    assert!(refused.contains("no header can carry"), "{refused}");

    let elsewhere = "ssh://git@forge.example.org/team/none.git".to_owned();
    let refused = refusal(DeployKeyHandover { url: elsewhere.clone(), ..wrong(TOKEN) }).await;
    assert!(refused.contains("404") && refused.contains("address right"), "{refused}");
    // A repository that is gone has no keys left.
    let gone = DeployKeyHandover { url: elsewhere, ..order(&forge, DeployKeyOrder::Revoke) };
    assert!(matches!(obey(gone).await.unwrap(), DeployKeyAnswer::Revoked));

    forge.add(TITLE, "ssh-ed25519 AAAA");
    forge.keep_everything();
    let refused = refusal(order(&forge, DeployKeyOrder::Revoke)).await;
    assert!(refused.contains("500") && refused.contains("words of the forge"), "{refused}");

    let away = DeployKeyHandover {
        api_url: Some(forge.stop().await),
        ..order(&FakeForge::start().await, DeployKeyOrder::Register)
    };
    let refused = refusal(away).await;
    assert!(refused.contains("is it reachable"), "{refused}");
}
