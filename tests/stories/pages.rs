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

/// The tests that a section of a page names in its table, all of which exist.
fn named(page: &str, section: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(page)).unwrap();
    let heading = format!("## {section}\n");
    let table = text.split(&heading).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut known = Vec::new();
    for folder in ["shared", "services", "cli", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let is_test = |name: &&str| name.len() > 12 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let rows: String = table.lines().filter(|line| line.starts_with('|')).collect();
    let quoted = rows.split('`').skip(1).step_by(2).map(|name| name.rsplit(": ").next().unwrap_or(name));
    let named: Vec<&str> = quoted.filter(is_test).collect();
    let missing: Vec<_> = named.iter().filter(|name| !known.iter().any(|known| known == *name)).collect();
    assert!(missing.is_empty(), "{page} names tests that do not exist: {missing:?}");
    named.len()
}

#[test]
fn each_invariant_names_tests_that_exist() {
    assert!(named("docs/architecture.md", "Invariants") > 20, "the table was not read");
}

#[test]
fn what_is_tested_of_backends_names_tests_that_exist() {
    assert!(named("docs/backends.md", "What is tested") > 15, "the table was not read");
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

#[test]
fn the_list_of_decisions_names_each_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/decisions");
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let pages = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for page in pages.filter(|page| page != "README.md") {
        assert!(list.contains(&format!("]({page})")), "docs/decisions/README.md does not name {page}");
    }
}
