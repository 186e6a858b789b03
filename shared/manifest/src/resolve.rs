//! An agent and its bottles to the one value that a launch needs (M7 to M9).

use std::collections::BTreeMap;
use std::fmt;

use base::id::{AgentName, BottleName};
use policy::check::nearest;
use policy::problem::Problems;
use policy::{CheckedPolicy, EgressPolicy};
use serde::Serialize;

use crate::agent::{Agent, Origin};
use crate::bottle::Bottle;
use crate::env::EnvValue;
use crate::git::{GitUser, Repo};
use crate::grants::Grant;
use crate::image::Image;
use crate::library::{Broken, Library, Reach};
use crate::limits::Limits;
use crate::merge::Layer;
use crate::problem::inert_path;
use crate::provider::{self, AgentProvider, Client, builtin};
use crate::semantics::check_forwarding;

/// What shall be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The agent.
    pub agent: AgentName,
    /// The bottles, merged left to right; empty for the agent's own.
    pub bottles: Vec<BottleName>,
    /// Whose agents may be used.
    pub reach: Reach,
}

/// An agent with everything that applies to it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The agent.
    pub agent: AgentName,
    /// Where its file comes from.
    pub origin: Origin,
    /// Its system prompt.
    pub prompt: String,
    /// Its skills, by directory name.
    pub skills: Vec<String>,
    /// The bottles that were merged, in order, without those that they extend. Recorded, so that resume replays it.
    pub bottles: Vec<BottleName>,
    /// What they say together.
    pub bottle: EffectiveBottle,
    /// Who the agent says it is when it commits.
    pub identity: GitIdentity,
    /// What the operator should know before it starts.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// What the program is told: the agent's prompt, an empty line, and the task; each only if it is there.
    #[must_use]
    pub fn instructions(&self, task: Option<&str>) -> String {
        let parts = [Some(self.prompt.as_str()), task];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join("\n\n")
    }
}

/// Several bottles as one.
#[derive(Clone, Debug)]
pub struct EffectiveBottle {
    /// Variables of the agent's environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Which program the agent is, if any bottle says it.
    pub provider: Option<AgentProvider>,
    /// The same with its options: what a launch needs to know of it.
    pub client: Option<Client>,
    /// What its container is made of, if a bottle or the provider says it.
    pub image: Option<Image>,
    /// The repositories of the git gate.
    pub repos: BTreeMap<String, Repo>,
    /// What the proxy allows.
    pub egress: EgressPolicy,
    /// The same, compiled.
    pub policy: CheckedPolicy,
    /// What of it operators have granted and kept, and beside which bottle.
    pub grants: Vec<(BottleName, Grant)>,
    /// Whether the agent has the door.
    pub supervise: bool,
    /// What it may use.
    pub limits: Limits,
}

/// The effective git identity (M9). Claimed, not vouched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GitIdentity {
    /// `user.name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Claim>,
    /// `user.email`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Claim>,
}

/// One field of an identity, and which file claims it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The value.
    pub value: String,
    /// Whose it is.
    pub origin: Claimant,
}

/// Which file claims something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Claimant {
    /// The agent's file.
    Agent,
    /// One of the bottles.
    Bottle,
}

impl fmt::Display for Claim {
    /// `Reviewer (agent)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Claimant::Agent => "agent",
            Claimant::Bottle => "bottle",
        };
        write!(f, "{} ({origin})", base::inert(&self.value, 256))
    }
}

/// Why an agent and its bottles make nothing that can be launched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such agent.
    #[error("there is no agent {name} in {place}{}", near(.nearest))]
    UnknownAgent {
        /// Its name.
        name: AgentName,
        /// Where it was looked for.
        place: String,
        /// The name of one that is written much like it.
        nearest: Option<String>,
    },
    /// There is no such bottle.
    #[error("there is no bottle {name}{}{}", extended(.chain), near(.nearest))]
    UnknownBottle {
        /// Its name.
        name: BottleName,
        /// The bottles that led to it by `extends`, first one first.
        chain: Vec<BottleName>,
        /// The name of one that is written much like it.
        nearest: Option<String>,
    },
    /// A bottle extends itself, at once or by way of others.
    #[error("bottles extend each other in a circle: {}", arrows(.chain))]
    Cycle {
        /// From a bottle to itself.
        chain: Vec<BottleName>,
    },
    /// The agent names no bottle, and none was chosen.
    #[error("the agent {agent} names no bottle; choose one with --bottle, or write `bottle:` into its file")]
    NoBottle {
        /// The agent.
        agent: AgentName,
    },
    /// A bottle was chosen twice.
    #[error("the bottle {name} is chosen twice; name it once")]
    Repeated {
        /// Its name.
        name: BottleName,
    },
    /// A file is broken.
    #[error("{0}")]
    Broken(Box<Broken>),
    /// There is no such provider.
    #[error("the bottles {} name the provider {name}, which there is not{}; known are {}", list(.bottles), near(.nearest), .known.join(", "))]
    UnknownProvider {
        /// Its name.
        name: String,
        /// The bottles that were merged.
        bottles: Vec<BottleName>,
        /// The name of one that is written much like it.
        nearest: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Each bottle is fine, but not all of them together.
    #[error("the bottles {} do not fit together: {problems}", list(.bottles))]
    Conflict {
        /// The bottles that were merged.
        bottles: Vec<BottleName>,
        /// What is wrong with the result.
        problems: Problems,
    },
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

fn arrows(chain: &[BottleName]) -> String {
    chain.iter().map(BottleName::as_str).collect::<Vec<_>>().join(" -> ")
}

fn extended(chain: &[BottleName]) -> String {
    if chain.is_empty() { String::new() } else { format!(", which is extended by {}", arrows(chain)) }
}

fn list(names: &[BottleName]) -> String {
    names.iter().map(BottleName::as_str).collect::<Vec<_>>().join(", ")
}

impl Library {
    /// Resolves an agent and its bottles.
    ///
    /// # Errors
    /// When something is missing or broken, or the bottles do not fit together.
    pub fn resolve(&self, selection: &Selection) -> Result<Resolved, ResolveError> {
        let agent = self.usable_agent(&selection.agent, selection.reach)?;
        let bottles = match (&selection.bottles[..], &agent.file.bottle) {
            ([], None) => return Err(ResolveError::NoBottle { agent: agent.name.clone() }),
            ([], Some(own)) => vec![own.clone()],
            (chosen, _) => chosen.to_vec(),
        };
        let layer = self.merged(&bottles)?;
        Ok(Resolved {
            agent: agent.name.clone(),
            origin: agent.origin.clone(),
            prompt: agent.prompt.clone(),
            skills: agent.file.skills.clone(),
            identity: identity(agent, &layer.user),
            bottle: self.effective(&bottles, layer)?,
            bottles,
            warnings: warnings(agent, &selection.bottles),
        })
    }

    /// What a list of bottles says together.
    ///
    /// # Errors
    /// When one is missing or broken, or they do not fit together.
    pub fn resolve_bottles(&self, bottles: &[BottleName]) -> Result<EffectiveBottle, ResolveError> {
        self.effective(bottles, self.merged(bottles)?)
    }

    fn usable_agent(&self, name: &AgentName, reach: Reach) -> Result<&Agent, ResolveError> {
        match self.agent(name, reach) {
            Some(Ok(agent)) => Ok(agent),
            Some(Err(broken)) => Err(ResolveError::Broken(Box::new(broken.clone()))),
            None => Err(ResolveError::UnknownAgent {
                name: name.clone(),
                place: inert_path(&self.home().agents()),
                nearest: nearest(name.as_str(), self.agents(reach).map(|(name, _)| name.as_str()))
                    .map(str::to_owned),
            }),
        }
    }

    fn merged(&self, bottles: &[BottleName]) -> Result<Layer, ResolveError> {
        if let Some((_, name)) =
            bottles.iter().enumerate().find(|(index, name)| bottles[..*index].contains(name))
        {
            return Err(ResolveError::Repeated { name: name.clone() });
        }
        bottles.iter().try_fold(Layer::default(), |merged, name| Ok(merged.overlaid(self.inherited(name)?)))
    }

    /// A bottle over those that it extends.
    fn inherited(&self, name: &BottleName) -> Result<Layer, ResolveError> {
        let mut chain: Vec<&Bottle> = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next {
            let names = || chain.iter().map(|bottle| bottle.name.clone()).collect::<Vec<_>>();
            if let Some(start) = chain.iter().position(|bottle| bottle.name == *name) {
                let mut circle = names().split_off(start);
                circle.push(name.clone());
                return Err(ResolveError::Cycle { chain: circle });
            }
            let bottle = match self.bottles().get(name) {
                Some(Ok(bottle)) => bottle,
                Some(Err(broken)) => return Err(ResolveError::Broken(Box::new(broken.clone()))),
                None => {
                    let near = nearest(name.as_str(), self.bottles().keys().map(BottleName::as_str));
                    let nearest = near.map(str::to_owned);
                    return Err(ResolveError::UnknownBottle { name: name.clone(), chain: names(), nearest });
                }
            };
            chain.push(bottle);
            next = bottle.file.extends.as_ref();
        }
        Ok(chain
            .into_iter()
            .rev()
            .fold(Layer::default(), |merged, bottle| merged.overlaid(Layer::from(bottle))))
    }
}

impl Library {
    fn effective(&self, bottles: &[BottleName], layer: Layer) -> Result<EffectiveBottle, ResolveError> {
        let conflict = |problems| ResolveError::Conflict { bottles: bottles.to_vec(), problems };
        let supervise = layer.supervise.unwrap_or(true);
        let client =
            layer.provider.as_ref().map(|provider| self.client(bottles, provider, supervise)).transpose()?;
        let mut egress = layer.egress();
        policy::check(&egress).map_err(conflict)?;
        if let Some(client) = &client {
            egress = provider::with_routes(egress, client.routes.clone()).map_err(conflict)?;
            policy::check(&egress).map_err(conflict)?;
        }
        for (_, grant) in &layer.grants {
            egress = policy::grant(&egress, &grant.allow).map_err(conflict)?.policy;
        }
        let repos = layer.repos.unwrap_or_default();
        let mut problems = Problems::default();
        check_forwarding(&layer.env, &egress, &repos, &mut problems);
        if !problems.is_empty() {
            return Err(conflict(problems));
        }
        let policy = policy::check(&egress).map_err(conflict)?;
        let image = layer.image.and_then(|image| image.within(self.home().root()));
        Ok(EffectiveBottle {
            image: image.or_else(|| self.image_of(layer.provider.as_ref()?)),
            env: layer.env,
            provider: layer.provider,
            client,
            repos,
            egress,
            policy,
            grants: layer.grants,
            supervise,
            limits: layer.limits,
        })
    }

    /// The image of one of the operator's own providers.
    fn image_of(&self, provider: &AgentProvider) -> Option<Image> {
        let name = provider.template();
        let file = self.providers().get(name)?.as_ref().ok()?;
        file.image.as_ref()?.within(&provider::directory(self.home()).join(name))
    }

    fn client(
        &self,
        bottles: &[BottleName],
        provider: &AgentProvider,
        supervise: bool,
    ) -> Result<Client, ResolveError> {
        let name = provider.template();
        let own = match self.providers().get(name) {
            Some(Err(broken)) => return Err(ResolveError::Broken(Box::new(broken.clone()))),
            Some(Ok(own)) => Some(own),
            None => None,
        };
        let file = builtin::get(name).or(own).ok_or_else(|| {
            let known: Vec<String> =
                builtin::names().map(str::to_owned).chain(self.providers().keys().cloned()).collect();
            ResolveError::UnknownProvider {
                nearest: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
                name: base::inert(name, 60),
                bottles: bottles.to_vec(),
                known,
            }
        })?;
        let conflict = |problems| ResolveError::Conflict { bottles: bottles.to_vec(), problems };
        Client::of(file, &provider.options(), supervise).map_err(conflict)
    }
}

fn identity(agent: &Agent, bottle: &GitUser) -> GitIdentity {
    let own = agent.file.git_gate.clone().unwrap_or_default().user.unwrap_or_default();
    let claim = |agent: Option<String>, bottle: &Option<String>| match (agent, bottle) {
        (Some(value), _) => Some(Claim { value, origin: Claimant::Agent }),
        (None, Some(value)) => Some(Claim { value: value.clone(), origin: Claimant::Bottle }),
        (None, None) => None,
    };
    GitIdentity { name: claim(own.name, &bottle.name), email: claim(own.email, &bottle.email) }
}

/// A cloned repository wrote the prompt, and unless a person chose bottles, it chose among the operator's own.
fn warnings(agent: &Agent, chosen: &[BottleName]) -> Vec<String> {
    let Origin::Repo { root } = &agent.origin else { return Vec::new() };
    let (name, root) = (&agent.name, inert_path(root));
    let mut warnings = vec![format!(
        "the agent {name} comes from the repository {root}: read its prompt before you start it"
    )];
    if let (Some(bottle), []) = (&agent.file.bottle, chosen) {
        warnings
            .push(format!("the repository chose the bottle {bottle} for it; choose another with --bottle"));
    }
    warnings
}
