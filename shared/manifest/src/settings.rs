//! `settings.yaml` in the home: what the host services do for the operator. It need not exist.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::problem::{KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::home::{Home, Links, read};
use crate::image::ImageSettings;
use crate::limits::{ByteSize, WallTime};
use crate::load::parse_settings;
use crate::problem::FileProblems;

/// The operator's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Settings of bot-bottle")]
pub struct Settings {
    /// The program that is run for each new proposal, and its arguments; none is run unless given. In the arguments
    /// `{bottle}`, `{kind}`, `{host}` and `{id}` stand for the proposal's. No shell takes part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// How much a bottle may ask, and how long what it asks for waits.
    #[serde(skip_serializing_if = "ProposalLimits::is_default")]
    pub proposals: ProposalLimits,
    /// The most that the transcript of one session may hold; `1G` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript_limit: Option<ByteSize>,
    /// The most that the environment of one bottle may hold to be committed; `4G` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_limit: Option<ByteSize>,
    /// What isolates a bottle whose start names no backend. Unless given, one with an image is a container (`docker`), and any
    /// other a box (`namespace`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendName>,
    /// What runs the containers of the `docker` backend where a start names no runtime. Unless given it is `runsc` where the
    /// engine has it registered and it works, and otherwise `runc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeName>,
    /// How many bottles a launcher runs at the same time; 8 unless given. Further start requests wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: Option<u32>,
    /// What bottles of the `docker` backend are made of.
    #[serde(skip_serializing_if = "ImageSettings::is_default")]
    pub images: ImageSettings,
}

/// The isolation backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// bubblewrap boxes.
    Namespace,
    /// Containers of this host's Docker engine.
    Docker,
}

impl BackendName {
    /// The one of a bottle for which nobody asked for another: as the settings say, and otherwise the one that can make it of
    /// its image, if it has one.
    #[must_use]
    pub fn usual(setting: Option<Self>, has_image: bool) -> Self {
        setting.unwrap_or(if has_image { Self::Docker } else { Self::Namespace })
    }

    /// As in a start request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Docker => "docker",
        }
    }
}

/// Container runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeName {
    /// The engine's own: containers share the host's kernel.
    Runc,
    /// gVisor: a kernel of its own, in user space, stands between the container and the host's.
    Runsc,
}

impl RuntimeName {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Runc, Self::Runsc];

    /// As in a start request, and as engines name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Runsc => "runsc",
        }
    }
}

/// How much a bottle may ask a person; what is absent has the supervisor's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProposalLimits {
    /// Proposals of one bottle that may wait at once; 32 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub pending: Option<u32>,
    /// New proposals of one bottle in a minute; 20 unless given. Equal ones that wait are counted, and do not count here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_minute: Option<u32>,
    /// How long a proposal waits for a person, at most `30d`; `24h` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire: Option<WallTime>,
}

impl ProposalLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Well within the time for which the bus keeps proposals.
const LONGEST_EXPIRE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What may stand in braces in an argument of [`Settings::notify`].
pub const PLACEHOLDERS: [&str; 4] = ["bottle", "kind", "host", "id"];

impl Settings {
    /// Where they are.
    #[must_use]
    pub fn file(home: &Home) -> PathBuf {
        home.root().join("settings.yaml")
    }

    /// Reads them; what is not set is as if there were no file.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(home: &Home) -> Result<Self, FileProblems> {
        let path = Self::file(home);
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(Self::default());
        }
        let text = read(&path, Links::Followed).map_err(|message| FileProblems::whole(&path, message))?;
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, FileProblems> {
        if text.trim().is_empty() { Ok(Self::default()) } else { parse_settings(path, text) }
    }
}

/// What is wrong with them beyond their shape.
pub(crate) fn check(settings: &Settings, problems: &mut Problems) {
    if settings.proposals.expire.is_some_and(|expire| expire.duration() > LONGEST_EXPIRE) {
        problems.push(&KeyPath::root().key("proposals").key("expire"), "a proposal waits at most 30d");
    }
    settings.images.check(&KeyPath::root().key("images"), problems);
    let at = KeyPath::root().key("notify");
    for (index, word) in settings.notify.iter().enumerate() {
        let at = at.item(index);
        if index == 0 && word.contains('{') {
            problems
                .push(&at, "the program is not chosen by a proposal; only its arguments have placeholders");
        }
        if word.contains('\0') {
            problems.push(&at, "an argument has no zero byte");
        }
        for name in word.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
            if !PLACEHOLDERS.contains(&name) {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
                let name = base::inert(name, 40);
                problems.push(&at, format!("there is no {{{name}}}; there are {known}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_chooses_its_backend_where_nobody_did() {
        use BackendName::{Docker, Namespace};
        for (setting, has_image, usual) in [
            (None, false, Namespace),
            (None, true, Docker),
            (Some(Namespace), true, Namespace),
            (Some(Docker), false, Docker),
        ] {
            assert_eq!(BackendName::usual(setting, has_image), usual);
        }
    }

    #[test]
    fn settings_are_read_or_refused_with_the_place() {
        let read = |text: &str| Settings::parse(Path::new("settings.yaml"), text);
        assert_eq!(read(" \n").unwrap(), Settings::default());
        let notify =
            read("# mine\nnotify: [notify-send, '{bottle} asks', '{kind} {host} {id}']\n").unwrap().notify;
        assert_eq!(notify.len(), 3);
        let limits = read("proposals: {pending: 8, expire: 2h}\n").unwrap().proposals;
        assert_eq!((limits.pending, limits.per_minute), (Some(8), None));
        assert_eq!(limits.expire.unwrap().duration(), Duration::from_secs(7200));
        let wrong = [
            "notfy: [a]\n",
            "notify: run me\n",
            "x: 1\nnotify: ['{bottle}', '{secret}']\n",
            "- a\n",
            "proposals: {pending: 0, per_minute: 1001, expire: 31d, expires: 1h}\n",
            "proposals: {expire: soon, per_minute: many}\n",
            "proposals: 12\n",
            "concurrency: 0\n",
        ];
        let problems = wrong.map(|text| read(text).unwrap_err().to_string()).join("\n");
        insta::assert_snapshot!(problems, @r#"
        settings.yaml:1:1: notfy: there is no such key here; did you mean `notify`?
        settings.yaml:1:9: notify: `run me` is a single value; give a list
        settings.yaml:1:1: x: there is no such key here; known here: notify, proposals, transcript_limit, commit_limit, backend, runtime, concurrency, images
        settings.yaml:2:10: notify[0]: the program is not chosen by a proposal; only its arguments have placeholders
        settings.yaml:2:22: notify[1]: there is no {secret}; there are {bottle}, {kind}, {host}, {id}
        settings.yaml:1:1: this is a list; give a map of keys
        settings.yaml:1:22: proposals.pending: `0` is not a whole number from 1 to 1000
        settings.yaml:1:37: proposals.per_minute: `1001` is not a whole number from 1 to 1000
        settings.yaml:1:43: proposals.expire: a proposal waits at most 30d
        settings.yaml:1:56: proposals.expires: there is no such key here; did you mean `expire`?
        settings.yaml:1:21: proposals.expire: `soon` is not accepted here: a whole number and s, m, h or d, such as 90m or 8h
        settings.yaml:1:39: proposals.per_minute: `many` is not a whole number from 1 to 1000
        settings.yaml:1:12: proposals: `12` is a single value; give a map of keys
        settings.yaml:1:14: concurrency: `0` is not a whole number from 1 to 1000
        "#);
    }
}
