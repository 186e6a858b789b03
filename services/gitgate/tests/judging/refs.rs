//! Refs by the rules, with the facts that git has of them (G6).

use manifest::RefRules;

use crate::world::{Options, World, judged};

fn defaults() -> Options {
    let mut options = Options::default();
    options.rules.refs = RefRules::default();
    options
}

/// The reason that a push of these is refused for, if it is.
async fn refusal(world: &mut World, updates: &[(&str, Option<&str>)]) -> Option<String> {
    let push = world.push(updates);
    judged(&world.judge(defaults()), &push).await.err().map(|refused| refused.reason)
}

#[tokio::test]
async fn git_says_what_happens_to_a_ref() {
    let mut world = World::new();
    let (main, tree) = (world.main(), world.tree_of("refs/heads/main"));
    let first = world.commit(&tree, &[&main], "first of the agent\n");
    world.upstream("refs/heads/agent/x", &first);
    let next = world.commit(&tree, &[&first], "second\n");
    let aside = world.commit(&tree, &[&main], "aside\n");
    let tag = world.tag(&next, "commit", "v1", "release\n");
    let cases: [(&str, Option<&str>, Option<&str>); 10] = [
        ("refs/heads/agent/x", Some(&next), None),
        ("refs/heads/agent/x", Some(&aside), Some("may not be forced: it is no fast-forward")),
        ("refs/heads/agent/x", Some(&main), Some("may not be forced")),
        ("refs/heads/agent/x", None, Some("may not be removed")),
        ("refs/heads/agent/new", Some(&next), None),
        ("refs/heads/agent/new", Some(&tag), Some("a branch can only point at a commit")),
        ("refs/heads/main", Some(&next), Some("upstream's default branch")),
        ("refs/heads/MAIN", Some(&next), Some("upstream's default branch")),
        ("refs/tags/v1", Some(&tag), Some("tags are not pushed")),
        ("refs/notes/commits", Some(&next), Some("only branches can be pushed")),
    ];
    for (name, new, why) in cases {
        let reason = refusal(&mut world, &[(name, new)]).await;
        match why {
            None => assert_eq!(reason, None, "{name}"),
            Some(why) => {
                assert!(reason.as_deref().is_some_and(|reason| reason.contains(why)), "{name}: {reason:?}");
            }
        }
    }
}

#[tokio::test]
async fn one_bad_ref_refuses_all_and_is_named() {
    let mut world = World::new();
    let tip = world.file("x", b"x\n");
    let refs = [
        ("refs/heads/good", Some(tip.as_str())),
        ("refs/tags/v1", Some(&tip)),
        ("refs/pull/1/head", Some(&tip)),
    ];
    let reason = refusal(&mut world, &refs).await.unwrap();
    insta::assert_snapshot!(reason, @r"
    refs/tags/v1 may not be created: tags are not pushed unless the bottle's `refs` name them
    refs/pull/1/head may not be created: names of this kind are the forge's or git's own, and no rule can open them
    ");
}

#[tokio::test]
async fn a_repository_that_nobody_named_is_refused() {
    let mut world = World::new();
    let tip = world.file("x", b"x\n");
    let mut push = world.push(&[("refs/heads/a", Some(&tip))]);
    push.repo = "other".to_owned();
    let refused = judged(&world.judge(defaults()), &push).await.unwrap_err();
    assert!(refused.reason.contains("no rules for the repository"));
}
