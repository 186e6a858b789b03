//! A secret of no use, under a name that is worth stealing, in the agent's environment (E11): wherever it turns up on its
//! way out, somebody collects secrets.

use std::collections::BTreeMap;

use base::Secret;
use rand::Rng as _;
use rand::distr::Alphanumeric;

/// Names that programs give to secrets.
const NAMES: [&str; 8] = [
    "ADMIN_API_TOKEN",
    "BACKUP_ACCESS_KEY",
    "BILLING_API_KEY",
    "DATABASE_PASSWORD",
    "DEPLOY_TOKEN",
    "INTERNAL_SERVICE_KEY",
    "SIGNING_SECRET",
    "STAGING_SECRET_KEY",
];
/// Letters and digits of the value: 238 bits.
const LENGTH: usize = 40;

/// One bottle's canary.
#[derive(Clone)]
pub(crate) struct Canary {
    pub(crate) name: &'static str,
    pub(crate) value: Secret,
}

impl Canary {
    /// A new one, under a name that the operator's files do not use.
    pub(crate) fn random(taken: &BTreeMap<String, String>) -> Self {
        let mut rng = rand::rng();
        let free: Vec<&str> = NAMES.into_iter().filter(|name| !taken.contains_key(*name)).collect();
        let name =
            if free.is_empty() { "SERVICE_ACCOUNT_KEY" } else { free[rng.random_range(0..free.len())] };
        let value = rng.sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect();
        Self { name, value: Secret::new(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_name_is_free_and_its_value_new() {
        let taken: BTreeMap<_, _> =
            NAMES[1..].iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let [first, second] = [Canary::random(&taken), Canary::random(&taken)];
        assert_eq!(first.name, NAMES[0]);
        assert_eq!(first.value.expose().len(), LENGTH);
        assert!(first.value.expose() != second.value.expose());
    }
}
