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
