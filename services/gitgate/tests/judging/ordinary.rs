//! What people push every day passes.

use crate::made::gzip;
use crate::world::{Options, World, judged, letters};

fn hex(seed: u64, length: usize) -> String {
    letters(seed, length / 2).bytes().map(|byte| format!("{byte:02x}")).collect::<String>()[..length]
        .to_owned()
}

#[tokio::test]
async fn ordinary_files() {
    let mut world = World::new();
    let random: Vec<u8> = (0..400_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let lock: String = (0..300)
        .map(|at| {
            format!(
                "[[package]]\nname = \"crate-{at}\"\nversion = \"1.0.{at}\"\nchecksum = \"{}\"\n\n",
                hex(at, 64)
            )
        })
        .collect();
    let npm: String = (0..300)
        .map(|at| {
            format!("    \"node_modules/p{at}\": {{ \"integrity\": \"sha512-{}==\" }},\n", letters(at, 86))
        })
        .collect();
    let minified: String = (0..4000)
        .map(|at| format!("function a{at}(e,t){{return e[{at}]+t.b{at}}};var c{at}=a{at}(1,2);"))
        .collect();
    let files: [(&str, Vec<u8>); 12] = [
        ("Cargo.lock", lock.into_bytes()),
        ("package-lock.json", npm.into_bytes()),
        ("app.min.js", minified.into_bytes()),
        ("image.png", [b"\x89PNG\r\n\x1a\n".as_slice(), &random].concat()),
        ("data.gz", gzip(&random)),
        ("id.pub", format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} me@host\n", letters(1, 43)).into_bytes()),
        (
            "cert.pem",
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", letters(2, 64))
                .into_bytes(),
        ),
        (
            "SHA256SUMS",
            (0..50).map(|at| format!("{}  file-{at}\n", hex(at, 64))).collect::<String>().into_bytes(),
        ),
        ("uuid.txt", b"123e4567-e89b-12d3-a456-426614174000\n".to_vec()),
        (
            ".env.example",
            b"API_KEY=your-api-key-here\nDATABASE_URL=postgres://user:password@localhost/db\n".to_vec(),
        ),
        ("empty", Vec::new()),
        ("\u{fc}ml\u{e4}ut \u{65e5}\u{672c}.txt", "größe\n日本語\n".as_bytes().to_vec()),
    ];
    let mut ids: Vec<_> = files.iter().map(|(name, bytes)| (*name, world.blob(bytes))).collect();
    ids.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let entries: Vec<_> = ids.iter().map(|(name, id)| ("100644", *name, id.as_str())).collect();
    let (tree, main) = (world.tree(&entries), world.main());
    let tip = world.commit(
        &tree,
        &[&main],
        "Add ordinary files\n\nFixes: 0123456789ab (\"something\")\nSigned-off-by: A <a@b.example>\n",
    );
    let push = world.push(&[("refs/heads/agent/x", Some(&tip))]);
    let judged = judged(&world.judge(Options::default()), &push).await;
    assert!(judged.is_ok(), "{judged:?}");
}

/// Says what a repository that lies somewhere would be refused for: `REPOSITORY=/path/to/bare.git`, a history pushed to
/// an upstream that has nothing of it.
#[tokio::test]
#[ignore = "for a repository of one's own choice"]
async fn a_repository_of_ones_choice() {
    let source = std::env::var("REPOSITORY").unwrap();
    let mut world = World::new();
    let base = world.git("mirror", &["rev-parse", "main"], b"");
    world.git("author", &["fetch", "-q", &source, "+HEAD:refs/heads/theirs"], b"");
    let tip = world.git("author", &["rev-parse", "refs/heads/theirs"], b"");
    let ids =
        world.git("author", &["rev-list", "--objects", "--no-object-names", &tip, &format!("^{base}")], b"");
    ids.lines().for_each(|id| world.adopt(id));
    let push = world.push(&[("refs/heads/agent/x", Some(&tip))]);
    let mut options = Options::default();
    options.rules.workflows = manifest::WorkflowRule::Allow;
    let judge = world.judge(options);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let begun = std::time::Instant::now();
    let judged = judged(&judge, &push).await;
    let took = begun.elapsed();
    match judged {
        Ok(passed) => eprintln!("{} objects pass in {took:?}", passed.objects),
        Err(refused) => {
            eprintln!("{:?} objects in {took:?}: {}", refused.objects, refused.reason);
            refused
                .findings
                .iter()
                .for_each(|f| eprintln!("  {} {} {:?} {}", f.rule, f.place, f.line, f.commit));
        }
    }
}

/// Says how long the judgement of a push of 100 commits and 2,000 files takes, several times over.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_long_a_push_takes() {
    let mut world = World::new();
    let mut tip = world.main();
    let line = |seed: u64| format!("    let value_{seed} = compute({seed}, \"some words {}\")?;\n", seed * 7);
    for commit in 0..100u64 {
        let files: Vec<_> = (0..20)
            .map(|at| {
                world.blob(
                    (0..30).map(|row| line(commit * 10_000 + at * 100 + row)).collect::<String>().as_bytes(),
                )
            })
            .collect();
        let names: Vec<_> = (0..20).map(|at| format!("file_{at:02}.rs")).collect();
        let entries: Vec<_> =
            names.iter().zip(&files).map(|(name, id)| ("100644", name, id.as_str())).collect();
        let inner = world.tree(&entries);
        let tree = world.tree(&[("40000", "src", inner.as_str())]);
        tip = world.commit(&tree, &[&tip], &format!("change {commit}\n\nfor a reason\n"));
    }
    let push = world.push(&[("refs/heads/agent/x", Some(&tip))]);
    let judge = world.judge(Options::default());
    for _ in 0..7 {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let begun = std::time::Instant::now();
        let passed = judged(&judge, &push).await.unwrap();
        eprintln!("{} objects in {:?}", passed.objects, begun.elapsed());
    }
}
