//! The forge's API, as far as the dispatcher goes: what somebody may do, and one pull request's comments and statuses
//! (D3, D7). The token is here and nowhere else.

mod call;

use base::Secret;
use bus::message::pr::ReportedStatus;
use jiff::Timestamp;
use manifest::dispatch::{ForgeKind, Permission, Webhook};
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

pub use call::ForgeError;
use call::{client, part};

/// What a commit status is called.
const CONTEXT: &str = "bot-bottle";

/// One forge, with the token of the agents' account.
pub struct Forge {
    client: Client,
    api: String,
    kind: ForgeKind,
    account: String,
    authorization: HeaderValue,
}

/// One pull request: the only one that can be written to through this.
pub struct PullRequest<'a> {
    forge: &'a Forge,
    repo: &'a str,
    number: u64,
}

#[derive(Deserialize)]
struct Access {
    permission: String,
}

#[derive(Deserialize)]
struct Teams {
    #[serde(default)]
    data: Vec<Team>,
}

#[derive(Deserialize)]
struct Team {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: String,
    #[serde(default)]
    user: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

impl Forge {
    /// Prepares to call it.
    ///
    /// # Errors
    /// The token cannot be in a header, or the host has no trusted roots that can be read.
    pub fn new(webhook: &Webhook, token: &Secret) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let scheme = if webhook.forge == ForgeKind::Github { "Bearer" } else { "token" };
        let mut authorization = HeaderValue::from_str(&format!("{scheme} {}", token.expose()))
            .ok()
            .context("the forge's token holds what no header can carry")?;
        authorization.set_sensitive(true);
        Ok(Self {
            client: client()?,
            api: webhook.api_url.trim_end_matches('/').to_owned(),
            kind: webhook.forge,
            account: webhook.account.clone(),
            authorization,
        })
    }

    /// What somebody may do in a repository; none is less than writing.
    ///
    /// # Errors
    /// The forge cannot be asked, or does not say.
    pub async fn permission(&self, repo: &str, login: &str) -> Result<Option<Permission>, ForgeError> {
        let path = format!("/repos/{repo}/collaborators/{}/permission", part(login));
        let (status, body) = self.call(Method::GET, &path, None).await?;
        match status {
            StatusCode::OK => {
                let access: Access = call::parsed(&body)?;
                Ok(match access.permission.as_str() {
                    "owner" | "admin" => Some(Permission::Admin),
                    "write" | "maintain" => Some(Permission::Write),
                    _ => None,
                })
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(call::refused(status, &body)),
        }
    }

    /// Whether somebody is in a team, `organisation/team`.
    ///
    /// # Errors
    /// The forge cannot be asked, or does not say.
    pub async fn is_in_team(&self, team: &str, login: &str) -> Result<bool, ForgeError> {
        let Some((org, name)) = team.split_once('/') else { return Ok(false) };
        let path = format!("/orgs/{}/teams/search?q={}&limit=50", part(org), part(name));
        let (status, body) = self.call(Method::GET, &path, None).await?;
        if status != StatusCode::OK {
            return Err(call::refused(status, &body));
        }
        let teams: Teams = call::parsed(&body)?;
        // The search finds parts of names too.
        let Some(team) = teams.data.iter().find(|team| team.name.eq_ignore_ascii_case(name)) else {
            let account = self.account.as_str();
            tracing::warn!(team, account, "the forge shows the account no such team");
            return Ok(false);
        };
        let (status, body) =
            self.call(Method::GET, &format!("/teams/{}/members/{}", team.id, part(login)), None).await?;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(call::refused(status, &body)),
        }
    }

    /// One pull request.
    #[must_use]
    pub fn pull<'a>(&'a self, repo: &'a str, number: u64) -> PullRequest<'a> {
        PullRequest { forge: self, repo, number }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<(StatusCode, Vec<u8>), ForgeError> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.api))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, "bot-bottle");
        if let Some(body) = &body {
            request = request.json(body);
        }
        call::answer(request).await
    }
}

impl PullRequest<'_> {
    /// Writes a comment; its id.
    ///
    /// # Errors
    /// The forge cannot be reached, or refuses.
    pub async fn comment(&self, text: &str) -> Result<u64, ForgeError> {
        let path = format!("/repos/{}/issues/{}/comments", self.repo, self.number);
        let (status, body) = self.forge.call(Method::POST, &path, Some(json!({ "body": text }))).await?;
        match status {
            StatusCode::CREATED | StatusCode::OK => Ok(call::parsed::<Comment>(&body)?.id),
            status => Err(call::refused(status, &body)),
        }
    }

    /// Changes a comment of the account's own; false when it is gone.
    ///
    /// # Errors
    /// The forge cannot be reached, or refuses.
    pub async fn edit(&self, comment: u64, text: &str) -> Result<bool, ForgeError> {
        let path = format!("/repos/{}/issues/comments/{comment}", self.repo);
        let (status, body) = self.forge.call(Method::PATCH, &path, Some(json!({ "body": text }))).await?;
        match status {
            StatusCode::OK => Ok(true),
            // Gitea's 204 is said of what is no comment of a person.
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            status => Err(call::refused(status, &body)),
        }
    }

    /// The account's own comment with a marker at its end, if it was written since then: a process that died may have done it.
    ///
    /// # Errors
    /// The forge cannot be reached, or refuses.
    pub async fn find(&self, marker: &str, since: Timestamp) -> Result<Option<u64>, ForgeError> {
        let since = part(&since.to_string());
        // Gitea has no pages here; GitHub has at most a hundred on one.
        let pages = if self.forge.kind == ForgeKind::Github { "&per_page=100" } else { "" };
        let path = format!("/repos/{}/issues/{}/comments?since={since}{pages}", self.repo, self.number);
        let (status, body) = self.forge.call(Method::GET, &path, None).await?;
        if status != StatusCode::OK {
            return Err(call::refused(status, &body));
        }
        let comments: Vec<Comment> = call::parsed(&body)?;
        let own = |comment: &&Comment| {
            comment.user.as_ref().is_some_and(|user| user.login.eq_ignore_ascii_case(&self.forge.account))
                && comment.body.trim_end().ends_with(marker)
        };
        Ok(comments.iter().find(own).map(|comment| comment.id))
    }

    /// Reports the status of a commit.
    ///
    /// # Errors
    /// The forge cannot be reached, or refuses.
    pub async fn report(&self, sha: &str, state: ReportedStatus, words: &str) -> Result<(), ForgeError> {
        let path = format!("/repos/{}/statuses/{}", self.repo, part(sha));
        let body = json!({ "state": state, "description": words, "context": CONTEXT });
        let (status, body) = self.forge.call(Method::POST, &path, Some(body)).await?;
        match status {
            StatusCode::CREATED | StatusCode::OK => Ok(()),
            status => Err(call::refused(status, &body)),
        }
    }
}
