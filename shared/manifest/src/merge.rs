//! One bottle over another (M7, M8).

use std::collections::BTreeMap;

use base::id::BottleName;
use policy::{EgressPolicy, HostPattern, Route};

use crate::bottle::Bottle;
use crate::env::EnvValue;
use crate::git::{GitUser, Repo};
use crate::grants::Grant;
use crate::image::ImageFile;
use crate::limits::Limits;
use crate::provider::AgentProvider;

/// What one or more bottles say together. An absent list or map was not declared; an empty one was, and clears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) env: BTreeMap<String, EnvValue>,
    pub(crate) provider: Option<AgentProvider>,
    pub(crate) image: Option<ImageFile>,
    pub(crate) user: GitUser,
    pub(crate) repos: Option<BTreeMap<String, Repo>>,
    pub(crate) log: Option<u8>,
    pub(crate) routes: Option<Vec<Route>>,
    /// What was kept, and beside which bottle.
    pub(crate) grants: Vec<(BottleName, Grant)>,
    pub(crate) supervise: Option<bool>,
    pub(crate) limits: Limits,
}

impl From<&Bottle> for Layer {
    fn from(bottle: &Bottle) -> Self {
        let file = bottle.file.clone();
        let git = file.git_gate.unwrap_or_default();
        let egress = file.egress.unwrap_or_default();
        Self {
            env: file.env,
            provider: file.agent_provider,
            image: file.image,
            user: git.user.unwrap_or_default(),
            repos: git.repos,
            log: egress.log,
            routes: bottle.declares_routes.then_some(egress.routes),
            grants: bottle.grants.iter().map(|grant| (bottle.name.clone(), grant.clone())).collect(),
            supervise: file.supervise,
            limits: file.limits.unwrap_or_default(),
        }
    }
}

impl Layer {
    /// This layer with another one over it.
    pub(crate) fn overlaid(mut self, child: Self) -> Self {
        self.env.extend(child.env);
        Self {
            env: self.env,
            provider: child.provider.or(self.provider),
            image: child.image.or(self.image),
            user: overlay_user(self.user, child.user),
            repos: overlay_repos(self.repos, child.repos),
            log: child.log.or(self.log),
            grants: overlay_grants(self.grants, child.routes.as_deref(), child.grants),
            routes: overlay_routes(self.routes, child.routes),
            supervise: child.supervise.or(self.supervise),
            limits: self.limits.overlaid(child.limits),
        }
    }

    pub(crate) fn egress(&self) -> EgressPolicy {
        EgressPolicy { log: self.log, routes: self.routes.clone().unwrap_or_default() }
    }
}

fn overlay_user(parent: GitUser, child: GitUser) -> GitUser {
    GitUser { name: child.name.or(parent.name), email: child.email.or(parent.email) }
}

fn overlay_repos(
    parent: Option<BTreeMap<String, Repo>>,
    child: Option<BTreeMap<String, Repo>>,
) -> Option<BTreeMap<String, Repo>> {
    match (parent, child) {
        (parent, None) => parent,
        (Some(mut repos), Some(child)) if !child.is_empty() => {
            repos.extend(child);
            Some(repos)
        }
        (_, child) => child,
    }
}

/// All of the parent's routes for a host give way to the child's for the same host.
fn overlay_routes(parent: Option<Vec<Route>>, child: Option<Vec<Route>>) -> Option<Vec<Route>> {
    match (parent, child) {
        (parent, None) => parent,
        (Some(mut routes), Some(child)) if !child.is_empty() => {
            routes.retain(|route| !child.iter().any(|newer| host(newer) == host(route)));
            routes.extend(child);
            Some(routes)
        }
        (_, child) => child,
    }
}

/// The parent's grants go where its routes go.
fn overlay_grants(
    mut parent: Vec<(BottleName, Grant)>,
    routes: Option<&[Route]>,
    child: Vec<(BottleName, Grant)>,
) -> Vec<(BottleName, Grant)> {
    match routes {
        Some([]) => parent.clear(),
        Some(newer) => parent.retain(|(_, grant)| {
            let granted = host(&grant.allow.route());
            !newer.iter().any(|route| host(route) == granted)
        }),
        None => {}
    }
    parent.extend(child);
    parent
}

/// The host as it is compared.
fn host(route: &Route) -> String {
    HostPattern::parse(&route.host).map_or_else(|_| route.host.clone(), |host| host.to_string())
}
