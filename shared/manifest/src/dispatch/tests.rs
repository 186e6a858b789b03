use super::*;

const GOOD: &str = "webhooks:
  team:
    forge: gitea
    secret_ref: HOOK_SECRET
    api_url: https://git.example.com/api/v1
    token_ref: file:~/forge-token
    account: helper
    allow: {users: [ann], teams: [team/reviewers], permission: write}
rules:
  - repositories: [team/*]
    events: [opened, pushed, comment]
    agent: reviewer
    prompt: |
      Review {repository}#{number}. {\"this\": \"is no placeholder\"}
";

fn parse(text: &str) -> Result<DispatchFile, FileProblems> {
    DispatchFile::parse(Path::new("dispatch.yaml"), text)
}

#[test]
fn a_file_is_read() {
    let file = parse(GOOD).unwrap();
    assert_eq!(file.address().to_string(), "127.0.0.1:8466");
    assert_eq!((file.turns(), file.rules[0].mode, file.rules[0].checkout), (20, Mode::Start, Checkout::None));
    assert_eq!(file.webhooks["team"].allow.permission, Some(Permission::Write));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("", "x"),
        ("forge: gitea", "forge: gitlab"),
        ("secret_ref: HOOK_SECRET", "secret_ref: cmd:pass show hook"),
        ("https://git.example.com/api/v1", "https://ann@git.example.com/?x=1"),
        ("account: helper", "account: help me"),
        ("{users: [ann], teams: [team/reviewers], permission: write}", "{}"),
        ("[team/*]", "[team, '*']"),
        ("[opened, pushed, comment]", "[opened, labelled]"),
        ("    agent: reviewer\n", ""),
        ("{number}", "{title}"),
        ("  - repositories", "  - webhook: taem\n    repositories"),
        ("webhooks:\n", "listen: somewhere\nturns: 0\nwebhooks:\n"),
        ("forge: gitea", "forge: github"),
    ];
    let said = cases.map(|(from, to)| match from {
        "" => parse(to).unwrap_err().to_string(),
        _ => parse(&GOOD.replace(from, to)).unwrap_err().to_string(),
    });
    insta::assert_snapshot!(said.join("\n"));
}
