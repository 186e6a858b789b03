//! Granting something else than was asked for: the text that an operator edits, and what it means.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use base::id::ProposalId;
use bus::message::proposal::{Capability, Content, Edited, ProposalRecord};
use policy::{EgressDelta, EgressPolicy, Route};
use serde::{Deserialize, Serialize};

use super::card::{self, Line};
use super::editor::Editor;
use super::preview;
use crate::commands::routes::advise;
use crate::output;

/// Bytes of an edit.
const LARGEST: u64 = 64 * 1024;

/// An edit that could be granted, and what it would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is granted instead.
    pub edited: Edited,
    /// What that changes.
    pub effect: Vec<Line>,
}

/// What came back from an editor.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Nothing: the operator has given it up.
    Nothing,
    /// What was asked for, as it was.
    Unchanged,
    /// It cannot be granted; inert.
    Wrong(String),
    /// It can.
    Good(Box<Edit>),
}

/// What can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Requests.
    Delta(&'a EgressDelta),
    /// A Dockerfile.
    Capability(&'a Capability),
}

/// What is asked for, if that can be edited.
///
/// # Errors
/// Only routes and Dockerfiles can be.
pub fn editable(record: &ProposalRecord) -> anyhow::Result<Asked<'_>> {
    match &record.content {
        Content::Egress(delta) => Ok(Asked::Delta(delta)),
        Content::Capability(capability) => Ok(Asked::Capability(capability)),
        other => {
            Err(anyhow!("a {} can be approved or rejected as it is, and not edited", other.kind().as_str()))
        }
    }
}

/// Has a proposal edited until it can be granted. What cannot be comes back to the editor with what is wrong on top.
/// Returns nothing if the operator leaves it as it was, or empty.
///
/// # Errors
/// There is no editor, it fails, or a text that cannot be granted came back as it was.
pub async fn in_editor(
    editor: &Editor,
    record: &ProposalRecord,
    policy: &EgressPolicy,
) -> anyhow::Result<Option<Edit>> {
    let asked = editable(record)?;
    let (mut body, mut problem) = (text(asked)?, None::<String>);
    loop {
        let came = once(editor, &record.proposal, &page(record, &body, problem.as_deref())).await?;
        match read(&came, (record, asked), policy) {
            Read::Nothing | Read::Unchanged => return Ok(None),
            Read::Good(edit) => return Ok(Some(*edit)),
            Read::Wrong(why) if came == body && problem.is_some() => {
                return Err(anyhow!("the edit came back as it was, and cannot be granted: {why}"));
            }
            Read::Wrong(why) => (body, problem) = (came, Some(why)),
        }
    }
}

/// An edit that was made elsewhere.
///
/// # Errors
/// It cannot be granted.
pub fn given(text: &str, record: &ProposalRecord, policy: &EgressPolicy) -> anyhow::Result<Edit> {
    match read(text, (record, editable(record)?), policy) {
        Read::Nothing => Err(anyhow!("the edit is empty")),
        Read::Unchanged => Err(anyhow!("the edit is what was asked for; approve that")),
        Read::Wrong(why) => Err(anyhow!("the edit cannot be granted: {why}")),
        Read::Good(edit) => Ok(*edit),
    }
}

/// One turn of the editor. The remarks on top are taken off again.
async fn once(editor: &Editor, proposal: &ProposalId, page: &str) -> anyhow::Result<String> {
    let mut file = tempfile::Builder::new()
        .prefix(&format!("proposal-{proposal}-"))
        .suffix(".yaml")
        .tempfile()
        .context("cannot make a file to edit")?;
    file.write_all(page.as_bytes()).context("cannot write the file to edit")?;
    editor.open(file.path()).await?;
    // By its name: editors put another file in its place.
    let size = std::fs::metadata(file.path()).context("the edited file is gone")?.len();
    anyhow::ensure!(size <= LARGEST, "the edit is larger than 64 KiB");
    let text = std::fs::read_to_string(file.path()).context("cannot read the edited file")?;
    Ok(without_remarks(&text).to_owned())
}

fn page(record: &ProposalRecord, body: &str, problem: Option<&str>) -> String {
    let mut page = String::new();
    if let Some(problem) = problem {
        remark(&mut page, &format!("It cannot be granted: {problem}"));
        remark(&mut page, "");
    }
    remark(&mut page, &format!("{} asks for: {}", record.bottle, card::summary(&record.content)));
    if let Some(why) = &record.justification {
        remark(&mut page, &format!("because: {}", base::inert(why, 500)));
    }
    remark(&mut page, "");
    let hint = match record.content {
        Content::Capability(_) => [
            "Key: dockerfile, the whole of it, which is built as it stands here.",
            "Leave it as it is, or empty, and nothing is decided.",
        ],
        _ => [
            "Keys: host, scheme, port, methods, paths. A whole route, with auth, dlp and the like, goes below `route:`",
            "and holds until the bottle exits. Leave it as it is, or empty, and nothing is decided.",
        ],
    };
    hint.iter().for_each(|line| remark(&mut page, line));
    page.push_str(body);
    page
}

fn remark(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{}", format!("# {text}").trim_end());
}

/// The text after the remarks that begin it.
fn without_remarks(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
    }
    rest
}

/// What is asked for as YAML; as JSON, which is YAML too, where YAML would show something that is not inert.
fn text(asked: Asked<'_>) -> anyhow::Result<String> {
    match asked {
        Asked::Delta(delta) => written(delta),
        Asked::Capability(capability) => written(capability),
    }
}

fn written(asked: &impl Serialize) -> anyhow::Result<String> {
    let yaml = serde_yaml::to_string(asked).context("cannot write down what is asked for")?;
    if output::inert_lines(&yaml).replace("\\\\", "\\") == yaml {
        return Ok(yaml);
    }
    let json = serde_json::to_string_pretty(asked).context("cannot write down what is asked for")?;
    Ok(output::escaped(&json) + "\n")
}

/// A route below a key of its own, so that no slip of the pen makes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    route: Route,
}

fn read(text: &str, (record, asked): (&ProposalRecord, Asked<'_>), policy: &EgressPolicy) -> Read {
    let body = without_remarks(text);
    if body.trim().is_empty() {
        return Read::Nothing;
    }
    let parsed = match asked {
        Asked::Delta(_) => parse(body),
        Asked::Capability(_) => capability(body),
    };
    let edited = match parsed {
        Ok(Edited::Delta { delta }) if asked == Asked::Delta(&delta) => return Read::Unchanged,
        Ok(Edited::Dockerfile { dockerfile }) if matches!(asked, Asked::Capability(asked) if asked.dockerfile == dockerfile) =>
        {
            return Read::Unchanged;
        }
        Ok(edited) => edited,
        Err(why) => return Read::Wrong(base::inert(&advise(&why), 500)),
    };
    match preview::edited(record, &edited, policy) {
        Ok(effect) => Read::Good(Box::new(Edit { edited, effect })),
        Err(why) => Read::Wrong(why),
    }
}

/// JSON is YAML, too.
fn capability(body: &str) -> Result<Edited, String> {
    let read = serde_yaml::from_str::<Capability>(body).map_err(|error| error.to_string())?;
    Ok(Edited::Dockerfile { dockerfile: read.dockerfile })
}

fn parse(body: &str) -> Result<Edited, String> {
    if body.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(body)
    {
        let is_route = value.get("route").is_some();
        return as_edited(is_route, || serde_json::from_str(body), || serde_json::from_str(body));
    }
    let value: serde_yaml::Value = serde_yaml::from_str(body).map_err(|error| error.to_string())?;
    // From the text, so that errors say the line.
    as_edited(value.get("route").is_some(), || serde_yaml::from_str(body), || serde_yaml::from_str(body))
}

fn as_edited<E: ToString>(
    is_route: bool,
    route: impl FnOnce() -> Result<Whole, E>,
    delta: impl FnOnce() -> Result<EgressDelta, E>,
) -> Result<Edited, String> {
    let edited = if is_route {
        route().map(|whole| Edited::Route { route: Box::new(whole.route) })
    } else {
        delta().map(|delta| Edited::Delta { delta })
    };
    edited.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deciding::card::tests::{egress, record};

    fn policy() -> EgressPolicy {
        EgressPolicy::default()
    }

    fn reading(body: &str) -> Read {
        let record = egress("p1", "me-00000", "docs.example");
        read(body, (&record, editable(&record).unwrap()), &policy())
    }

    #[test]
    fn what_is_edited_is_what_was_asked_for() {
        let record = egress("p1", "me-00000", "docs.example");
        let body = text(editable(&record).unwrap()).unwrap();
        insta::assert_snapshot!(page(&record, &body, Some("no such key")), @r#"
        # It cannot be granted: no such key
        #
        # me-00000 asks for: https://docs.example GET to /docs and below
        #
        # Keys: host, scheme, port, methods, paths. A whole route, with auth, dlp and the like, goes below `route:`
        # and holds until the bottle exits. Leave it as it is, or empty, and nothing is decided.
        host: docs.example
        methods:
        - GET
        paths:
        - type: prefix
          value: /docs
        "#);
        assert_eq!(reading(&page(&record, &body, Some("x"))), Read::Unchanged);
        assert_eq!((reading(""), reading("# only this")), (Read::Nothing, Read::Nothing));
    }

    #[test]
    fn hostile_text_is_inert_in_the_editor_and_the_same_value() {
        let content = serde_json::json!({ "kind": "egress", "host": "a.example",
            "paths": [{ "type": "regex", "value": "/\u{202e}\u{1b}[2Jx" }] });
        let mut record = record("p1", "me-00000", content);
        record.justification = Some("\n- host: evil\u{1b}[2J".to_owned());
        let body = text(editable(&record).unwrap()).unwrap();
        let page = page(&record, &body, None);
        assert!(page.chars().all(|c| c == '\n' || !c.is_control() && c.is_ascii()), "{page}");
        assert!(page.lines().take_while(|line| line.starts_with('#')).count() == 5, "{page}");
        assert_eq!(read(&page, (&record, editable(&record).unwrap()), &policy()), Read::Unchanged);
    }

    #[test]
    fn an_edit_is_read_as_yaml_or_json_and_problems_name_the_key() {
        let Read::Good(edit) = reading("host: docs.example\nmethods: [HEAD]\n") else { panic!() };
        assert_eq!(edit.effect, [Line::Come("+ https://docs.example HEAD to every path".to_owned())]);
        let Read::Good(json) = reading(r#"{"host": "docs.example", "methods": ["HEAD"]}"#) else { panic!() };
        assert_eq!(json.edited, edit.edited);
        let Read::Good(route) = reading(
            "route:\n  host: docs.example\n  connect_to: 127.0.0.1:80\n  allow_private: [127.0.0.0/8]\n",
        ) else {
            panic!()
        };
        assert!(matches!(route.edited, Edited::Route { .. }));
        let wrong = |body: &str| match reading(body) {
            Read::Wrong(why) => why,
            other => panic!("{other:?}"),
        };
        let problems = [
            "host: docs.example\nmethod: [GET]\n",
            "host: docs.example\nauth: {scheme: Bearer, token_ref: T}\n",
            "route: {host: docs.example, dpl: 1}\n",
            "host: [\n",
            "host: 'https://x'\n",
            "{\"host\": 1}",
            "just words",
        ];
        insta::assert_snapshot!(problems.map(wrong).join("\n"), @r#"
        unknown field `method`, expected one of `host`, `scheme`, `port`, `methods`, `paths` at line 2 column 1; did you mean `methods`?
        unknown field `auth`, expected one of `host`, `scheme`, `port`, `methods`, `paths` at line 2 column 1; did you mean `paths`?
        route: unknown field `dpl`, expected one of `host`, `scheme`, `port`, `auth`, `matches`, `dlp`, `git`, `tls`, `allow_private`, `connect_to`, `mount`, `role` at line 1 column 29; did you mean `dlp`?
        did not find expected node content at line 2 column 1, while parsing a flow node
        host: a scheme does not belong here; write `host: x` and, unless it is https, `scheme: https`
        invalid type: integer `1`, expected a string at line 1 column 10
        invalid type: string "just words", expected struct EgressDelta
        "#);
    }

    #[test]
    fn a_dockerfile_is_edited_whole() {
        let hostile = "FROM a\n# \u{1b}[2J\nRUN b\n";
        for dockerfile in ["FROM a\nRUN b\n", hostile] {
            let content = serde_json::json!({ "kind": "capability", "dockerfile": dockerfile });
            let mut record = record("p1", "me-00000", content);
            record.before = Some("FROM a\n".to_owned());
            let asked = editable(&record).unwrap();
            let page = page(&record, &text(asked).unwrap(), None);
            assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{page}");
            let reading = |body: &str| read(body, (&record, asked), &policy());
            assert_eq!(reading(&page), Read::Unchanged);
            let Read::Good(edit) = reading("dockerfile: |\n  FROM a\n  RUN c\n") else { panic!() };
            assert_eq!(edit.edited, Edited::Dockerfile { dockerfile: "FROM a\nRUN c\n".to_owned() });
            assert!(edit.effect.contains(&Line::Come("+ RUN c".to_owned())), "{:?}", edit.effect);
            assert!(matches!(reading("dockerfile: ' '\n"), Read::Wrong(why) if why.contains("empty")));
            assert!(matches!(reading("host: a.example\n"), Read::Wrong(_)));
        }
    }

    #[tokio::test]
    async fn an_editor_that_changes_nothing_about_what_is_wrong_is_not_asked_for_ever() {
        let record = egress("p1", "me-00000", "docs.example");
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("edit.py");
        let seen = folder.path().join("seen");
        std::fs::write(
            &script,
            "import sys\nopen(sys.argv[1], 'a').write(open(sys.argv[2]).read())\nopen(sys.argv[2], 'w').write('hots: x\\n')\n",
        )
        .unwrap();
        let line = format!("python3 '{}' '{}'", script.display(), seen.display());
        let editor = Editor::parse("EDITOR", &line).unwrap();
        let failed = in_editor(&editor, &record, &policy()).await.unwrap_err().to_string();
        assert!(failed.contains("did you mean `host`?"), "{failed}");
        let seen = std::fs::read_to_string(seen).unwrap();
        assert_eq!(seen.matches("# It cannot be granted: ").count(), 1, "{seen}");
        let none = Editor::parse("EDITOR", "true").unwrap();
        assert_eq!(in_editor(&none, &record, &policy()).await.unwrap(), None);
        let fails = Editor::parse("EDITOR", "false").unwrap();
        assert!(in_editor(&fails, &record, &policy()).await.is_err());
    }
}
