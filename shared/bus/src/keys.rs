//! Identities: NATS decentralised JWTs with one scoped signing key per role.
//!
//! Under `<home>/bus/keys/`, each file mode 0600:
//!
//! | file | key |
//! |---|---|
//! | `operator.nk` | signs the accounts |
//! | `system.nk`, `host.nk`, `bottles.nk` | the three accounts |
//! | `role-<role>.nk` | signs users of one role; what they may do is in the account, not in the user |

mod claims;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Secret;
use base::id::Slug;
use nkeys::{KeyPair, KeyPairType};

use crate::credentials::Credentials;
use crate::files;
use crate::role::{Account, Role};

/// Why there are no identities.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot use the bus key {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There are none yet.
    #[error("the bus keys are not there ({} is missing): run `bot-bottle init`", path.display())]
    Missing {
        /// The first file that is missing.
        path: PathBuf,
    },
    /// A file holds no key of the right kind.
    #[error("{} holds no key of the kind it should: restore it, or move bus/keys away and run `bot-bottle init`", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
    },
    /// The identity could not be signed.
    #[error("cannot sign an identity for {name}: {reason}")]
    Sign {
        /// For whom.
        name: String,
        /// Why.
        reason: String,
    },
}

/// All keys of one bus.
pub struct Keys {
    pub(crate) operator: KeyPair,
    pub(crate) system: KeyPair,
    accounts: BTreeMap<Account, KeyPair>,
    signers: BTreeMap<Role, KeyPair>,
}

/// The one key that a launcher has: it makes identities of bottles and of nothing else.
pub struct BottleMinter {
    account: String,
    signer: KeyPair,
}

/// Where the bus keeps its files under a home.
pub(crate) fn bus_dir(home: &Path) -> PathBuf {
    home.join("bus")
}

fn keys_dir(home: &Path) -> PathBuf {
    bus_dir(home).join("keys")
}

impl Keys {
    /// Makes the keys that are not there yet, writes their public side ([`Keys::write_accounts`]), and loads all. Doing it twice, or twice at once, changes nothing.
    ///
    /// # Errors
    /// [`KeysError::File`], [`KeysError::Invalid`].
    pub fn init(home: &Path) -> Result<Self, KeysError> {
        let dir = keys_dir(home);
        for dir in [bus_dir(home), dir.clone()] {
            files::private_dir(&dir).map_err(|source| KeysError::File { path: dir.clone(), source })?;
        }
        for (name, kind) in names() {
            let path = dir.join(format!("{name}.nk"));
            if !path.exists() {
                create(&path, &KeyPair::new(kind))?;
            }
        }
        let keys = Self::load(home)?;
        keys.write_accounts(home)?;
        Ok(keys)
    }

    /// Loads the keys.
    ///
    /// # Errors
    /// [`KeysError::Missing`], [`KeysError::File`], [`KeysError::Invalid`].
    pub fn load(home: &Path) -> Result<Self, KeysError> {
        let dir = keys_dir(home);
        let account = |name: &str| load(&dir, name, &KeyPairType::Account);
        let accounts = [(Account::Host, account("host")?), (Account::Bottles, account("bottles")?)];
        let mut signers = BTreeMap::new();
        for role in Role::ALL {
            signers.insert(role, account(&file_name(role))?);
        }
        Ok(Self {
            operator: load(&dir, "operator", &KeyPairType::Operator)?,
            system: account("system")?,
            accounts: accounts.into(),
            signers,
        })
    }

    /// Makes an identity of a role, valid for `ttl` or, without one, for as long as the keys are.
    ///
    /// # Errors
    /// [`KeysError::Sign`]; also for [`Role::Bottle`], whose identities need a slug.
    pub fn mint(&self, role: Role, ttl: Option<Duration>) -> Result<Credentials, KeysError> {
        if role == Role::Bottle {
            let reason = "a bottle's identity is made with mint_bottle".to_owned();
            return Err(KeysError::Sign { name: role.to_string(), reason });
        }
        claims::user(role.as_str(), &self.account(role.account()).public_key(), self.signer(role), ttl)
    }

    /// Makes an identity for the sidecars of one bottle, valid for `ttl` (at least a second).
    ///
    /// # Errors
    /// [`KeysError::Sign`].
    pub fn mint_bottle(&self, bottle: &Slug, ttl: Duration) -> Result<Credentials, KeysError> {
        let account = self.account(Account::Bottles).public_key();
        claims::user(bottle.as_str(), &account, self.signer(Role::Bottle), Some(ttl))
    }

    /// Writes `<home>/bus/accounts.conf`: the operator and the accounts as a part of a server's configuration. It holds
    /// no secret: claims are signed, not encrypted.
    ///
    /// # Errors
    /// [`KeysError::Sign`], [`KeysError::File`].
    pub fn write_accounts(&self, home: &Path) -> Result<(), KeysError> {
        let accounts = [claims::system(self)?, claims::host(self)?, claims::bottles(self)?];
        let preload: String = accounts.iter().map(|(key, jwt)| format!("  {key}: {jwt}\n")).collect();
        let text = format!(
            "# Written by bot-bottle; changes are lost.\noperator: {}\nsystem_account: {}\nresolver: MEMORY\n\
             resolver_preload: {{\n{preload}}}\n",
            claims::operator(self)?,
            self.system.public_key(),
        );
        let path = bus_dir(home).join("accounts.conf");
        files::write_private(&path, text.as_bytes()).map_err(|source| KeysError::File { path, source })
    }

    pub(crate) fn account(&self, account: Account) -> &KeyPair {
        // Both are put there by `load`, the one constructor.
        &self.accounts[&account]
    }

    pub(crate) fn signer(&self, role: Role) -> &KeyPair {
        &self.signers[&role]
    }
}

impl BottleMinter {
    /// Loads the key that signs bottles, and nothing else.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub fn load(home: &Path) -> Result<Self, KeysError> {
        let dir = keys_dir(home);
        let account = load(&dir, "bottles", &KeyPairType::Account)?.public_key();
        Ok(Self { account, signer: load(&dir, &file_name(Role::Bottle), &KeyPairType::Account)? })
    }

    /// Makes an identity for the sidecars of one bottle, valid for `ttl` (at least a second).
    ///
    /// # Errors
    /// [`KeysError::Sign`].
    pub fn mint(&self, bottle: &Slug, ttl: Duration) -> Result<Credentials, KeysError> {
        claims::user(bottle.as_str(), &self.account, &self.signer, Some(ttl))
    }
}

fn file_name(role: Role) -> String {
    format!("role-{role}")
}

fn names() -> impl Iterator<Item = (String, KeyPairType)> {
    [("operator".to_owned(), KeyPairType::Operator)]
        .into_iter()
        .chain(["system", "host", "bottles"].map(|name| (name.to_owned(), KeyPairType::Account)))
        .chain(Role::ALL.map(|role| (file_name(role), KeyPairType::Account)))
}

fn create(path: &Path, key: &KeyPair) -> Result<(), KeysError> {
    let seed = key.seed().map(Secret::new).map_err(|_| KeysError::Invalid { path: path.to_owned() })?;
    // Another init may have been faster; its key is as good.
    files::create_private(path, seed.expose().as_bytes())
        .map(drop)
        .map_err(|source| KeysError::File { path: path.to_owned(), source })
}

fn load(dir: &Path, name: &str, kind: &KeyPairType) -> Result<KeyPair, KeysError> {
    let path = dir.join(format!("{name}.nk"));
    let seed = match files::read_private(&path) {
        Ok(seed) => seed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeysError::Missing { path }),
        Err(source) => return Err(KeysError::File { path, source }),
    };
    match KeyPair::from_seed(seed.expose().trim()) {
        Ok(key) if key.key_pair_type() == *kind => Ok(key),
        _ => Err(KeysError::Invalid { path }),
    }
}
