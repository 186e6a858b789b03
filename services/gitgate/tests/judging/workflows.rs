//! Files that the forge runs (G7).

use manifest::WorkflowRule;

use crate::world::{Options, World, judged};

/// A root tree with a workflow and a file.
fn tree(world: &mut World, directory: &str, workflow: &[u8], file: &[u8]) -> String {
    let (workflow, file) = (world.blob(workflow), world.blob(file));
    let workflows = world.tree(&[("100644", "ci.yml", workflow.as_str())]);
    let forge = world.tree(&[("40000", "workflows", workflows.as_str())]);
    world.tree(&[("40000", directory, forge.as_str()), ("100644", "x.txt", file.as_str())])
}

/// Upstream's `main` has a workflow.
fn world() -> (World, String) {
    let mut world = World::new();
    let main = world.main();
    let tree = tree(&mut world, ".github", b"on: push\n", b"x\n");
    let tip = world.commit(&tree, &[&main], "a workflow\n");
    world.upstream("refs/heads/main", &tip);
    (world, tip)
}

/// The files that a push of this tip to a branch changes; none if it passes.
async fn changed(world: &mut World, name: &str, tip: &str) -> Option<String> {
    let push = world.push(&[(name, Some(tip))]);
    let mut options = Options::default();
    options.rules.workflows = WorkflowRule::Refuse;
    let reason = judged(&world.judge(options), &push).await.err()?.reason;
    let (_, rest) = reason.split_once("changes what the forge runs (").unwrap_or(("", &reason));
    Some(rest.split(')').next().unwrap_or_default().to_owned())
}

const BRANCH: &str = "refs/heads/agent/x";

#[tokio::test]
async fn what_changes_them_is_known() {
    let (mut world, main) = world();
    let same = tree(&mut world, ".github", b"on: push\n", b"other\n");
    let other = tree(&mut world, ".github", b"on: everything\n", b"x\n");
    let cased = tree(&mut world, ".GITHUB", b"on: push\n", b"x\n");
    let forgejo = tree(&mut world, ".forgejo", b"on: push\n", b"x\n");
    let empty = world.tree(&[] as &[(&str, &str, &str)]);
    let script = world.blob(b"script: x\n");
    let gitlab = world.tree(&[("100644", ".gitlab-ci.yml", script.as_str())]);
    let runnable = {
        let old = world.git("mirror", &["rev-parse", "main:.github/workflows/ci.yml"], b"");
        let w = world.tree(&[("100755", "ci.yml", old.as_str())]);
        let f = world.tree(&[("40000", "workflows", w.as_str())]);
        world.tree(&[("40000", ".github", f.as_str())])
    };
    let link = world.tree(&[("120000", ".github", script.as_str())]);
    for (tree, files) in [
        (&same, None),
        (&other, Some(".github/workflows/ci.yml")),
        (&cased, Some(".GITHUB/workflows/ci.yml, .github/workflows/ci.yml")),
        (&forgejo, Some(".forgejo/workflows/ci.yml, .github/workflows/ci.yml")),
        (&empty, Some(".github/workflows/ci.yml")),
        (&gitlab, Some(".github/workflows/ci.yml, .gitlab-ci.yml")),
        (&runnable, Some(".github/workflows/ci.yml")),
        (&link, Some(".github, .github/workflows/ci.yml")),
    ] {
        let tip = world.commit(tree, &[&main], "work\n");
        assert_eq!(changed(&mut world, BRANCH, &tip).await.as_deref(), files);
    }
}

#[tokio::test]
async fn every_commit_counts_and_merges_bring_what_upstream_has() {
    let (mut world, main) = world();
    let old = world.git("mirror", &["rev-parse", "main~1"], b"");
    let same = tree(&mut world, ".github", b"on: push\n", b"one\n");
    let evil = tree(&mut world, ".github", b"on: evil\n", b"two\n");
    let bare = world.tree_of(&old);
    // Changed, and changed back.
    let there = world.commit(&evil, &[&main], "there\n");
    let back = world.commit(&same, &[&there], "and back\n");
    assert!(changed(&mut world, BRANCH, &back).await.is_some());
    // A branch from before the workflow, into which upstream's is merged.
    let branch = world.commit(&bare, &[&old], "on the old base\n");
    let merge = world.commit(&same, &[&branch, &main], "merge main\n");
    assert_eq!(changed(&mut world, BRANCH, &merge).await, None);
    // A merge that makes up a workflow of its own.
    let merge = world.commit(&evil, &[&branch, &main], "evil merge\n");
    assert!(changed(&mut world, BRANCH, &merge).await.is_some());
    // A merge that keeps the branch's side is a branch as it was; on the default branch it takes upstream's away.
    let ours = world.commit(&bare, &[&branch, &main], "merge, ours\n");
    assert_eq!(changed(&mut world, BRANCH, &ours).await, None);
    assert_eq!(
        changed(&mut world, "refs/heads/main", &ours).await.as_deref(),
        Some(".github/workflows/ci.yml")
    );
    // A merge of two of upstream's branches, each with a file that the other has not.
    let script = world.blob(b"script: x\n");
    let other = world.tree(&[("100644", ".gitlab-ci.yml", script.as_str())]);
    let other = world.commit(&other, &[&old], "upstream's other branch\n");
    world.upstream("refs/heads/other", &other);
    let forge = world.git("mirror", &["rev-parse", "main:.github"], b"");
    let mixed =
        world.tree(&[("40000", ".github", forge.as_str()), ("100644", ".gitlab-ci.yml", script.as_str())]);
    for parents in [[other.as_str(), main.as_str()], [main.as_str(), other.as_str()]] {
        let merge = world.commit(&mixed, &parents, "merge both\n");
        assert_eq!(changed(&mut world, BRANCH, &merge).await, None);
    }
    // A history of its own that has one.
    let same = tree(&mut world, ".github", b"on: push\n", b"three\n");
    let root = world.commit(&same, &[], "root\n");
    assert!(changed(&mut world, BRANCH, &root).await.is_some());
    // In a tag.
    let evil = tree(&mut world, ".github", b"on: evil again\n", b"four\n");
    let there = world.commit(&evil, &[&main], "there\n");
    let tag = world.tag(&there, "commit", "v1", "x\n");
    assert!(changed(&mut world, "refs/tags/v1", &tag).await.is_some());
}

#[tokio::test]
async fn the_rule_decides() {
    let (mut world, main) = world();
    let other = tree(&mut world, ".github", b"on: other\n", b"x\n");
    let tip = world.commit(&other, &[&main], "work\n");
    let push = world.push(&[(BRANCH, Some(&tip))]);
    let mut options = Options::default();
    options.rules.workflows = WorkflowRule::Allow;
    assert!(judged(&world.judge(options), &push).await.is_ok());
    let refused = judged(&world.judge(Options::default()), &push).await.unwrap_err();
    insta::assert_snapshot!(refused.reason, @r"
    refs/heads/agent/x changes what the forge runs: .github/workflows/ci.yml
    this needs a person's approval: this bottle asks nobody (`supervise` is off)
    ");
}
