//! What is in a workspace: a copy of a directory, a clone through the gate, or nothing (L9); and skills beside it (L10).

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use base::Secret;
use base::lifecycle::Lifecycle;
use harness::{Backend, Forge, Home, Origin, Ran, World, on_each_backend};
use policy::EgressPolicy;

/// Lists everything below the workspace but git's own files.
const LIST: &str = "find . -path ./.git -prune -o -printf '%P %y %m %l\\n' | sort; id -u";

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]).args(arguments);
    let output = git.current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A directory with a commit, an ignored file and links.
fn project(at: &Path) {
    std::fs::create_dir_all(at.join("src")).unwrap();
    std::fs::create_dir_all(at.join("target/deep")).unwrap();
    git(at, &["init", "--quiet", "--initial-branch=main", "."]);
    std::fs::write(at.join(".gitignore"), "/target\n*.log\n").unwrap();
    std::fs::write(at.join("src/run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(at.join("src/run"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    symlink("src/run", at.join("link")).unwrap();
    symlink("/etc/shadow", at.join("of-the-host")).unwrap();
    std::fs::write(at.join("kept.log"), "tracked, though ignored").unwrap();
    git(at, &["add", "--force", "."]);
    git(at, &["commit", "--quiet", "-m", "The beginning"]);
    std::fs::write(at.join("target/deep/out"), "built").unwrap();
    std::fs::write(at.join("new"), "not added yet").unwrap();
    // A repository's configuration that would run something if anybody listed its files carelessly.
    let trap = at.join("trapped");
    git(at, &["config", "core.fsmonitor", &format!("touch {}; false", trap.display())]);
}

async fn in_directory(home: &Home, directory: &Path, arguments: &[&str]) -> Ran {
    let mut command = home.command(arguments);
    command.current_dir(directory);
    let output = harness::soon("a command", command.output()).await.unwrap();
    Ran {
        command: format!("{arguments:?}"),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

on_each_backend!(
    the_current_directory_is_copied_and_nothing_is_written_back,
    a_repository_is_cloned_through_the_gate,
    skills_are_copied_and_belong_to_the_agent,
);

async fn the_current_directory_is_copied_and_nothing_is_written_back(on: Backend) {
    let world = World::up_on(on).await;
    let place = tempfile::tempdir().unwrap();
    project(place.path());
    let program =
        format!("{LIST}; git status --short; git log --format=%s; echo changed > src/run; rm -rf .git");
    world.home.write("lister", &["sh", "-c", &program], &EgressPolicy::default());
    let start = ["start", "lister", "--yes", "--cwd"];
    let whole = in_directory(&world.home, place.path(), &start).await;
    whole.expect_code(0).expect_err("a copy of").expect_err("nothing is written back");
    let lines = "src/run f 755 \ntarget d 755 \ntarget/deep d 755 \ntarget/deep/out f 644 \n1000\n?? new\nThe beginning\n";
    whole.expect_out(lines).expect_out("link l 777 src/run\n").expect_out("of-the-host l 777 /etc/shadow\n");

    let few = in_directory(&world.home, place.path(), &[&start[..], &["--skip-ignored"]].concat()).await;
    few.expect_code(0).expect_out("kept.log f").expect_out("new f").expect_out("?? new\nThe beginning\n");
    assert!(!few.out.contains("target"), "{few:?}");
    assert!(!place.path().join("trapped").exists(), "the repository's own program ran on the host");

    assert_eq!(std::fs::read_to_string(place.path().join("src/run")).unwrap(), "#!/bin/sh\n");
    assert!(place.path().join(".git").is_dir());
    // What was uploaded is gone when its run is over.
    let url = world.run(&["status", "--json"]).await.json()["bus"].as_str().unwrap().to_owned();
    let keys = bus::keys::Keys::load(world.home.path()).unwrap();
    let operator = keys.mint(bus::role::Role::Operator, None).unwrap();
    let operator = bus::Bus::connect(bus::Connect::new(&url, operator)).await.unwrap();
    assert_eq!(operator.objects(bus::layout::WORKSPACES).list().await.unwrap(), []);
    world.down().await;
}

#[tokio::test]
async fn no_directory_is_copied_that_holds_keys_and_none_that_git_does_not_know() {
    let home = Home::empty();
    home.write("lister", &["true"], &EgressPolicy::default());
    let run = async |directory: &Path, more: &[&str]| {
        in_directory(&home, directory, &[&["start", "lister", "--yes", "--cwd"], more].concat()).await
    };
    run(home.path(), &[]).await.expect_code(65).expect_err("its keys");
    run(&home.path().join("bottles"), &[]).await.expect_code(65).expect_err("its keys");
    run(home.path().parent().unwrap(), &[]).await.expect_code(65).expect_err("its keys");
    let place = tempfile::tempdir().unwrap();
    run(place.path(), &["--skip-ignored"]).await.expect_code(65).expect_err("git cannot tell");
    run(place.path(), &["--dry-run"]).await.expect_code(0).expect_err("0 files");
    run(place.path(), &["--git", "https://example.org/x"]).await.expect_code(64);
    assert!(!home.path().join("state").exists());
}

/// A forge with a repository, and services in a home with an agent that has it.
struct Workplace {
    world: World,
    url: String,
    commits: Vec<String>,
    _life: Lifecycle,
    _upstream: tempfile::TempDir,
}

impl Workplace {
    async fn up(on: Backend) -> Self {
        let (upstream, life, home) = (tempfile::tempdir().unwrap(), Lifecycle::new(), Home::on(on));
        let token = format!("made-up-{}", base::id::ExchangeId::random());
        let forge = Forge::make(upstream.path().to_owned(), Secret::new(token.clone())).await.unwrap();
        let commits = history(upstream.path());
        let origin = Origin::start(&["localhost"], Some(forge), &life).await.unwrap();
        let authority = upstream.path().join("authority.pem");
        std::fs::write(&authority, &origin.authority).unwrap();
        let url = format!("https://localhost:{}/team/tools.git", origin.address.port());
        let program =
            "git symbolic-ref -q HEAD || echo detached; git rev-parse HEAD; git status -sb | head -1; ls -A";
        let bottle = serde_json::json!({
            "agent_provider": { "template": "command", "argv": ["sh", "-c", program] },
            "env": { "STORY": home.marker },
            "git-gate": { "repos": { "tools": { "url": url, "token_ref": "FORGE_TOKEN" } } },
        });
        home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
        home.write_file("agents/worker.md", "---\nbottle: worker\n---\n");
        let authority = authority.display().to_string();
        let variables = [("FORGE_TOKEN", token.as_str()), ("BOT_BOTTLE_UPSTREAM_CA", &authority)];
        let world = World::up_in(home, &variables).await;
        Self { world, url, commits, _life: life, _upstream: upstream }
    }

    async fn start(&self, more: &[&str]) -> Ran {
        let start = ["start", "worker", "--headless", "--git", &self.url];
        self.world.run(&[&start[..], more].concat()).await
    }
}

/// Three commits: on `main`, tagged, and on `side`.
fn history(upstream: &Path) -> Vec<String> {
    let bare = upstream.join("team/tools.git");
    let tree = upstream.join("tree");
    git(upstream, &["clone", "--quiet", bare.to_str().unwrap(), "tree"]);
    let commit = |name: &str| {
        std::fs::write(tree.join(name), name).unwrap();
        git(&tree, &["add", "."]);
        git(&tree, &["commit", "--quiet", "-m", name]);
        git(&tree, &["rev-parse", "HEAD"])
    };
    let first = commit("first");
    git(&tree, &["tag", "v1"]);
    let second = commit("second");
    git(&tree, &["checkout", "--quiet", "-b", "side/line", "v1"]);
    let third = commit("third");
    git(&tree, &["push", "--quiet", "origin", "main", "side/line", "v1"]);
    vec![first, second, third]
}

async fn a_repository_is_cloned_through_the_gate(on: Backend) {
    let place = Workplace::up(on).await;
    let [first, second, third] = &place.commits[..] else { panic!("{:?}", place.commits) };
    let main = place.start(&[]).await;
    main.expect_code(0).expect_out(&format!("refs/heads/main\n{second}\n## main...origin/main\n"));
    main.expect_out(".git\nfirst\nsecond\n");
    let branch = place.start(&["--ref", "side/line"]).await;
    branch
        .expect_code(0)
        .expect_out(&format!("refs/heads/side/line\n{third}\n## side/line...origin/side/line\n"));
    place.start(&["--ref", "v1"]).await.expect_code(0).expect_out(&format!("detached\n{first}\n"));
    place.start(&["--ref", first]).await.expect_code(0).expect_out(&format!("detached\n{first}\n"));

    // What upstream does not have is git's to say, and what is no reference never reaches it.
    let missing = place.start(&["--ref", "no/such"]).await;
    missing.expect_code(71).expect_err("provision").expect_err("Remote branch no/such not found");
    place.start(&["--ref", &"ab".repeat(20)]).await.expect_code(71).expect_err("git checkout");
    place.start(&["--ref=--upload-pack=touch /tmp/x"]).await.expect_code(64).expect_err("no branch");
    for url in ["https://localhost/other", "/etc", "ext::sh -c id", "--config=x"] {
        let refused = place.world.run(&["start", "worker", "--headless", &format!("--git={url}")]).await;
        refused.expect_code(65).expect_err("resolve").expect_err(&format!("tools ({})", place.url));
    }
    place.world.down().await;
}

async fn skills_are_copied_and_belong_to_the_agent(on: Backend) {
    let home = Home::on(on);
    let list =
        "cd ../.bot-bottle/skills && find . -type f -printf '%P %m %u\\n' | sort && write-tests/scripts/run";
    home.write("writer", &["sh", "-c", list], &EgressPolicy::default());
    home.write_file("agents/writer.md", "---\nbottle: writer\nskills: [write-tests, review]\n---\n");
    home.write_file("skills/write-tests/SKILL.md", "How to.");
    home.write_file("skills/write-tests/scripts/run", "#!/bin/sh\necho it runs\n");
    let run = home.path().join("skills/write-tests/scripts/run");
    std::fs::set_permissions(run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let missing = home.run(&["start", "writer", "--yes"]).await;
    missing.expect_code(65).expect_err("there is no skill review");
    home.run(&["config", "check"]).await.expect_code(1).expect_out("there is no skill review");
    assert!(!home.path().join("state").exists());

    home.write_file("skills/review/SKILL.md", "Look.");
    let ran = home.run(&["start", "writer", "--yes"]).await;
    ran.expect_code(0).expect_err("write-tests, review");
    ran.expect_out("review/SKILL.md 644 agent\nwrite-tests/SKILL.md 644 agent\nwrite-tests/scripts/run 755 agent\nit runs\n");
    symlink("/etc/passwd", home.path().join("skills/review/passwd")).unwrap();
    home.run(&["start", "writer", "--yes"]).await.expect_code(65).expect_err("symbolic link");
    home.run(&["config", "check"])
        .await
        .expect_code(1)
        .expect_out("skills/review:1:1")
        .expect_out("symbolic link");
}
