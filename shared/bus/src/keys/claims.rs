//! What the keys sign.

use std::time::Duration;

use base::Secret;
use nats_jwt_rs::account::{Account as AccountClaims, JetStreamLimits};
use nats_jwt_rs::operator::Operator;
use nats_jwt_rs::types::{
    Export, ExportType, Import, NO_LIMIT, Permission, Permissions, ScopeType, SigningKey, UserScope,
};
use nats_jwt_rs::user::{User, UserPermissionLimits};
use nats_jwt_rs::{Claim, Claims};
use nkeys::KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Keys, KeysError};
use crate::credentials::Credentials;
use crate::role::{Account, BOTTLE_HEARS, BOTTLE_SAYS, Role};

fn sign<T>(name: &str, claims: &Claims<T>, key: &KeyPair) -> Result<String, KeysError>
where
    T: Claim + DeserializeOwned + Serialize + Clone,
{
    claims.encode(key).map_err(|error| KeysError::Sign { name: name.to_owned(), reason: error.to_string() })
}

pub(super) fn operator(keys: &Keys) -> Result<String, KeysError> {
    let mut claims = Operator::new_claims("bot-bottle".to_owned(), keys.operator.public_key());
    claims.nats.system_account = Some(keys.system.public_key());
    sign("the operator", &claims, &keys.operator)
}

pub(super) fn system(keys: &Keys) -> Result<(String, String), KeysError> {
    let claims = AccountClaims::new_claims("system".to_owned(), keys.system.public_key());
    Ok((keys.system.public_key(), sign("the system account", &claims, &keys.operator)?))
}

/// The account of the host services. It exports to the bottles what they may say and hear, and nothing else.
pub(super) fn host(keys: &Keys) -> Result<(String, String), KeysError> {
    let key = keys.account(Account::Host).public_key();
    let mut claims = AccountClaims::new_claims("host".to_owned(), key.clone());
    let export = |subject: &str, kind: ExportType| Export {
        name: subject.to_owned(),
        subject: subject.to_owned(),
        export_type: Some(kind),
        ..Export::default()
    };
    let said = BOTTLE_SAYS.iter().map(|subject| export(subject, ExportType::Service));
    let heard = BOTTLE_HEARS.iter().map(|subject| export(subject, ExportType::Stream));
    claims.nats.exports = Some(said.chain(heard).collect());
    claims.nats.signing_keys = Some(scopes(keys, Account::Host).collect());
    if let Some(limits) = &mut claims.nats.limits {
        limits.jetstream = Some(JetStreamLimits {
            memory_storage: Some(0),
            disk_storage: Some(NO_LIMIT),
            streams: Some(NO_LIMIT),
            consumer: Some(NO_LIMIT),
            ..JetStreamLimits::default()
        });
    }
    Ok((key, sign("the host account", &claims, &keys.operator)?))
}

/// The account of the bottles: no JetStream, nothing but what the host's account exports.
pub(super) fn bottles(keys: &Keys) -> Result<(String, String), KeysError> {
    let key = keys.account(Account::Bottles).public_key();
    let mut claims = AccountClaims::new_claims("bottles".to_owned(), key.clone());
    let host = keys.account(Account::Host).public_key();
    let import = |subject: &str, kind: ExportType| Import {
        name: subject.to_owned(),
        subject: subject.to_owned(),
        account: host.clone(),
        export_type: Some(kind),
        ..Import::default()
    };
    let said = BOTTLE_SAYS.iter().map(|subject| import(subject, ExportType::Service));
    let heard = BOTTLE_HEARS.iter().map(|subject| import(subject, ExportType::Stream));
    claims.nats.imports = Some(said.chain(heard).collect());
    claims.nats.signing_keys = Some(scopes(keys, Account::Bottles).collect());
    Ok((key, sign("the bottles' account", &claims, &keys.operator)?))
}

/// One signing key per role of the account, each with the role's template.
fn scopes(keys: &Keys, account: Account) -> impl Iterator<Item = SigningKey> {
    Role::ALL.into_iter().filter(move |role| role.account() == account).map(move |role| {
        let template = role.template();
        let permissions = Permissions {
            publish: Permission { allow: template.publish, deny: Vec::new() },
            subscribe: Permission { allow: template.subscribe, deny: Vec::new() },
            resp: None,
        };
        let key = keys.signer(role).public_key();
        let scope = UserScope {
            kind: ScopeType::UserScope,
            key: key.clone(),
            role: Some(role.to_string()),
            template: Some(UserPermissionLimits { permissions, ..UserPermissionLimits::default() }),
            description: None,
        };
        SigningKey { key, scope: Some(scope) }
    })
}

/// A user of one role. Its own permissions and limits stay empty: the server refuses anything else from a scoped key.
pub(super) fn user(
    name: &str,
    account: &str,
    signer: &KeyPair,
    ttl: Option<Duration>,
) -> Result<Credentials, KeysError> {
    let user = KeyPair::new_user();
    let mut claims = User::new_claims(name.to_owned(), user.public_key());
    claims.nats.issuer_account = Some(account.to_owned());
    claims.nats.permissions.limits = None;
    claims.exp = ttl.map(|ttl| {
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        base::clock::Clock::System.now().as_second().saturating_add(seconds)
    });
    let jwt = sign(name, &claims, signer)?;
    let failed = |reason: &dyn std::fmt::Display| KeysError::Sign {
        name: name.to_owned(),
        reason: reason.to_string(),
    };
    let seed = user.seed().map(Secret::new).map_err(|error| failed(&error))?;
    Credentials::new(jwt, seed).map_err(|error| failed(&error))
}
