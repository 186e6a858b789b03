//! The program on the host, and how it is shown to the bottle.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use manifest::Client;
use manifest::provider::client::Program;

use crate::host::HostEnvironment;
use crate::prerequisite::Missing;

/// Where programs of the host that a bottle does not see otherwise are shown in it.
const PROGRAMS: &str = "/opt/bot-bottle";

/// A file or directory of the host that a bottle sees, and can only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramMount {
    /// On the host.
    pub host: PathBuf,
    /// In the bottle.
    pub inside: PathBuf,
}

/// The program, as the bottle runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The program and its first arguments.
    pub words: Vec<String>,
    /// What the bottle must see for it.
    pub mount: Option<ProgramMount>,
}

/// Finds the program of a client.
///
/// # Errors
/// It is not there, or cannot be run.
pub fn find(client: &Client, host: &HostEnvironment) -> Result<Found, Missing> {
    let (name, path) = match &client.program {
        Program::Words(words) => return Ok(Found { words: words.clone(), mount: None }),
        Program::At(path) => {
            let problem = |why| format!("the program of {}: {} {why}", client.provider, path.display());
            let cure = "name a program that everybody may read and run";
            let path =
                usable(path).map_err(|why| Missing { problem: problem(why), cure: cure.to_owned() })?;
            (client.provider.clone(), path)
        }
        Program::Named { name, install, native } => {
            let found =
                directories(host).into_iter().find_map(|directory| usable(&directory.join(name)).ok());
            let path = found.ok_or_else(|| missing(client, name, install.as_deref()))?;
            (name.clone(), itself(&path, native).unwrap_or(path))
        }
    };
    Ok(show(&name, &path))
}

fn missing(client: &Client, name: &str, install: Option<&str>) -> Missing {
    let provider = &client.provider;
    let install = install.map_or_else(String::new, |install| format!(" with `{install}`"));
    Missing {
        problem: format!(
            "the provider {provider} needs the program {name}, which is in no directory of the launcher's PATH, nor in \
             ~/.local/bin"
        ),
        cure: format!(
            "install it{install}, or name it: `agent_provider: {{template: {provider}, program: /path/to/{name}}}`"
        ),
    }
}

/// Where programs are looked for, in order.
fn directories(host: &HostEnvironment) -> Vec<PathBuf> {
    let path = host.get("PATH").map(|path| path.expose().to_owned()).unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|path| path.is_absolute()).collect();
    directories.push(host.expand(Path::new("~/.local/bin")));
    directories.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    directories
}

/// The file behind a path, if everybody may run it: the agent is a user of its own.
fn usable(path: &Path) -> Result<PathBuf, &'static str> {
    let real = path.canonicalize().map_err(|_| "is not there")?;
    let about = real.metadata().map_err(|_| "cannot be looked at")?;
    if !about.is_file() {
        return Err("is not a file");
    }
    if about.permissions().mode() & 0o005 != 0o005 {
        return Err("cannot be run by everybody, and the agent is a user of its own");
    }
    Ok(real)
}

/// The program that a script of a package of Node only starts.
fn itself(script: &Path, native: &[String]) -> Option<PathBuf> {
    let packages = packages(script)?;
    native.iter().find_map(|path| usable(&packages.join(path)).ok())
}

/// What is below `/usr` a bottle sees anyway. A program out of a package of Node comes with the packages around it, which it
/// reads; any other comes alone.
fn show(name: &str, real: &Path) -> Found {
    if real.starts_with("/usr") {
        return Found { words: vec![real.to_string_lossy().into_owned()], mount: None };
    }
    let place = Path::new(PROGRAMS).join(name);
    let (host, inside) = match packages(real) {
        Some(packages) => (packages, place.join("node_modules")),
        None => (real.to_owned(), place.join(real.file_name().unwrap_or_default())),
    };
    // What is mounted is the file itself or one of its directories.
    let below = real.strip_prefix(&host).unwrap_or(Path::new(""));
    let word = if below == Path::new("") { inside.clone() } else { inside.join(below) };
    Found { words: vec![word.to_string_lossy().into_owned()], mount: Some(ProgramMount { host, inside }) }
}

/// The outermost `node_modules` on the way to a file.
fn packages(real: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in real.components() {
        path.push(part);
        if part == Component::Normal("node_modules".as_ref()) {
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, mode: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn client(said: &str) -> Client {
        let text = format!("---\nagent_provider: {said}\n---\n");
        let bottle = manifest::parse_bottle("b".parse().unwrap(), Path::new("b.md"), &text).unwrap();
        let file = manifest::provider::builtin::get("claude").unwrap();
        Client::of(file, &bottle.file.agent_provider.unwrap().options(), false).unwrap()
    }

    fn host(path: &Path) -> HostEnvironment {
        [("PATH".to_owned(), path.display().to_string())].into_iter().collect()
    }

    #[test]
    fn a_package_of_node_is_shown_with_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let real = root.join("lib/node_modules/@a/tool/bin/tool.exe");
        file(&real, 0o755);
        std::fs::create_dir(root.join("bin")).unwrap();
        std::os::unix::fs::symlink(&real, root.join("bin/claude")).unwrap();
        let found = find(&client("claude"), &host(&root.join("bin"))).unwrap();
        assert_eq!(found.words, ["/opt/bot-bottle/claude/node_modules/@a/tool/bin/tool.exe"]);
        let mount = ProgramMount {
            host: root.join("lib/node_modules"),
            inside: "/opt/bot-bottle/claude/node_modules".into(),
        };
        assert_eq!(found.mount, Some(mount));
    }

    #[test]
    fn a_script_that_only_starts_the_program_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let packages = root.join("node_modules");
        file(&packages.join("@anthropic-ai/claude-code/claude"), 0o755);
        file(&packages.join("@anthropic-ai/claude-code-linux-x64/claude"), 0o755);
        let path = packages.join("@anthropic-ai/claude-code");
        let found = find(&client("claude"), &host(&path)).unwrap();
        assert_eq!(
            found.words,
            ["/opt/bot-bottle/claude/node_modules/@anthropic-ai/claude-code-linux-x64/claude"]
        );
    }

    #[test]
    fn a_program_of_its_own_is_shown_alone_and_a_named_path_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let real = root.join("versions/2.1");
        file(&real, 0o755);
        let found =
            find(&client(&format!("{{template: claude, program: {}}}", real.display())), &host(&root))
                .unwrap();
        assert_eq!(found.words, ["/opt/bot-bottle/claude/2.1"]);
        assert_eq!(
            found.mount.unwrap(),
            ProgramMount { host: real, inside: "/opt/bot-bottle/claude/2.1".into() }
        );
    }

    #[test]
    fn what_is_missing_or_private_is_said_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(&client("claude"), &host(folder.path())).unwrap_err().to_string();
        assert!(error.contains("needs the program claude") && error.contains("npm install"), "{error}");
        let private = folder.path().join("claude");
        file(&private, 0o700);
        let error = find(
            &client(&format!("{{template: claude, program: {}}}", private.display())),
            &host(folder.path()),
        );
        assert!(error.unwrap_err().to_string().contains("cannot be run by everybody"));
    }
}
