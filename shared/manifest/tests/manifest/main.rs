//! Manifests from outside: what people write, what they are told, and what a launch gets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod arbitrary;
mod documentation;
mod faults;
mod good;
mod grants;
mod homes;
mod images;
mod merging;
mod providers;
mod reports;

use std::path::Path;

use manifest::{Agent, Bottle, FileProblems, Home, Origin, parse_agent, parse_bottle};

/// A bottle's frontmatter.
fn bottle(yaml: &str) -> Result<Bottle, FileProblems> {
    parse_bottle("dev".parse().unwrap(), Path::new("dev.md"), &format!("---\n{yaml}\n---\n"))
}

/// An agent's frontmatter.
fn agent(yaml: &str) -> Result<Agent, FileProblems> {
    parse_agent(
        "reviewer".parse().unwrap(),
        Origin::Home,
        Path::new("reviewer.md"),
        &format!("---\n{yaml}\n---\nGo.\n"),
    )
}

/// What a person sees of a faulty bottle.
fn faults(yaml: &str) -> String {
    bottle(yaml).expect_err("the bottle should have faults").to_string()
}

/// A home with files, given as path and text.
fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, Home) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    let home = Home::at(directory.path().to_owned());
    (directory, home)
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A public key of the right structure: its type, then a key of zeros.
fn host_key() -> String {
    use base64::Engine as _;
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([0; 32]);
    format!("ssh-ed25519 {}", base64::engine::general_purpose::STANDARD.encode(blob))
}
