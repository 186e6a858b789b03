use std::os::unix::fs::symlink;

use base::id::AgentName;
use manifest::{Home, Library, Origin, Reach, find_repo};
use rustix::fs::{FileType, Mode};

use crate::{home, write};

#[test]
fn a_home_that_is_not_there_is_empty() {
    let library = Library::of_home(Home::at("/nonexistent/bot-bottle".into()));
    assert!(library.bottles().is_empty() && library.warnings().is_empty());
}

fn agents(library: &Library, reach: Reach) -> Vec<String> {
    let shown = library.agents(reach).map(|(name, entry)| match entry {
        Ok(agent) => format!("{name} {}", if agent.origin == Origin::Home { "home" } else { "repo" }),
        Err(_) => format!("{name} broken"),
    });
    shown.collect()
}

#[test]
fn files_that_are_no_manifests_are_passed_over() {
    let (directory, home) = home(&[
        ("agents/good.md", "---\n---\nHi.\n"),
        ("agents/broken.md", "---\nx: 1\n---\n"),
        ("agents/Upper.md", "---\n---\n"),
        ("agents/1st.md", "---\n---\n"),
        ("agents/notes.txt", "x"),
        ("agents/.hidden\u{1b}[2J", "x"),
        ("agents/latin.md", "---\n---\n"),
    ]);
    std::fs::write(directory.path().join("agents/latin.md"), b"---\n---\nGr\xfc\xdfe\n").unwrap();
    std::fs::create_dir(directory.path().join("agents/directory.md")).unwrap();
    let pipe = directory.path().join("agents/pipe.md");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let library = Library::of_home(home);
    let found = ["broken broken", "directory broken", "good home", "latin broken", "pipe broken"];
    assert_eq!(agents(&library, Reach::Home), found);
    for name in ["directory", "pipe"] {
        let name: AgentName = name.parse().unwrap();
        let error = library.agent(&name, Reach::Home).unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains("this is not a regular file"), "{error}");
    }
    let warned: Vec<String> = library.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warned.len(), 4, "{warned:#?}");
    assert!(!warned.concat().contains('\u{1b}'), "{warned:#?}");
    let latin: AgentName = "latin".parse().unwrap();
    let error = library.agent(&latin, Reach::Home).unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("line 3 is not UTF-8"), "{error}");
}

#[test]
fn a_repository_brings_agents_and_nothing_else() {
    let (_directory, home) =
        home(&[("agents/mine.md", "---\n---\nMine.\n"), ("agents/half.md", "---\nx: 1\n---\n")]);
    let repo = tempfile::tempdir().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "---\n---\nsomething of the host\n").unwrap();
    write(
        repo.path(),
        &[
            (".git/HEAD", ""),
            (".bot-bottle/bottles/evil.md", "---\n---\n"),
            (".bot-bottle/agents/mine.md", "---\n---\nTheirs.\n"),
            (".bot-bottle/agents/half.md", "---\n---\nTheirs.\n"),
            (".bot-bottle/agents/theirs.md", "---\nbottle: dev\n---\nTheirs.\n"),
            (".bot-bottle/agents/greedy.md", "---\negress: {routes: [{host: evil.test}]}\n---\n"),
            ("deep/er/x", ""),
        ],
    );
    symlink(secret.path(), repo.path().join(".bot-bottle/agents/link.md")).unwrap();
    let root = find_repo(&repo.path().join("deep/er")).unwrap();
    assert_eq!(root, repo.path());
    let library = Library::of_home_and_repo(home.clone(), &root);
    assert!(library.bottles().is_empty());
    assert_eq!(agents(&library, Reach::Home), ["half broken", "mine home"]);
    assert_eq!(
        agents(&library, Reach::Repo),
        ["half broken", "mine home", "greedy broken", "link broken", "theirs repo"]
    );
    let link: AgentName = "link".parse().unwrap();
    let error = library.agent(&link, Reach::Repo).unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("cannot be a link") && !error.contains("of the host"), "{error}");
    let warned = library.warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(warned.contains("a repository cannot bring bottles"), "{warned}");
    assert_eq!(warned.matches("the home's is used").count(), 2, "{warned}");
    let selection = |bottles: &[&str]| manifest::Selection {
        agent: "theirs".parse().unwrap(),
        bottles: bottles.iter().map(|name| name.parse().unwrap()).collect(),
        reach: Reach::Repo,
    };
    write(home.root(), &[("bottles/dev.md", "---\n---\n"), ("bottles/safe.md", "---\n---\n")]);
    let library_now = Library::of_home_and_repo(home.clone(), &root);
    let chosen_by_repo = library_now.resolve(&selection(&[])).unwrap().warnings;
    assert!(
        chosen_by_repo[0].contains("read its prompt") && chosen_by_repo[1].contains("chose the bottle dev")
    );
    assert_eq!(library_now.resolve(&selection(&["safe"])).unwrap().warnings.len(), 1);
    // A message never reaches beyond the home.
    let theirs: AgentName = "theirs".parse().unwrap();
    assert!(library.agent(&theirs, Reach::Home).is_none());
    assert!(Library::of_home(home).agent(&theirs, Reach::Repo).is_none());
}

#[test]
fn a_repository_cannot_lead_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    write(elsewhere.path(), &[("agents/x.md", "---\n---\nx\n"), ("x.md", "---\n---\nx\n")]);
    for (link, target) in [(".bot-bottle", ""), (".bot-bottle/agents", "agents")] {
        let (_directory, home) = home(&[]);
        let repo = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(repo.path().join(link).parent().unwrap()).unwrap();
        symlink(elsewhere.path().join(target), repo.path().join(link)).unwrap();
        let library = Library::of_home_and_repo(home, repo.path());
        assert_eq!(agents(&library, Reach::Repo), Vec::<String>::new());
        assert_eq!(library.warnings().len(), 1);
    }
}

#[test]
fn the_home_is_no_repository() {
    let (directory, _) =
        home(&[(".bot-bottle/agents/x.md", "---\n---\nx\n"), (".bot-bottle/bottles/b.md", "---\n---\n")]);
    let library = Library::of_home_and_repo(Home::at(directory.path().join(".bot-bottle")), directory.path());
    assert_eq!(agents(&library, Reach::Repo), ["x home"]);
    assert!(library.warnings().is_empty() && library.bottles().len() == 1);
}
