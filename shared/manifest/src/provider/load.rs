//! The operator's own providers: `<home>/contrib/<name>/provider.yaml` (P2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::builtin;
use super::file::{FilePiece, Pieces, ProviderFile};
use crate::agent::Origin;
use crate::home::{Home, Links, read};
use crate::library::{Broken, Entry};
use crate::load::parse_provider;
use crate::problem::{FileProblems, Warning};

/// Providers looked at; the rest is passed over with a warning.
const MOST: usize = 200;
const FILE: &str = "provider.yaml";

/// The operator's own providers by name, whole and broken.
pub(crate) type Providers = BTreeMap<String, Entry<ProviderFile>>;

/// Where the operator's own providers are.
pub(crate) fn directory(home: &Home) -> PathBuf {
    home.root().join("contrib")
}

pub(crate) fn load(home: &Home, warnings: &mut Vec<Warning>) -> Providers {
    let mut warn = |path: &Path, message: &str| {
        warnings.push(Warning { path: path.to_owned(), message: message.to_owned() });
    };
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(directory(home)) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            warn(&directory(home), &format!("cannot list this directory: {error}"));
            Vec::new()
        }
    };
    paths.sort();
    if paths.len() > MOST {
        warn(&directory(home), "too many entries; only the first 200 were read");
        paths.truncate(MOST);
    }
    let mut providers = Providers::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !is_name(&name) || !path.join(FILE).exists() {
            warn(&path, "passed over: a provider is a directory NAME with a file provider.yaml in it");
            continue;
        }
        let broken = |problems| Broken { path: path.join(FILE), origin: Origin::Home, problems };
        providers.insert(name.clone(), load_one(&name, &path).map_err(broken));
    }
    providers
}

/// Whether a text can be a template's name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=50).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn load_one(name: &str, directory: &Path) -> Result<ProviderFile, FileProblems> {
    let path = directory.join(FILE);
    let whole = |message: String| FileProblems::whole(&path, message);
    if builtin::get(name).is_some() {
        return Err(whole(format!("{name} is the name of a built-in provider; give this one another name")));
    }
    let text = read(&path, Links::Followed).map_err(whole)?;
    let mut file = parse_provider(&path, &text)?;
    for pieces in every_piece(&mut file) {
        for piece in &mut pieces.files {
            fetch(piece, directory).map_err(whole)?;
        }
    }
    Ok(file)
}

/// All pieces of a provider.
pub(crate) fn every_piece(file: &mut ProviderFile) -> impl Iterator<Item = &mut Pieces> {
    let options = file.options.values_mut().map(|option| &mut option.adds);
    [&mut file.always, &mut file.supervise.adds].into_iter().chain(options)
}

/// Puts the text of a file beside the provider's in place of its name.
fn fetch(piece: &mut FilePiece, directory: &Path) -> Result<(), String> {
    let Some(from) = piece.from.take() else { return Ok(()) };
    let text = read(&directory.join(&from), Links::Followed)
        .map_err(|message| format!("the file {}: {message}", base::inert(&from, 200)))?;
    piece.text = Some(text);
    Ok(())
}
