//! What a person sees before a launch: names, never values (M10).

use base::id::{AgentName, BottleName};
use policy::route::Match;
use serde::Serialize;

use crate::agent::Origin;
use crate::grants::Grant;
use crate::image::Image;
use crate::limits::Limits;
use crate::resolve::{GitIdentity, Resolved};

/// A launch in names. It holds no value of a variable, no prompt, and not where a credential is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preflight {
    /// The agent.
    pub agent: AgentName,
    /// Where its file comes from.
    pub origin: Origin,
    /// The effective bottles, in order.
    pub bottles: Vec<BottleName>,
    /// The provider's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What its container is made of, on the backend `docker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Names of the variables that the agent gets.
    pub env: Vec<String>,
    /// Skills by name.
    pub skills: Vec<String>,
    /// The hosts that it may reach.
    pub routes: Vec<RouteLine>,
    /// What of the routes operators have granted and kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantLine>,
    /// Repositories by name, with their addresses.
    pub repos: Vec<RepoLine>,
    /// Who the agent says it is when it commits.
    pub identity: GitIdentity,
    /// Whether it can ask a person for more.
    pub supervise: bool,
    /// What it may use.
    pub limits: Limits,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteLine {
    /// `https` or `http`.
    pub scheme: &'static str,
    /// The host, as it is compared.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the proxy adds a credential.
    pub injects: bool,
    /// The requests that are allowed; none given means every request.
    pub requests: Vec<Match>,
    /// Whether TLS goes through unseen.
    pub passthrough: bool,
}

/// One kept grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantLine {
    /// The file that it is in, below the home.
    pub file: String,
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
}

/// One repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepoLine {
    /// Its name at the gate.
    pub name: String,
    /// Its address.
    pub url: String,
}

impl From<&Resolved> for Preflight {
    fn from(resolved: &Resolved) -> Self {
        let bottle = &resolved.bottle;
        let routes = bottle.policy.routes().iter().map(|route| RouteLine {
            scheme: route.scheme().as_str(),
            host: route.host().to_string(),
            port: route.port(),
            injects: route.auth().is_some(),
            requests: route.source().matches.clone(),
            passthrough: route.is_passthrough(),
        });
        let repos =
            bottle.repos.iter().map(|(name, repo)| RepoLine { name: name.clone(), url: repo.url.clone() });
        let grants = bottle.grants.iter().map(|(name, grant)| GrantLine {
            file: format!("bottles/{name}.grants.md"),
            grant: grant.clone(),
        });
        Self {
            agent: resolved.agent.clone(),
            origin: resolved.origin.clone(),
            bottles: resolved.bottles.clone(),
            provider: bottle.provider.as_ref().map(|provider| provider.template().to_owned()),
            image: bottle.image.clone(),
            env: bottle.env.keys().cloned().collect(),
            skills: resolved.skills.clone(),
            routes: routes.collect(),
            grants: grants.collect(),
            repos: repos.collect(),
            identity: resolved.identity.clone(),
            supervise: bottle.supervise,
            limits: bottle.limits,
            warnings: resolved.warnings.clone(),
        }
    }
}
