//! Who one is on the bus.

use base::Secret;
use nats_jwt_rs::Claims;
use nats_jwt_rs::user::User;

/// A user's JWT and the seed of the key that it was made out to.
#[derive(Clone)]
pub struct Credentials {
    name: String,
    jwt: String,
    seed: Secret,
}

/// A text that holds no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not NATS credentials: a user JWT and a user key's seed are needed, each between its BEGIN and END lines"
)]
pub struct InvalidCredentials;

const JWT: &str = "NATS USER JWT";
const SEED: &str = "USER NKEY SEED";

impl Credentials {
    /// Credentials from their two parts. The name is the one that the JWT was made out to.
    ///
    /// # Errors
    /// The JWT or the seed is none.
    pub fn new(jwt: String, seed: Secret) -> Result<Self, InvalidCredentials> {
        let claims = Claims::<User>::decode(&jwt).map_err(|_| InvalidCredentials)?;
        let key = nkeys::KeyPair::from_seed(seed.expose()).map_err(|_| InvalidCredentials)?;
        let name = claims.name.filter(|name| is_token(name)).ok_or(InvalidCredentials)?;
        if key.public_key() != claims.sub {
            return Err(InvalidCredentials);
        }
        Ok(Self { name, jwt, seed })
    }

    /// Reads a credentials file in the form that the NATS tools use.
    ///
    /// # Errors
    /// One of the two parts is missing or malformed.
    pub fn parse(file: &Secret) -> Result<Self, InvalidCredentials> {
        let jwt = section(file.expose(), JWT).ok_or(InvalidCredentials)?;
        let seed = section(file.expose(), SEED).ok_or(InvalidCredentials)?;
        Self::new(jwt.to_owned(), Secret::new(seed.to_owned()))
    }

    /// Reads a credentials file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no credentials; the error names the file and the cure.
    pub fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            anyhow::anyhow!(error).context(format!("cannot read the bus credentials {}", path.display()))
        })?;
        Self::parse(&Secret::new(text))
            .map_err(|error| anyhow::anyhow!(error).context(format!("in {}", path.display())))
    }

    /// The credentials as a file in the form that the NATS tools use.
    #[must_use]
    pub fn to_file(&self) -> Secret {
        let (jwt, seed) = (&self.jwt, self.seed.expose());
        Secret::new(format!(
            "-----BEGIN {JWT}-----\n{jwt}\n------END {JWT}------\n\n-----BEGIN {SEED}-----\n{seed}\n------END {SEED}------\n"
        ))
    }

    /// The user's name: a role's, or a bottle's slug.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JWT. It is no secret: without the seed nobody can use it.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
    }

    /// The seed of the user's key.
    #[must_use]
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// Under which subjects this user receives answers; nobody else may subscribe there.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("{INBOX}{}", self.name)
    }
}

/// How every inbox begins.
pub(crate) const INBOX: &str = "_INBOX.";

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn section<'a>(file: &'a str, title: &str) -> Option<&'a str> {
    let mut lines = file.lines().map(str::trim);
    lines.find(|line| line.starts_with("-----BEGIN") && line.contains(title))?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with('-'))
}
