//! Step 3: every sidecar with what it needs, all of them at the same time.

use std::collections::BTreeMap;
use std::error::Error;

use base::Secret;
use bus::Credentials;
use bus::message::run::FailureKind;
use handover::gitgate::GateRepo;

use super::{Launch, RULES, SLACK};
use crate::canary::Canary;
use crate::egress::Duties;
use crate::plan::Plan;
use crate::sidecar::Started;
use crate::sidecars::{Sidecars, Wanted};
use crate::step::{LaunchError, Step};
use crate::token::Needed;
use crate::{door, egress, gitgate, token};

impl Launch<'_> {
    pub(super) async fn sidecars(
        &self,
        plan: &Plan,
        revision: u64,
        canary: &Canary,
    ) -> Result<Sidecars, LaunchError> {
        let (needed, repos) = self.secrets(plan).await?;
        let rules = token::read_rules(&self.world.config.home.join(RULES)).await;
        let rules = rules.map_err(|reason| failed(FailureKind::Manifest, reason))?;
        let wanted = Wanted::of(&plan.resolved.bottle);
        let duties = Duties {
            bottle: plan.bottle.clone(),
            credentials: self.identity(plan)?,
            revision,
            policy: plan.resolved.bottle.egress.clone(),
            needed,
            canary: canary.value.clone(),
            has_door: wanted.door,
            rules: rules.clone(),
            trace: self.trace,
        };
        let of_the_gate = gitgate::Duties {
            bottle: plan.bottle.clone(),
            credentials: self.identity(plan)?,
            revision,
            repos,
            canary: canary.value.clone(),
            rules,
            supervise: wanted.door,
            trace: self.trace,
        };
        // What is left of one whose fellow has failed is ended with the rest of the launch.
        let (egress, door, gitgate) = tokio::join!(
            egress::start(&**self.backend(plan)?, &self.world.config, duties),
            self.door(plan, wanted),
            self.gitgate(plan, wanted, of_the_gate)
        );
        let (egress, certificate) = egress.map_err(|error| because("starting the egress sidecar", &error))?;
        Ok(Sidecars { egress, certificate, door: door?, gitgate: gitgate? })
    }

    async fn door(&self, plan: &Plan, wanted: Wanted) -> Result<Option<Started>, LaunchError> {
        if !wanted.door {
            return Ok(None);
        }
        let (backend, config) = (&**self.backend(plan)?, &self.world.config);
        let door = door::start(backend, config, plan.bottle.clone(), &self.identity(plan)?, self.trace).await;
        door.map(Some).map_err(|error| because("starting the door", &error))
    }

    async fn gitgate(
        &self,
        plan: &Plan,
        wanted: Wanted,
        mut duties: gitgate::Duties,
    ) -> Result<Option<Started>, LaunchError> {
        if !wanted.gitgate {
            return Ok(None);
        }
        let (backend, config) = (&**self.backend(plan)?, &self.world.config);
        let repos = &plan.resolved.bottle.repos;
        let registered = gitgate::Leases::of(repos).register((backend, config, &plan.bottle), repos).await;
        duties.repos.extend(registered.map_err(|reason| failed(FailureKind::Secret, reason))?);
        let gate = gitgate::start(backend, config, duties).await;
        gate.map(Some).map_err(|error| because("starting the git gate", &error))
    }

    /// Reads every token and key that the bottle names, and makes sure that the agent's own variables hold none of them.
    async fn secrets(&self, plan: &Plan) -> Result<(Needed, BTreeMap<String, GateRepo>), LaunchError> {
        let (bottle, host) = (&plan.resolved.bottle, &self.world.config.environment);
        let secret = |error: token::TokenError| failed(FailureKind::Secret, error.to_string());
        let needed = token::read_all(&bottle.egress, host).await.map_err(secret)?;
        let repos = gitgate::read_all(&bottle.repos, host).await.map_err(secret)?;
        let held = |value: &str| {
            // An empty file is no key, which its sidecar says; every value would hold it.
            let holds = |secret: &Secret| {
                let text = secret.expose().trim_end();
                !text.is_empty() && value.contains(text)
            };
            needed.secrets.values().any(holds) || gitgate::secrets(&repos).any(holds)
        };
        if let Some((name, _)) = plan.env.iter().find(|(_, value)| held(value)) {
            let reason = format!(
                "env {name}: its value holds a token or key of this bottle's routes or repositories, which the agent \
                 must never see; remove it"
            );
            return Err(failed(FailureKind::Secret, reason));
        }
        Ok((needed, repos))
    }

    /// One more identity on the bus for a sidecar of this bottle.
    fn identity(&self, plan: &Plan) -> Result<Credentials, LaunchError> {
        let identity = self.world.minter.mint(&plan.bottle, plan.wall.saturating_add(SLACK));
        let doing = "making the bottle's bus identity";
        identity.map_err(|e| LaunchError::caused(Step::Sidecars, FailureKind::Internal, doing, &e))
    }
}

fn failed(kind: FailureKind, reason: String) -> LaunchError {
    LaunchError::new(Step::Sidecars, kind, reason)
}

fn because(doing: &str, error: &dyn Error) -> LaunchError {
    LaunchError::caused(Step::Sidecars, FailureKind::Sidecar, doing, error)
}
