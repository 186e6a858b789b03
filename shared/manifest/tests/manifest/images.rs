use std::path::PathBuf;

use base::id::BottleName;
use manifest::{Home, Image, Library, Preflight, Reach, Selection, Settings};

use crate::{faults, home};

const QUILL: &str = "\
v: 1
about: a program
program: quill
image: {dockerfile: Dockerfile}
headless: {start: []}
supervise: {adds: {}}
";

/// Bottles by name and frontmatter, and a provider `quill` with an image.
fn library(bottles: &[(&str, &str)]) -> (tempfile::TempDir, Home) {
    let mut files: Vec<(String, String)> = vec![
        ("contrib/quill/provider.yaml".to_owned(), QUILL.to_owned()),
        ("agents/a.md".to_owned(), format!("---\nbottle: {}\n---\nYou review.\n", bottles[0].0)),
    ];
    let file = |(name, yaml): &(&str, &str)| (format!("bottles/{name}.md"), format!("---\n{yaml}\n---\n"));
    files.extend(bottles.iter().map(file));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    home(&files)
}

fn image(home: &Home, bottles: &[&str]) -> Option<Image> {
    let names: Vec<BottleName> = bottles.iter().map(|name| name.parse().unwrap()).collect();
    Library::of_home(home.clone()).resolve_bottles(&names).unwrap().image
}

#[test]
fn the_last_bottle_counts_then_the_provider() {
    let (_directory, home) = library(&[
        ("plain", "agent_provider: claude"),
        ("quill", "agent_provider: quill"),
        ("file", "extends: quill\nimage: {dockerfile: images/Dockerfile}"),
        ("name", "image: {name: 'node:22'}"),
    ]);
    let below = |path: &str| Some(Image::Dockerfile(home.root().join(path)));
    let node = Some(Image::Name("node:22".to_owned()));
    assert_eq!(image(&home, &["plain"]), None);
    assert_eq!(image(&home, &["quill"]), below("contrib/quill/Dockerfile"));
    assert_eq!(image(&home, &["file"]), below("images/Dockerfile"));
    assert_eq!(image(&home, &["file", "name"]), node);
    assert_eq!(image(&home, &["name", "file"]), below("images/Dockerfile"));
    assert_eq!(image(&home, &["name", "quill"]), node);
}

#[test]
fn a_person_sees_it_before_a_launch() {
    let (_directory, home) = library(&[("name", "image: {name: 'node:22'}")]);
    let selection = Selection { agent: "a".parse().unwrap(), bottles: Vec::new(), reach: Reach::Home };
    let preflight = Preflight::from(&Library::of_home(home).resolve(&selection).unwrap());
    assert_eq!(serde_json::to_value(&preflight).unwrap()["image"], serde_json::json!({ "name": "node:22" }));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    insta::assert_snapshot!(
        [
            "image: node:22",
            "image: {}",
            "image: {name: x, dockerfile: y}",
            "image: {dockerfile: ../Dockerfile}",
            "image:\n  name: -v /:/host",
            "image: {file: x}",
        ]
        .map(faults)
        .join("\n")
    );
}

#[test]
fn the_authority_of_builds_is_a_file() {
    let (directory, home) = home(&[("settings.yaml", "images: {extra_ca: company.pem}")]);
    let found = Settings::load(&home).unwrap().images.extra_ca(home.root());
    assert_eq!(found, Some(home.root().join("company.pem")));
    for (text, words) in [("~/x.pem", "`~` is not known"), ("../x.pem", "without `..`")] {
        std::fs::write(home.root().join("settings.yaml"), format!("images: {{extra_ca: {text}}}")).unwrap();
        let problems = Settings::load(&home).unwrap_err().to_string();
        assert!(
            problems.contains("settings.yaml:1:10: images.extra_ca") && problems.contains(words),
            "{problems}"
        );
    }
    std::fs::write(home.root().join("settings.yaml"), "images: {extra_ca: /etc/company.pem}").unwrap();
    let found = Settings::load(&home).unwrap().images.extra_ca(home.root());
    assert_eq!(found, Some(PathBuf::from("/etc/company.pem")));
    drop(directory);
}
