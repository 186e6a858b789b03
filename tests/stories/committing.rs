//! What a running bottle has made is kept, and another bottle goes on from it (L3, L8).

mod images;

use std::path::{Path, PathBuf};

use bus::Bus;
use bus::layout::COMMITS;
use bus::role::Role;
use harness::{Engine, Home, World, soon};
use serde_json::Value;
use tokio::process::Child;

/// Tells what it finds. The first time it makes things, and writes on and on until it is let go.
const PROGRAM: &str = "cat > /dev/null
echo \"resumed ${BOT_BOTTLE_RESUMED:-0}\"
mkdir -p ../.state && echo \"$BOT_BOTTLE\" >> ../.state/log && cat ../.state/log
cat made link \"$(printf 'new\\nline')\" 2> /dev/null; ls
test -e made && exit 0
echo 'of the first' > made; ln -s made link; echo odd > \"$(printf 'new\\nline')\"; mkfifo pipe
(while ! test -e go; do head -c 300000 /dev/urandom > busy; mv busy busy-too; : > busy-too; done) &
touch ready; wait
echo late > late; echo after >> ../.state/log";

pub(crate) fn write(home: &Home, name: &str, program: &str, more: &[(&str, Value)]) {
    let provider = serde_json::json!({
        "template": "command", "argv": ["sh", "-c", program], "session": { "paths": [".state"] },
    });
    let mut bottle = serde_json::json!({ "agent_provider": provider, "env": { "STORY": home.marker } });
    for (key, value) in more {
        bottle[*key] = value.clone();
    }
    home.write_file(&format!("bottles/{name}.md"), &format!("---\n{bottle}\n---\n"));
    home.write_file(&format!("agents/{name}.md"), &format!("---\nbottle: {name}\n---\n"));
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A bottle whose program waits to be let go.
pub(crate) struct Bottle {
    pub(crate) name: String,
    pub(crate) workspace: PathBuf,
    start: Child,
}

impl Bottle {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(world: &World, arguments: &[&str]) -> Self {
        let all = [arguments, &["--headless", "--json"]].concat();
        let start = world.home.command(&all).spawn().unwrap();
        let state = world.home.path().join("state");
        let find = || {
            let entries = state.read_dir().ok()?.flatten();
            entries.map(|entry| entry.path()).find(|path| path.join("home/workspace/ready").exists())
        };
        let found = soon("a bottle that is ready", async {
            loop {
                if let Some(found) = find() {
                    return found;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        let name = found.file_name().unwrap().to_str().unwrap().to_owned();
        Self { name, workspace: found.join("home/workspace"), start }
    }

    /// Lets it go, and returns what it came to.
    pub(crate) async fn end(self) -> Value {
        std::fs::write(self.workspace.join("go"), "").unwrap();
        let ended = soon("its end", self.start.wait_with_output()).await.unwrap();
        let words = String::from_utf8_lossy(&ended.stderr).into_owned();
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {words}"))
    }
}

pub(crate) async fn operator(world: &World) -> Bus {
    as_role(world, Role::Operator).await
}

async fn as_role(world: &World, role: Role) -> Bus {
    let status = world.run(&["status", "--json"]).await.json();
    let keys = bus::keys::Keys::load(world.home.path()).unwrap();
    Bus::connect(bus::Connect::new(text(&status, "bus"), keys.mint(role, None).unwrap())).await.unwrap()
}

pub(crate) async fn archives(bus: &Bus) -> Vec<String> {
    bus.objects(COMMITS).list().await.unwrap().into_iter().map(|info| info.name).collect()
}

#[tokio::test]
async fn a_bottle_that_writes_is_committed_and_another_goes_on_from_it() {
    let world = World::up().await;
    write(&world.home, "keeper", PROGRAM, &[]);
    let bottle = Bottle::start(&world, &["start", "keeper"]).await;
    let name = bottle.name.clone();
    // The only one that runs.
    let said = world.run(&["commit"]).await;
    said.expect_code(0).expect_out(&format!("go on with `bot-bottle resume {name}`"));
    said.expect_out("left out: 1 sockets, pipes and devices");
    world.run(&["list"]).await.expect_code(0).expect_out("COMMIT");
    world.run(&["list"]).await.expect_out("running");
    let file = world.home.path().join("export.tar.zst");
    let again = world.run(&["commit", &name, "--json", "--export", file.to_str().unwrap()]).await;
    let commit = again.expect_code(0).json();
    assert_eq!(text(&commit, "bottle"), name);
    // The one before is gone, and what was exported is the archive.
    assert_eq!(archives(&operator(&world).await).await, [text(&commit, "archive")]);
    let place = tempfile::tempdir().unwrap();
    let limits = archive::Limits { bytes: 100 << 20, entries: 1000 };
    let exported = std::fs::File::open(&file).unwrap();
    archive::unpack(exported, place.path(), Path::new(""), archive::Odd::Keep, limits).unwrap();
    assert_eq!(std::fs::read_to_string(place.path().join("workspace/link")).unwrap(), "of the first\n");
    world.run(&["commit", &name, "--export", file.to_str().unwrap()]).await.expect_code(65);

    let first = bottle.end().await;
    assert_eq!((text(&first, "state"), first["code"].as_i64()), ("removed", Some(0)), "{first}");
    let second = world.run(&["resume", &name, "--headless", "--json"]).await.expect_code(0).json();
    let next = text(&second, "bottle");
    let expected = format!("resumed 1\n{name}\nafter\n{next}\nof the first\nof the first\nodd\nbusy");
    let result = text(&second, "result");
    assert!(result.contains(&expected) && !result.contains("late"), "{result}");

    // What it began with is what it goes on with, until it is committed itself.
    let third = world.run(&["resume", next, "--yes"]).await;
    third.expect_code(0).expect_out("of the first").expect_err(&format!("as committed of {name}"));
    let info = world.run(&["info", next]).await;
    info.expect_code(0).expect_out(text(&commit, "archive"));
    world.run(&["commit", next]).await.expect_code(66).expect_err("does not run");
    let trail = world.run(&["audit", "show", "--kind", "committed"]).await;
    trail.expect_code(0).expect_out(text(&commit, "archive"));
    world.down().await;
}

/// Makes something once, and waits to be let go.
const MAKER: &str =
    "cat made && ls && exit 0; echo 'it was made' > made; touch ready; until test -e go; do sleep 0.02; done";

#[tokio::test]
async fn what_was_committed_and_is_gone_is_told() {
    let world = World::up().await;
    write(&world.home, "maker", MAKER, &[]);
    let bottle = Bottle::start(&world, &["start", "maker"]).await;
    let name = bottle.name.clone();
    let commit = world.run(&["commit", &name, "--json"]).await.expect_code(0).json();
    bottle.end().await;
    as_role(&world, Role::Launcher).await.objects(COMMITS).delete(text(&commit, "archive")).await.unwrap();
    let gone = world.run(&["resume", &name, "--yes", "--headless"]).await;
    gone.expect_code(65).expect_err("is not on the bus any more").expect_err("--fresh");
    gone.expect_err(text(&commit, "archive"));
    let file = world.home.path().join("nothing");
    let export = world.run(&["commit", &name, "--export", file.to_str().unwrap()]).await;
    export.expect_code(66).expect_err("is not on the bus any more");
    assert!(!file.exists());

    let fresh = Bottle::start(&world, &["resume", &name, "--fresh"]).await;
    let record = world.run(&["info", &fresh.name, "--json"]).await.expect_code(0).json();
    assert!(record["commit"].is_null() && text(&record, "note").contains("a fresh session"), "{record}");
    fresh.end().await;
    world.down().await;
}

#[tokio::test]
async fn a_program_without_sessions_goes_on_in_what_was_committed() {
    let world = World::up().await;
    world.home.write("plain", &["sh", "-c", MAKER], &policy::EgressPolicy::default());
    let bottle = Bottle::start(&world, &["start", "plain"]).await;
    let name = bottle.name.clone();
    world.run(&["commit", &name]).await.expect_code(0);
    world.run(&["resume", &name, "--yes", "--headless"]).await.expect_code(65).expect_err("still runs");
    bottle.end().await;
    // As often as one likes: there are no turns.
    for _ in 0..2 {
        let ran = world.run(&["resume", &name, "--yes", "--headless"]).await;
        ran.expect_code(0).expect_out("it was made");
    }
    // A workspace that is asked for takes the place of the committed one.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("made"), "by a person\n").unwrap();
    let mut resume = world.home.command(&["resume", &name, "--yes", "--headless", "--cwd"]);
    let ran = soon("a resume", resume.current_dir(other.path()).output()).await.unwrap();
    // What was committed in it is gone with it.
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "by a person\nmade\n");
    world.down().await;
}

#[tokio::test]
async fn nobody_is_asked_where_nothing_runs() {
    let home = Home::empty();
    assert_eq!(home.run(&["init", "--bare"]).await.code, 0);
    home.run(&["commit", "me-00000"]).await.expect_code(69).expect_err("nothing runs for");
    let world = World::up_in(home, &[]).await;
    world.run(&["commit"]).await.expect_code(66).expect_err("no bottle runs");
    world.run(&["commit", "me-00000"]).await.expect_code(66).expect_err("there is no bottle");
    world.down().await;
}

/// A home full of traps: what it names of the host is neither read nor written.
const SWAMP: &str = "test -e ../.gitconfig && rm ../.gitconfig
ln -s $OUTSIDE/secret ../.gitconfig; ln -s $OUTSIDE ../.state; ln -s / root; ln -s /etc/shadow shadow
ln -s $OUTSIDE/secret secret; mkfifo pipe; printf x > \"$(printf 'a\\nb')\"; ln -s loop loop; touch ready
until test -e grow; do sleep 0.02; done
truncate -s 1T huge; touch grown
until test -e go; do sleep 0.02; done";

#[tokio::test]
async fn a_home_full_of_traps_reaches_nothing_of_the_host() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "of the host alone").unwrap();
    let world = World::up().await;
    let env = serde_json::json!({ "STORY": world.home.marker, "OUTSIDE": outside.path() });
    let program =
        format!("test -e again && cat secret && exit 1; test -e again && exit 0; touch again\n{SWAMP}");
    write(&world.home, "swamp", &program, &[("env", env)]);
    let bottle = Bottle::start(&world, &["start", "swamp"]).await;
    let (name, workspace) = (bottle.name.clone(), bottle.workspace.clone());
    let file = world.home.path().join("swamp.tar.zst");
    let commit = world.run(&["commit", &name, "--json", "--export", file.to_str().unwrap()]).await;
    let commit = commit.expect_code(0).json();
    let place = tempfile::tempdir().unwrap();
    let limits = archive::Limits { bytes: 1 << 20, entries: 1000 };
    let unpacked = std::fs::File::open(&file).unwrap();
    archive::unpack(unpacked, place.path(), Path::new(""), archive::Odd::Keep, limits).unwrap();
    let link = std::fs::read_link(place.path().join("workspace/secret")).unwrap();
    assert_eq!(link, outside.path().join("secret"));
    assert!(!place.path().join("workspace/pipe").exists());
    let all = zstd_of(&file);
    assert!(!String::from_utf8_lossy(&all).contains("of the host alone"), "a link was followed");

    // More than may be kept is told, and the earlier commit is as it was.
    std::fs::write(workspace.join("grow"), "").unwrap();
    soon("a file of a terabyte", async {
        while !workspace.join("grown").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    world.run(&["commit", &name]).await.expect_code(1).expect_err("more than 4096 MiB");
    assert_eq!(archives(&operator(&world).await).await, [text(&commit, "archive")]);
    bottle.end().await;

    world.run(&["resume", &name, "--yes", "--headless"]).await.expect_code(0);
    assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "of the host alone");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "something was written outside");
    world.down().await;
}

fn zstd_of(file: &Path) -> Vec<u8> {
    let packed = std::fs::read(file).unwrap();
    let mut all = Vec::with_capacity(16 << 20);
    zstd_safe::decompress(&mut all, &packed).unwrap();
    all
}

/// The pieces of archives that hold something.
struct Piece(bool);

impl bus::Payload for Piece {
    fn parse(_: &str, payload: &[u8]) -> Result<Self, bus::Malformed> {
        Ok(Self(!payload.is_empty()))
    }
}

async fn pieces(bus: &Bus) -> usize {
    let mut pieces = bus.follow::<Piece>("OBJ_commits", "$O.commits.C.>", bus::Since::All).await.unwrap();
    let mut count = 0;
    while let Some(piece) = pieces.stored().await.unwrap() {
        count += usize::from(piece.message.unwrap().0);
    }
    count
}

#[tokio::test]
async fn nothing_stays_of_a_commit_whose_launcher_was_killed() {
    let mut world = World::up().await;
    let program = "head -c 400000000 /dev/urandom > blob; touch ready; sleep 600";
    write(&world.home, "large", program, &[]);
    let bottle = Bottle::start(&world, &["start", "large"]).await;
    let commit = world.home.command(&["commit", &bottle.name]).spawn().unwrap();
    let bus = operator(&world).await;
    soon("a part of the archive", async {
        while pieces(&bus).await < 10 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let status = world.run(&["status", "--json"]).await.json();
    let port = text(&status, "bus").rsplit(':').next().unwrap().to_owned();
    world.kill().await;
    let ended = soon("what it says", commit.wait_with_output()).await.unwrap();
    assert_eq!(ended.status.code(), Some(69), "{}", String::from_utf8_lossy(&ended.stderr));
    drop(bottle);

    world.up_again(&port).await;
    let bus = operator(&world).await;
    let all = world.run(&["list", "--all", "--json"]).await.json();
    let first = &all.as_array().unwrap()[0];
    assert!(first["state"] == "lost" && first["commit"].is_null(), "{all}");
    assert_eq!((archives(&bus).await.len(), pieces(&bus).await), (0, 0));
    world.down().await;
}

pub(crate) fn host(engine: &Engine) -> String {
    format!("unix://{}", engine.socket().display())
}

pub(crate) async fn docker(engine: &Engine, arguments: &[&str]) -> String {
    let mut docker = tokio::process::Command::new("docker");
    let output = docker.args(["--host", &host(engine)]).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn cleanup(engine: &Engine, home: &Home, bus: Option<&str>) -> tokio::process::Command {
    let mut cleanup = home.command(&["cleanup", "--all"]);
    cleanup.env("DOCKER_HOST", host(engine)).envs(bus.map(|url| ("NATS_URL", url)));
    cleanup
}
