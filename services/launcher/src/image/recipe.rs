//! What the engine is given: the Dockerfile with our lines in it, and the tag that follows from all of it.

use sha2::{Digest as _, Sha256};

use super::OWNER;
use super::authority::ExtraAuthority;
use super::context::Context;
use super::dockerfile::{Base, Dockerfile};

/// Changes when the same input would come to another image.
const VERSION: &str = "1";
/// The Dockerfile's name in the archive; no source has it, since those are below no directory of ours.
pub(super) const DOCKERFILE: &str = ".bot-bottle/Dockerfile";
const AUTHORITY: &str = ".bot-bottle/extra-ca.crt";

/// The authority alone, where Debian's and Alpine's tools look for such.
const INSTALLED: &str = "/usr/local/share/ca-certificates/bot-bottle-extra-ca.crt";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Programs that do not look into the system's bundle by themselves. As `ARG` they are known to each `RUN` and not to the
/// image, in which the launcher's own hold.
const VARIABLES: [(&str, &str); 7] = [
    ("NODE_EXTRA_CA_CERTS", INSTALLED),
    ("PIP_CERT", BUNDLE),
    ("REQUESTS_CA_BUNDLE", BUNDLE),
    ("SSL_CERT_FILE", BUNDLE),
    ("CURL_CA_BUNDLE", BUNDLE),
    ("GIT_SSL_CAINFO", BUNDLE),
    ("CARGO_HTTP_CAINFO", BUNDLE),
];

/// An image that a Dockerfile begins with, as it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BaseImage {
    /// Its name in the Dockerfile.
    pub(super) name: String,
    /// Its content's id.
    pub(super) id: String,
    /// Whom its commands run as; empty for root.
    pub(super) user: String,
}

/// All that a build is made of.
#[derive(Debug)]
pub(super) struct Recipe {
    /// What the image is known by.
    pub(super) tag: String,
    /// The files, with the Dockerfile.
    pub(super) context: Context,
}

impl Recipe {
    /// Puts our lines into a Dockerfile: the owner's label, and the authority's certificate where there is one.
    pub(super) fn new(
        dockerfile: &Dockerfile,
        mut context: Context,
        bases: &[BaseImage],
        owner: &str,
        authority: Option<&ExtraAuthority>,
    ) -> Self {
        let text = render(dockerfile, bases, owner, authority.is_some());
        context.add(DOCKERFILE, text.into_bytes());
        if let Some(authority) = authority {
            context.add(AUTHORITY, authority.pem().as_bytes().to_vec());
        }
        let mut hash = Sha256::new();
        let mut feed = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        feed(VERSION.as_bytes());
        bases.iter().for_each(|base| feed(base.id.as_bytes()));
        for (path, file) in &context.files {
            feed(path.as_bytes());
            feed(&[u8::from(file.executable)]);
            feed(&file.content);
        }
        Self { tag: hex::encode(&hash.finalize()[..16]), context }
    }
}

fn render(dockerfile: &Dockerfile, bases: &[BaseImage], owner: &str, has_authority: bool) -> String {
    let mut text = String::new();
    let mut stages = dockerfile.stages.iter().peekable();
    for (index, line) in dockerfile.lines.iter().enumerate() {
        text.push_str(line);
        text.push('\n');
        while let Some(stage) = stages.next_if(|stage| stage.after == index + 1) {
            // First of all, so that whatever a build leaves is known to be ours.
            text.push_str(&format!("LABEL {OWNER}=\"{owner}\"\n"));
            let base = match &stage.base {
                Base::Image(name) => bases.iter().find(|base| base.name == *name),
                Base::Scratch | Base::Earlier => None,
            };
            if has_authority && stage.base != Base::Scratch {
                text.push_str(&trusting(base));
            }
        }
    }
    text
}

/// The lines that make a stage trust the authority. One that goes on with an earlier stage has the files already.
fn trusting(base: Option<&BaseImage>) -> String {
    let mut text = String::new();
    if let Some(base) = base {
        text.push_str(&format!("COPY {AUTHORITY} {INSTALLED}\nUSER root\n"));
        // Without the tool the authority is the whole bundle until a package brings the tool and the others.
        text.push_str(&format!(
            "RUN if command -v update-ca-certificates >/dev/null; then update-ca-certificates; \
             else mkdir -p /etc/ssl/certs && cat {INSTALLED} >> {BUNDLE}; fi\n"
        ));
        if !base.user.is_empty() {
            text.push_str(&format!("USER {}\n", base.user));
        }
    }
    for (name, value) in VARIABLES {
        text.push_str(&format!("ARG {name}={value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TEXT: &str = "FROM node:20 AS tools\nRUN npm install \\\n  x\nFROM scratch\nCOPY --from=tools /x /x\nFROM tools\nRUN y";

    fn recipe(text: &str, file: &str, id: &str, owner: &str, authority: Option<&ExtraAuthority>) -> Recipe {
        let mut context = Context::default();
        context.add("a", file.as_bytes().to_vec());
        let base = BaseImage { name: "node:20".to_owned(), id: id.to_owned(), user: "node".to_owned() };
        Recipe::new(&Dockerfile::parse(text).unwrap(), context, &[base], owner, authority)
    }

    fn authority() -> ExtraAuthority {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
            .unwrap();
        ExtraAuthority::read(file.path()).unwrap()
    }

    #[test]
    fn each_stage_is_labelled_and_trusts_the_authority() {
        let made = recipe(TEXT, "A", "sha256:1", "me", Some(&authority()));
        let text = String::from_utf8(made.context.files[DOCKERFILE].content.clone()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_tag_follows_from_everything_and_from_nothing_else() {
        let authority = authority();
        let all = [
            recipe(TEXT, "A", "sha256:1", "me", None),
            recipe(&format!("{TEXT} z"), "A", "sha256:1", "me", None),
            recipe(TEXT, "B", "sha256:1", "me", None),
            recipe(TEXT, "A", "sha256:2", "me", None),
            recipe(TEXT, "A", "sha256:1", "you", None),
            recipe(TEXT, "A", "sha256:1", "me", Some(&authority)),
        ];
        assert_eq!(all.iter().map(|recipe| &recipe.tag).collect::<HashSet<_>>().len(), all.len());
        assert_eq!(recipe(TEXT, "A", "sha256:1", "me", None).tag, all[0].tag);
    }
}
