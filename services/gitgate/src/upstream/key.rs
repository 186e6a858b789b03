//! A private SSH key, and signatures with it.

use anyhow::{Context as _, bail};
use base::Secret;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::sha2::{Sha256, Sha512};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use ssh_key::private::KeypairData;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, PrivateKey, Signature};

/// What an asker says of a signature with an RSA key (draft-ietf-sshm-ssh-agent).
const SHA256: u32 = 2;
const SHA512: u32 = 4;
/// The smallest RSA key that OpenSSH takes.
const LEAST_RSA_BITS: usize = 2048;

/// See the module. It wipes itself when it is dropped.
pub(super) struct Key {
    key: PrivateKey,
    rsa: Option<RsaPrivateKey>,
}

impl Key {
    /// Reads a key as OpenSSH writes it.
    ///
    /// # Errors
    /// It is another form, has a passphrase, or is of a kind that nothing here signs with.
    pub(super) fn read(text: &Secret) -> anyhow::Result<Self> {
        const CURE: &str = "`ssh-keygen -p -f FILE` rewrites a key without a passphrase in OpenSSH's form";
        let key = PrivateKey::from_openssh(text.expose())
            .with_context(|| format!("it is no private key as OpenSSH writes it; {CURE}"))?;
        if key.is_encrypted() {
            bail!(
                "it has a passphrase, and nobody is there to type it; {CURE}, or make a key for the gate alone"
            );
        }
        let rsa = match key.key_data() {
            KeypairData::Rsa(_) => Some(rsa_key(&key)?),
            KeypairData::Ed25519(_) => None,
            KeypairData::Ecdsa(_) => None,
            _ => bail!("keys of the kind {} are not signed with here; make an ed25519 key", key.algorithm()),
        };
        Ok(Self { key, rsa })
    }

    /// The public half, as the protocol writes it.
    pub(super) fn public(&self) -> ssh_key::Result<Vec<u8>> {
        self.key.public_key().to_bytes()
    }

    /// Signs. An RSA key is never asked for a signature over SHA-1.
    pub(super) fn sign(&self, data: &[u8], flags: u32) -> anyhow::Result<Signature> {
        let Some(rsa) = &self.rsa else {
            return self.key.try_sign(data).map_err(|_| anyhow::anyhow!("the key cannot sign"));
        };
        let (hash, signed) = if flags & SHA512 != 0 {
            let signed = SigningKey::<Sha512>::new(rsa.clone()).sign_with_rng(&mut OsRng, data);
            (HashAlg::Sha512, signed.to_vec())
        } else if flags & SHA256 != 0 {
            let signed = SigningKey::<Sha256>::new(rsa.clone()).sign_with_rng(&mut OsRng, data);
            (HashAlg::Sha256, signed.to_vec())
        } else {
            bail!("the server wants a signature over SHA-1");
        };
        Ok(Signature::new(Algorithm::Rsa { hash: Some(hash) }, signed)?)
    }
}

/// The key for the crate that signs.
fn rsa_key(key: &PrivateKey) -> anyhow::Result<RsaPrivateKey> {
    let KeypairData::Rsa(pair) = key.key_data() else { bail!("it is no RSA key") };
    let number = |number: &ssh_key::Mpint| {
        let bytes = number.as_positive_bytes().context("a number of the RSA key is negative")?;
        anyhow::Ok(rsa::BigUint::from_bytes_be(bytes))
    };
    let (public, private) = (&pair.public, &pair.private);
    let primes = vec![number(&private.p)?, number(&private.q)?];
    let (modulus, exponent) = (number(&public.n)?, number(&public.e)?);
    if modulus.bits() < LEAST_RSA_BITS {
        bail!("the RSA key has {} bits; servers want at least {LEAST_RSA_BITS}", modulus.bits());
    }
    let key = RsaPrivateKey::from_components(modulus, exponent, number(&private.d)?, primes);
    key.context("the numbers of the RSA key do not fit together")
}
