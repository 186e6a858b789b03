//! What a schema cannot say of a provider's file.

use policy::problem::{KeyPath, Problems};
use policy::token::{is_env_name, is_rooted};

use super::file::{LoginFile, OptionKind, Pick, Pieces, ProviderFile, SessionFile};
use super::files::is_below;
use super::template::{AT_LAUNCH, names, texts};

/// Names that an option cannot have: they are a bottle's own, or stand for something else.
const TAKEN: [&str; 6] = ["template", "program", "argv", "prompt", "value", "login"];

pub(crate) fn check(file: &ProviderFile, problems: &mut Problems) {
    let root = KeyPath::root();
    if file.program.as_ref().is_some_and(|program| program.is_empty() || program.contains('/')) {
        problems.push(&root.key("program"), "the name of the program alone, such as claude");
    }
    if file.native.iter().any(|path| !is_below(path)) {
        problems.push(&root.key("native"), "paths below node_modules, without ..");
    }
    if let Some(image) = &file.image {
        image.check(&root.key("image"), problems);
    }
    let known = Known::of(file);
    for (name, option) in &file.options {
        let at = root.key("options").key(name);
        if !is_env_name(name) || TAKEN.contains(&name.as_str()) || AT_LAUNCH.contains(&name.as_str()) {
            problems
                .push(&at, "an option's name has letters, digits and underscores, and no meaning of its own");
        }
        check_login(option.login.as_ref(), option.kind, &at, problems);
        if option.excludes.as_ref().is_some_and(|other| !file.options.contains_key(other)) {
            problems.push(&at.key("excludes"), "there is no such option");
        }
        check_pieces(&option.adds, &known.within(name), &at.key("adds"), problems);
    }
    check_pieces(&file.always, &known, &root.key("always"), problems);
    check_pieces(&file.supervise.adds, &known, &root.key("supervise").key("adds"), problems);
    check_modes(file, &known, problems);
    for (key, path) in
        [("skills", &file.skills), ("instructions", &file.instructions.as_ref().map(|i| i.file.clone()))]
    {
        if path.as_ref().is_some_and(|path| !is_below(path)) {
            problems.push(&root.key(key), BELOW);
        }
    }
    check_session(file.session.as_ref(), file, problems);
}

const BELOW: &str = "a path below the agent's home, without ..";

/// The names that may stand in a text.
struct Known {
    names: Vec<String>,
    /// Those that lead to a secret, and may only stand in a route.
    secret: Vec<String>,
}

impl Known {
    fn of(file: &ProviderFile) -> Self {
        let mut known = Self { names: AT_LAUNCH.map(str::to_owned).to_vec(), secret: Vec::new() };
        for (name, option) in &file.options {
            known.names.push(name.clone());
            match option.kind {
                OptionKind::Url => known.names.extend(URL_PARTS.map(|part| format!("{name}.{part}"))),
                OptionKind::Token => known.secret.push(name.clone()),
                _ => {}
            }
            if let Some(login) = &option.login {
                known.names.extend(login.values.keys().cloned());
            }
        }
        known.secret.push("login".to_owned());
        known
    }

    /// The names within what an option adds.
    fn within(&self, name: &str) -> Self {
        let parts = self
            .names
            .iter()
            .filter_map(|known| known.strip_prefix(name))
            .filter(|part| part.starts_with('.'));
        let mut names = self.names.clone();
        names.push("value".to_owned());
        names.push("login".to_owned());
        names.extend(parts.map(|part| format!("value{part}")));
        let mut secret = self.secret.clone();
        if secret.iter().any(|secret| secret == name) {
            secret.push("value".to_owned());
        }
        Self { names, secret }
    }

    fn check(&self, text: &str, at: &KeyPath, problems: &mut Problems) {
        self.check_route(text, at, problems);
        if let Some(name) = names(text).find(|name| self.secret.iter().any(|secret| secret == name)) {
            let message = format!("${{{name}}} leads to a token; it may stand in a route's token_ref only");
            problems.push(at, message);
        }
    }

    fn check_route(&self, text: &str, at: &KeyPath, problems: &mut Problems) {
        for name in names(text).filter(|name| !self.names.iter().any(|known| known == name)) {
            let near = policy::check::nearest(name, self.names.iter().map(String::as_str));
            let advice = near.map_or_else(String::new, |near| format!("; did you mean ${{{near}}}?"));
            problems.push(at, format!("nothing is called ${{{}}}{advice}", base::inert(name, 60)));
        }
    }
}

const URL_PARTS: [&str; 4] = ["scheme", "host", "port", "path"];

fn check_pieces(pieces: &Pieces, known: &Known, at: &KeyPath, problems: &mut Problems) {
    for (index, argument) in pieces.arguments.iter().enumerate() {
        known.check(argument, &at.key("arguments").item(index), problems);
    }
    for (name, value) in &pieces.env {
        let at = at.key("env").key(name);
        if !is_env_name(name) {
            problems
                .push(&at, "a variable's name has letters, digits and underscores and begins with no digit");
        }
        known.check(value, &at, problems);
    }
    for (index, file) in pieces.files.iter().enumerate() {
        let at = at.key("files").item(index);
        if !is_below(&file.path) {
            problems.push(&at.key("path"), BELOW);
        }
        if file.from.as_ref().is_some_and(|from| !is_below(from)) {
            problems.push(&at.key("from"), "a path below the provider's directory, without ..");
        }
        let kinds = [file.text.is_some(), file.json.is_some(), file.toml.is_some(), file.from.is_some()];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            problems.push(&at, "give one of text, json, toml and from");
        }
        let mut found: Vec<&str> = file.text.iter().map(String::as_str).collect();
        [&file.json, &file.toml].into_iter().flatten().for_each(|json| texts(json, &mut found));
        found.into_iter().for_each(|text| known.check(text, &at, problems));
    }
    for (index, route) in pieces.routes.iter().enumerate() {
        let at = at.key("routes").item(index);
        let mut outside = route.clone();
        // The one place where a secret may be named.
        let token = outside.get_mut("auth").and_then(|auth| auth.as_object_mut()?.remove("token_ref"));
        let mut found = Vec::new();
        texts(&outside, &mut found);
        found.into_iter().for_each(|text| known.check(text, &at, problems));
        if let Some(token) = token.as_ref().and_then(|token| token.as_str()) {
            known.check_route(token, &at.key("auth").key("token_ref"), problems);
        }
    }
}

fn check_login(login: Option<&LoginFile>, kind: OptionKind, at: &KeyPath, problems: &mut Problems) {
    let Some(login) = login else {
        if kind == OptionKind::Login {
            problems.push(&at.key("login"), "an option of kind login says where the login is");
        }
        return;
    };
    if kind != OptionKind::Login {
        problems.push(&at.key("login"), "only an option of kind login has this");
    }
    if !is_rooted(&login.file) {
        problems.push(&at.key("login").key("file"), "a file named from the root or from the home (~/)");
    }
    for (name, place) in
        [("token", &login.token)].into_iter().chain(login.values.iter().map(|(n, p)| (n.as_str(), p)))
    {
        if !is_pointer(place) {
            problems.push(&at.key("login").key(name), POINTER);
        }
    }
}

const POINTER: &str = "a place in a JSON document (RFC 6901), such as /tokens/access_token";

fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
}

fn check_modes(file: &ProviderFile, known: &Known, problems: &mut Problems) {
    let root = KeyPath::root();
    let lists = [
        (root.key("headless").key("start"), Some(&file.headless.start)),
        (root.key("headless").key("resume"), file.headless.resume.as_ref()),
        (root.key("interactive").key("start"), file.interactive.as_ref().map(|mode| &mode.start)),
        (
            root.key("interactive").key("resume"),
            file.interactive.as_ref().and_then(|mode| mode.resume.as_ref()),
        ),
        (root.key("instructions").key("arguments"), file.instructions.as_ref().map(|told| &told.arguments)),
        (root.key("supervise").key("command"), file.supervise.command.as_ref()),
        (root.key("verify").key("arguments"), file.verify.as_ref().map(|verify| &verify.arguments)),
    ];
    for (at, list) in lists {
        for (index, text) in list.into_iter().flatten().enumerate() {
            known.check(text, &at.item(index), problems);
        }
    }
    if file.supervise.command.is_some() && file.program.is_none() {
        problems.push(&root.key("supervise").key("command"), "a provider without a program has no command");
    }
    if let Some(result) = file.interactive.as_ref().and_then(|mode| mode.result.as_ref()) {
        let _ = result;
        problems.push(
            &root.key("interactive").key("result"),
            "what is on a terminal has no result; leave it out",
        );
    }
    if let Some(result) = &file.headless.result {
        let at = root.key("headless").key("result");
        check_pick(Some(&result.text), &at.key("text"), problems);
        check_pick(result.session.as_ref(), &at.key("session"), problems);
        check_pick(result.failed.as_ref(), &at.key("failed"), problems);
    }
}

fn check_pick(pick: Option<&Pick>, at: &KeyPath, problems: &mut Problems) {
    let Some(pick) = pick else { return };
    if !is_pointer(&pick.take) || pick.within.keys().any(|place| !is_pointer(place)) {
        problems.push(at, POINTER);
    }
}

fn check_session(session: Option<&SessionFile>, file: &ProviderFile, problems: &mut Problems) {
    let at = KeyPath::root().key("session");
    let Some(session) = session else { return };
    if session.paths.is_empty() || session.paths.iter().any(|path| !is_below(path)) {
        problems.push(&at.key("paths"), BELOW);
    }
    if file.headless.resume.is_none() {
        problems.push(&at, "a conversation that can be continued needs `headless.resume`");
    }
    let told = file.headless.result.as_ref().is_some_and(|result| result.session.is_some());
    if session.id == super::file::SessionId::Reported && !told {
        problems.push(&at.key("id"), "an id that the program reports needs `headless.result.session`");
    }
}
