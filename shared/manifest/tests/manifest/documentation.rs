//! `docs/manifest.md` and `docs/schema/` say what the code does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use manifest::{Origin, parse_agent, parse_bottle, schema};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn schemas_are_current() {
    let all = [
        ("bottle.json", schema::bottle()),
        ("agent.json", schema::agent()),
        ("settings.json", schema::settings()),
        ("provider.json", schema::provider()),
        ("dispatch.json", schema::dispatch()),
    ];
    for (name, schema) in all {
        let path = docs().join("schema").join(name);
        let wanted = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "{} is stale; run the tests with UPDATE_GENERATED=1", path.display());
    }
}

/// Every example of a whole file in the page is read. A file with `bottle:`, `skills:` or a prompt is an agent's.
#[test]
fn the_examples_of_the_page_are_right() {
    let page = std::fs::read_to_string(docs().join("manifest.md")).unwrap();
    let examples: Vec<&str> =
        page.split("```markdown\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(examples.len() >= 2, "the page has examples");
    for example in examples {
        let text = format!("{example}\n");
        let is_agent = text.contains("\nbottle:") || text.contains("\nskills:");
        let problems = if is_agent {
            parse_agent("x".parse().unwrap(), Origin::Home, Path::new("manifest.md"), &text).err()
        } else {
            parse_bottle("x".parse().unwrap(), Path::new("manifest.md"), &text).err()
        };
        assert!(problems.is_none(), "{}\n{text}", problems.unwrap());
    }
}

/// A key that is not on its page is not documented.
#[test]
fn every_key_is_on_the_page() {
    for (page, schemas) in [
        ("manifest.md", vec![schema::bottle(), schema::agent(), schema::settings()]),
        ("provider-file.md", vec![schema::provider()]),
        ("dispatch.md", vec![schema::dispatch()]),
    ] {
        let text = std::fs::read_to_string(docs().join(page)).unwrap();
        let code = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        let words: BTreeSet<&str> = code
            .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)))
            .collect();
        for schema in schemas {
            let mut keys = Vec::new();
            collect(&schema, &mut keys);
            assert!(!keys.is_empty());
            for key in keys {
                assert!(words.contains(key.as_str()), "`{key}` is not on {page}");
            }
        }
    }
}

/// Its example is a provider like any other.
#[test]
fn the_example_of_a_provider_is_right() {
    let page = std::fs::read_to_string(docs().join("provider-file.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let (_folder, home) = crate::home(&[
        ("contrib/quill/provider.yaml", example),
        ("bottles/b.md", "---\nagent_provider: {template: quill, auth_token: QUILL, model: swan}\n---\n"),
    ]);
    let bottle = manifest::Library::of_home(home).resolve_bottles(&["b".parse().unwrap()]).unwrap();
    assert_eq!(bottle.client.unwrap().arguments, ["--no-questions", "--model", "swan"]);
    assert_eq!(bottle.egress.routes[0].auth.as_ref().unwrap().token_ref, "QUILL");
}

/// Its example is a file like any other, also as the page has it, behind spaces.
#[test]
fn the_example_of_a_dispatcher_is_right() {
    let page = std::fs::read_to_string(docs().join("dispatch.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = manifest::DispatchFile::parse(Path::new("dispatch.md"), example)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((file.webhooks.len(), file.rules.len()), (1, 1));
}

fn collect(schema: &serde_json::Value, keys: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(properties) = map.get("properties").and_then(|value| value.as_object()) {
                keys.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| collect(value, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}

/// The folder of examples is a home like any other.
#[test]
fn every_example_is_right_and_has_its_program() {
    let home = manifest::Home::at(docs().join("../examples"));
    let report = manifest::Report::of(home.clone(), None);
    assert!(report.is_clean(), "{report}");
    let library = manifest::Library::of_home(home);
    let mut providers = BTreeSet::new();
    for name in library.bottles().keys() {
        let bottle = library.resolve_bottles(std::slice::from_ref(name)).unwrap();
        providers.insert(bottle.client.unwrap().provider);
    }
    let known: BTreeSet<_> = manifest::provider::builtin::names().map(str::to_owned).collect();
    assert_eq!(providers, known, "there is an example of each provider");
}
