//! `docs/bus/` says what the code says. `UPDATE_GENERATED=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bus::catalog::{Listing, messages, records};
use bus::role::{Account, NAME, Role};

#[test]
fn the_documentation_is_what_the_code_says() {
    let mut files =
        BTreeMap::from([("README.md".to_owned(), index()), ("permissions.md".to_owned(), permissions())]);
    for listing in messages().into_iter().chain(records()) {
        files.insert(format!("{}.json", listing.name), pretty(&listing.schema));
        if let Some(reply) = &listing.reply {
            files.insert(format!("{}.reply.json", listing.name), pretty(reply));
        }
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bus");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(&dir).unwrap();
        for (name, text) in &files {
            std::fs::write(dir.join(name), text).unwrap();
        }
    }
    for (name, text) in &files {
        let there = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        assert!(there == *text, "docs/bus/{name} is stale: run the tests once with UPDATE_GENERATED=1");
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(files.contains_key(&name), "docs/bus/{name} belongs to no message any more: remove it");
    }
}

fn pretty(schema: &schemars::Schema) -> String {
    serde_json::to_string_pretty(schema).unwrap() + "\n"
}

fn index() -> String {
    let mut text = "# The bus

Every message that bot-bottle's parts exchange. Payloads are JSON objects with a `v` field; a program refuses a version
that it does not know. Every message carries a W3C `traceparent` header; a stored one also `Nats-Msg-Id`, by which a
second publication is recognised. Who may publish and subscribe where is in [permissions.md](permissions.md); a cluster
of your own is described in [deploy/nats](../../deploy/nats/README.md).

This page and the schemas beside it are made from the types in `shared/bus/src/message`; a test keeps them the same.

| subject | from → to | kept in | schema |
|---|---|---|---|
"
    .to_owned();
    rows(&mut text, &messages());
    text.push_str("\nValues of the key-value buckets; the key is the id of what the value is about.\n\n");
    text.push_str("| bucket | written by | kept | schema |\n|---|---|---|---|\n");
    rows(&mut text, &records());
    text.push_str(
        "\nThe bucket `policy` holds what `policy.changed` carries, until the bottle is over. The object store `transcripts` holds\n\
         session transcripts by bottle for 30 days, `commits` committed environments for 30 days, `workspaces` what was uploaded for a start request for 7 days, all as NATS object\n\
         stores do. Streams and their limits: `shared/bus/src/layout.rs`.\n",
    );
    text
}

fn rows(text: &mut String, listings: &[Listing]) {
    for Listing { name, place, route, kept, reply, .. } in listings {
        let place = if place.contains('`') { place.clone() } else { format!("`{place}`") };
        let reply = if reply.is_some() { format!(", [answer]({name}.reply.json)") } else { String::new() };
        let _ = writeln!(text, "| {place} | {route} | {kept} | [schema]({name}.json){reply} |");
    }
}

fn permissions() -> String {
    let mut text = format!(
        "# Who may do what on the bus

Each role has a scoped signing key; what its users may do is a template in the account, so that a user's JWT carries no
permissions of its own and cannot widen them. `{NAME}` is the user's name: the role's, or for a bottle its slug. What is
not listed is refused. This page is made from `shared/bus/src/role.rs`, and a test asks a real server for every role and
subject.

- Bottles live in an account of their own, without JetStream. They reach the host's account through exactly the subjects
  of their template. A server publishes its answer on whatever reply subject the asker named, with its own rights: within
  one account a bottle could have a confirmation written into the audit trail, over a policy, or as an order to purge a
  stream. Across accounts an answer only comes back to the asker's account.
- Only the admin role, which `bot-bottle up` uses to provision, may create, change or purge streams and consumers. A
  consumer's deliver subject, a stream's sources and its republish rule would let their maker speak as somebody else.
  Everyone else reads streams and buckets with `$JS.API.DIRECT.GET`.
- Nobody has `allow_responses`: it would let an asker choose what the answerer may publish on. Answers go to inboxes,
  and each user hears only its own.
- Between the host's roles the reply subject is not checked by the server: supervisor, launcher, dispatcher and operator
  trust each other that far, and the programs answer to inboxes only.
- All launchers are one role: each may acknowledge another's job and write another's records. The sidecars of one bottle
  are one identity too.
"
    );
    for role in Role::ALL {
        let account = match role.account() {
            Account::Host => "host",
            Account::Bottles => "bottles",
        };
        let template = role.template();
        let _ = writeln!(text, "\n## {role}\n\nAccount: {account}.\n\n| publish | subscribe |\n|---|---|");
        for n in 0..template.publish.len().max(template.subscribe.len()) {
            let cell = |subjects: &[String]| subjects.get(n).map_or(String::new(), |s| format!("`{s}`"));
            let _ = writeln!(text, "| {} | {} |", cell(&template.publish), cell(&template.subscribe));
        }
    }
    text
}
