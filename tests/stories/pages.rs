//! Pages that say what the code does.

use std::path::Path;

/// Every function of the project's own Rust files.
fn functions(folder: &Path, found: &mut Vec<String>) {
    for entry in folder.read_dir().unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn each_invariant_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let table = page.split("## Invariants").nth(1).and_then(|rest| rest.split("## ").next()).unwrap();
    let mut known = Vec::new();
    for folder in ["shared", "services", "cli", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let is_test = |name: &&str| name.len() > 12 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let quoted = table.split('`').skip(1).step_by(2).map(|name| name.rsplit(": ").next().unwrap_or(name));
    let named: Vec<&str> = quoted.filter(is_test).collect();
    assert!(named.len() > 20, "the table was not read: {named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !known.iter().any(|known| known == *name)).collect();
    assert!(missing.is_empty(), "docs/architecture.md names tests that do not exist: {missing:?}");
}

#[test]
fn the_readme_shows_the_files_that_init_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for example in ["examples/bottles/example.md", "examples/agents/example.md"] {
        let file = std::fs::read_to_string(root.join(example)).unwrap();
        assert!(readme.contains(&file), "README.md does not show {example} as it is");
    }
}
