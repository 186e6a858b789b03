//! The bottle of a real client: its host is the model of the story.

use std::path::PathBuf;

use harness::{Home, Model, clients};
use serde_json::json;

/// A real client, and how its API knows it.
pub(crate) struct Client {
    /// Its provider.
    pub(crate) provider: &'static str,
    program: PathBuf,
    /// The option that says where its token is, and its value.
    option: (&'static str, &'static str),
    host: &'static str,
    /// The header that its token comes in.
    pub(crate) header: &'static str,
    scheme: &'static str,
    /// What stands for the token in the bottle.
    pub(crate) placeholder: &'static str,
}

impl Client {
    pub(crate) fn claude() -> Self {
        Self {
            provider: "claude",
            program: clients::claude(),
            option: ("auth_token", "STORY_TOKEN"),
            host: "api.anthropic.com",
            header: "authorization",
            scheme: "Bearer ",
            placeholder: "placeholder-for-a-token",
        }
    }

    pub(crate) fn claude_with_a_key() -> Self {
        Self {
            option: ("api_key", "STORY_TOKEN"),
            header: "x-api-key",
            scheme: "",
            placeholder: "placeholder-of-a-key",
            ..Self::claude()
        }
    }

    pub(crate) fn codex() -> Self {
        Self { provider: "codex", program: clients::codex(), host: "api.openai.com", ..Self::claude() }
    }

    pub(crate) fn codex_by_device_login() -> Self {
        Self {
            option: ("forward_host_credentials", "true"),
            host: "chatgpt.com",
            placeholder: "placeholder-for-a-token",
            ..Self::codex()
        }
    }

    pub(crate) fn opencode() -> Self {
        Self {
            provider: "opencode",
            program: clients::opencode(),
            header: "x-api-key",
            scheme: "",
            ..Self::claude()
        }
    }

    /// What its API sees of a token.
    pub(crate) fn shown(&self, token: &str) -> String {
        format!("{}{token}", self.scheme)
    }

    /// Writes a bottle and an agent `worker`. Its token is in the services' `STORY_TOKEN`; `origin` is the port of the host
    /// `new.example.com`, of which nothing is allowed yet.
    pub(crate) fn write(&self, home: &Home, model: &Model, origin: u16) {
        home.write_file("model.pem", &model.authority);
        let model = json!({
            "host": self.host, "connect_to": model.address.to_string(), "allow_private": ["127.0.0.0/8"],
            "tls": { "ca": home.path().join("model.pem") },
        });
        let new = json!({
            "host": "new.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{origin}"),
            "allow_private": ["127.0.0.0/8"], "matches": [{ "paths": [{ "type": "exact", "value": "/nothing" }] }],
        });
        let bottle = json!({
            "agent_provider": { "template": self.provider, "program": self.program, self.option.0: self.option.1 },
            "env": { "STORY": home.marker },
            "egress": { "routes": [model, new] },
        });
        home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
        home.write_file("agents/worker.md", "---\nbottle: worker\n---\nYou are the worker of a story.\n");
    }
}
