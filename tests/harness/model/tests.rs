//! The model asked by plain requests.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::*;

/// A model with a script, and who asks it.
struct Asker {
    model: Model,
    folder: TempDir,
    _lifecycle: Lifecycle,
}

/// What came back.
struct Answer {
    status: String,
    body: String,
    /// Whether the answer was whole.
    whole: bool,
}

impl Asker {
    async fn of(script: impl IntoIterator<Item = Turn>) -> Self {
        let lifecycle = Lifecycle::new();
        let model = Model::start(script, &lifecycle).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &model.authority).unwrap();
        Self { model, folder, _lifecycle: lifecycle }
    }

    fn command(&self, path: &str, more: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code}", "--cacert"]);
        command.arg(self.folder.path().join("ca.pem")).args(more);
        command.arg(format!("https://{}{path}", self.model.address)).kill_on_drop(true);
        command
    }

    async fn ask(&self, path: &str, more: &[&str]) -> Answer {
        let output = self.command(path, more).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        Answer { status: status.to_owned(), body: body.to_owned(), whole: output.status.success() }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(path, &["-H", "Content-Type: application/json", "-d", &body.to_string()]).await
    }
}

fn messages(tools: &[&str]) -> Value {
    let tools: Vec<Value> = tools.iter().map(|name| json!({ "name": name })).collect();
    json!({ "model": "m", "stream": true, "tools": tools, "messages": [{ "role": "user", "content": "hello" }] })
}

const MESSAGES: &str = "/v1/messages?beta=true";

#[tokio::test]
async fn each_request_of_a_loop_takes_a_turn_and_others_take_none() {
    let asker = Asker::of([Turn::shell("ls"), Turn::say("done")]).await;
    let title = asker.post(MESSAGES, &messages(&[])).await;
    assert!(title.body.contains("A word") && title.whole, "{}", title.body);
    let first = asker.post(MESSAGES, &messages(&["Read", "Bash"])).await;
    assert!(first.body.contains(r#""name":"Bash""#) && first.body.contains("ls"), "{}", first.body);
    assert!(first.body.contains("event: message_stop"));
    let mut whole = messages(&["Bash"]);
    whole["stream"] = false.into();
    let second: Value = serde_json::from_str(&asker.post(MESSAGES, &whole).await.body).unwrap();
    assert_eq!((&second["content"][0]["text"], &second["stop_reason"]), (&json!("done"), &json!("end_turn")));
    assert_eq!((asker.model.left(), asker.model.asked().len(), asker.model.steps().len()), (0, 3, 2));
    let none = asker.post(MESSAGES, &messages(&["Bash"])).await;
    assert_eq!(none.status, "400");
    assert!(none.body.contains("the script has ended"));
}

#[tokio::test]
async fn a_tool_is_called_by_the_name_that_each_client_has_for_it() {
    let arguments = json!({ "host": "a.example" });
    let asker = Asker::of(vec![Turn::call("egress-block", arguments); 5]).await;
    for (path, offer, called) in [
        (MESSAGES, messages(&["mcp__supervise__egress-block"]), r#""name":"mcp__supervise__egress-block""#),
        (MESSAGES, messages(&["supervise_egress-block"]), r#""name":"supervise_egress-block""#),
        (
            "/v1/responses",
            json!({ "tools": [{ "type": "namespace", "name": "mcp__supervise", "tools": [{ "name": "egress_block" }] }] }),
            r#""namespace":"mcp__supervise""#,
        ),
        (
            "/backend-api/codex/responses",
            json!({ "input": [{ "type": "additional_tools", "tools": [
                { "type": "namespace", "name": "functions", "tools": [{ "type": "custom", "name": "exec" }] },
            ] }] }),
            "tools.mcp__supervise__egress_block(",
        ),
        (
            "/v1/chat/completions",
            json!({ "tools": [{ "type": "function", "function": { "name": "mcp__supervise__egress_block" } }] }),
            r#""name":"mcp__supervise__egress_block""#,
        ),
    ] {
        let answer = asker.post(path, &offer).await;
        assert!(answer.body.contains(called) && answer.body.contains("a.example"), "{}", answer.body);
    }
    assert_eq!(asker.model.left(), 0);
}

#[tokio::test]
async fn a_tool_that_is_deferred_is_searched_for_first() {
    let asker = Asker::of([Turn::call("allow", json!({}))]).await;
    let mut request = messages(&["ToolSearch"]);
    let search = asker.post(MESSAGES, &request).await;
    assert!(search.body.contains("select:mcp__supervise__allow"), "{}", search.body);
    assert_eq!(asker.model.left(), 1);
    request["messages"] = json!([{ "role": "user", "content": "found mcp__supervise__allow" }]);
    let call = asker.post(MESSAGES, &request).await;
    assert!(call.body.contains(r#""name":"mcp__supervise__allow""#), "{}", call.body);
    assert_eq!(asker.model.left(), 0);
    asker.model.play([Turn::call("allow", json!({}))]);
    assert_eq!(asker.post(MESSAGES, &messages(&["Bash"])).await.status, "400");
}

#[tokio::test]
async fn errors_and_halves_are_those_of_the_api() {
    let script = [Turn::fail(529, "overloaded_error", "busy"), Turn::Half("half of it".to_owned())];
    let asker = Asker::of(script).await;
    let busy = asker.post(MESSAGES, &messages(&["Bash"])).await;
    let body: Value = serde_json::from_str(&busy.body).unwrap();
    assert_eq!((busy.status.as_str(), &body["error"]["type"]), ("529", &json!("overloaded_error")));
    let half = asker.post(MESSAGES, &messages(&["Bash"])).await;
    assert!(!half.whole && half.body.contains("half of it"), "{}", half.body);
    assert!(!half.body.contains("message_stop"), "{}", half.body);
}

#[tokio::test]
async fn a_held_answer_begins_and_goes_on_when_it_may() {
    let gate = Gate::closed();
    let asker = Asker::of([Turn::say("later").held(&gate)]).await;
    let request = messages(&["Bash"]).to_string();
    let mut command =
        asker.command(MESSAGES, &["-N", "-H", "Content-Type: application/json", "-d", &request]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let mut line = async || crate::soon("a line", lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line().await, "event: message_start");
    gate.open();
    while !line().await.contains("later") {}
    crate::soon("its end", child.wait()).await.unwrap();
}

#[tokio::test]
async fn what_arrived_is_remembered_decoded() {
    let asker = Asker::of([Turn::say("done")]).await;
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "--http1.1"];
    assert_eq!(asker.ask("/v1/responses", &upgrade).await.status, "426");
    assert_eq!(asker.ask("/api/claude_code/settings", &[]).await.status, "404");
    assert!(asker.post("/v1/messages/count_tokens", &json!({})).await.body.contains("input_tokens"));

    let request =
        json!({ "tools": [{ "type": "function", "name": "shell" }], "secret": "of the request" }).to_string();
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(request.len()));
    zstd_safe::compress(&mut packed, request.as_bytes(), 3).unwrap();
    let file = asker.folder.path().join("body");
    std::fs::write(&file, packed).unwrap();
    let body = format!("@{}", file.display());
    let more = ["-H", "Content-Encoding: zstd", "-H", "Authorization: Bearer t", "--data-binary", &body];
    let answer = asker.ask("/backend-api/codex/responses", &more).await;
    assert!(answer.body.contains("event: response.completed"), "{}", answer.body);
    let asked = asker.model.steps().remove(0);
    assert_eq!((asked.body.as_str(), asked.header("authorization")), (request.as_str(), Some("Bearer t")));
    assert!(asked.mentions("of the request") && asked.mentions("Bearer t") && asked.mentions("codex"));
    assert!(!asked.mentions("nothing of this"));
    assert_eq!(asker.model.asked().len(), 4);
}
