//! The policy that runs, with what it needs at hand; and its change while connections live on (E13).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use base::Secret;
use base::lifecycle::Lifecycle;
use http::HeaderName;
use policy::{CheckedPolicy, CheckedRoute, EgressPolicy, HostPattern};
use rustls::crypto::CryptoProvider;

use crate::dial::Link;
use crate::incoming::Watch;
use crate::inject::Credential;
use crate::inspect::Scanning;
use crate::journal::Level;
use crate::pool::Upstream;
use crate::trust::Trust;

/// One revision, ready to decide and to dial. A request keeps the one that it began with.
pub(crate) struct Running {
    /// Its number.
    pub(crate) revision: u64,
    /// What is logged of requests.
    pub(crate) log: Level,
    /// What decides.
    pub(crate) policy: CheckedPolicy,
    /// For each route, in order.
    routes: Vec<Equipped>,
}

/// A route's connections and its credential.
pub(crate) struct Equipped {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) credential: Option<Credential>,
    /// The headers whose value the route decides about or brings.
    pub(crate) guarded: Arc<[HeaderName]>,
    pub(crate) scanning: Scanning,
    pub(crate) watch: Watch,
    host: HostPattern,
}

/// What a decision was made under, as far as its record is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Under {
    pub(crate) revision: u64,
    pub(crate) log: Level,
}

impl Running {
    pub(crate) fn under(&self) -> Under {
        Under { revision: self.revision, log: self.log }
    }

    /// What a route of this policy has.
    pub(crate) fn equipped(&self, route: &CheckedRoute) -> Option<&Equipped> {
        self.routes.get(route.index())
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.routes.iter().map(|route| &route.upstream)
    }
}

/// Why a revision is not run. The text never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPolicy {
    /// It breaks the rules of the schema.
    #[error("the policy is not valid: {0}")]
    Problems(#[from] policy::Problems),
    /// The launcher resolved no such token; a policy can name only tokens that the bottle was started with.
    #[error("routes[{index}].auth: the token {token_ref} was not handed over when the bottle was started")]
    UnknownToken {
        /// The route, counted from 0.
        index: usize,
        /// The reference, as written.
        token_ref: String,
    },
    /// A token that fits in no header.
    #[error("routes[{index}].auth: {source}")]
    UnusableToken {
        /// The route, counted from 0.
        index: usize,
        /// Why.
        source: crate::inject::UnusableToken,
    },
    /// The launcher handed over no such file, or it holds no certificates.
    #[error("routes[{index}].tls.ca: {reason}")]
    Authorities {
        /// The route, counted from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// Revisions only grow.
    #[error("revision {offered} is not newer than revision {running}, which runs")]
    Old {
        /// The one that was offered.
        offered: u64,
        /// The one that runs.
        running: u64,
    },
}

/// What the launcher handed over for good; policies refer to it by name.
pub(crate) struct Chest {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) authorities: BTreeMap<String, String>,
    /// PEM, trusted on every route.
    pub(crate) extra_authorities: Option<Arc<str>>,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) header_bytes: usize,
    pub(crate) life: Lifecycle,
}

/// The policy that runs, and the only place where it changes.
pub(crate) struct Live {
    chest: Chest,
    current: RwLock<Arc<Running>>,
}

impl Live {
    /// Runs a first revision.
    ///
    /// # Errors
    /// It is not valid.
    pub(crate) fn new(chest: Chest, revision: u64, policy: &EgressPolicy) -> Result<Self, InvalidPolicy> {
        let running = chest.equip(revision, policy, None)?;
        Ok(Self { chest, current: RwLock::new(Arc::new(running)) })
    }

    /// The revision that runs at this moment.
    pub(crate) fn current(&self) -> Arc<Running> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs another revision from the next request on; connections live on. The one that runs now may be offered
    /// again.
    ///
    /// # Errors
    /// It is not valid, or older. The old revision goes on.
    pub(crate) fn offer(&self, revision: u64, policy: &EgressPolicy) -> Result<(), InvalidPolicy> {
        let old = self.current();
        if revision == old.revision && policy == old.policy.source() {
            return Ok(());
        }
        if revision <= old.revision {
            return Err(InvalidPolicy::Old { offered: revision, running: old.revision });
        }
        let new = self.chest.equip(revision, policy, Some(&old))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }
}

impl Chest {
    fn equip(
        &self,
        revision: u64,
        policy: &EgressPolicy,
        old: Option<&Running>,
    ) -> Result<Running, InvalidPolicy> {
        let checked = policy::check(policy)?;
        let mut routes = Vec::with_capacity(checked.routes().len());
        for route in checked.routes() {
            let link = Link::new(route, self.trust(route)?);
            let credential = self.credential(route)?;
            let kept = old.and_then(|old| {
                old.routes.iter().find(|old| old.host == *route.host() && *old.upstream.link() == link)
            });
            let upstream = match kept {
                Some(kept) => Arc::clone(&kept.upstream),
                None => Arc::new(Upstream::new(link, self.header_bytes, self.life.clone())),
            };
            let guarded = route.guarded_headers().cloned().collect();
            let dlp = route.source().dlp.as_ref();
            let (scanning, watch) = (Scanning::new(dlp), Watch::new(dlp, credential.is_some()));
            routes.push(Equipped {
                upstream,
                credential,
                guarded,
                scanning,
                watch,
                host: route.host().clone(),
            });
        }
        Ok(Running { revision, log: checked.log().into(), policy: checked, routes })
    }

    fn trust(&self, route: &CheckedRoute) -> Result<Option<(Arc<str>, Trust)>, InvalidPolicy> {
        let Some(file) = route.authorities() else { return Ok(None) };
        let failed = |reason: String| InvalidPolicy::Authorities { index: route.index(), reason };
        let pem = self.authorities.get(file);
        let pem =
            pem.ok_or_else(|| failed(format!("{file} was not handed over when the bottle was started")))?;
        Trust::of_pem(pem, &self.provider).map_err(|error| failed(format!("{file}: {error:#}")))?;
        let all = format!("{pem}\n{}", self.extra_authorities.as_deref().unwrap_or_default());
        let trust = Trust::of_pem(&all, &self.provider).map_err(|error| failed(format!("{error:#}")))?;
        Ok(Some((pem.as_str().into(), trust)))
    }

    fn credential(&self, route: &CheckedRoute) -> Result<Option<Credential>, InvalidPolicy> {
        let index = route.index();
        let Some(auth) = route.auth() else { return Ok(None) };
        let unknown = || InvalidPolicy::UnknownToken { index, token_ref: auth.token_ref.clone() };
        let token = self.secrets.get(&auth.token_ref).ok_or_else(unknown)?;
        Credential::new(auth, token)
            .map(Some)
            .map_err(|source| InvalidPolicy::UnusableToken { index, source })
    }
}
