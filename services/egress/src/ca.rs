//! The bottle's own certificate authority. Its key is made here and never leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use base::clock::Clock;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use policy::Host;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;

/// Days before now from which certificates are valid: the clocks of agent and host may differ.
const SKEW_DAYS: i32 = 2;
/// Days for which the authority is valid; no bottle lives longer.
const AUTHORITY_DAYS: i32 = 365;
/// Days for which a leaf is valid.
const LEAF_DAYS: i32 = 7;
/// After this time a cached leaf is made anew, long before it expires.
const LEAF_AGE: Duration = Duration::from_secs(3 * 24 * 3600);

/// Makes the certificates that the agent sees.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// One key for all leaves: making one takes longer than signing.
    leaf_key: KeyPair,
    provider: Arc<CryptoProvider>,
    clock: Clock,
    limit: usize,
    leaves: Mutex<Leaves>,
}

#[derive(Default)]
struct Leaves {
    by_host: HashMap<Host, Leaf>,
    uses: u64,
}

struct Leaf {
    config: Arc<ServerConfig>,
    made: Timestamp,
    used: u64,
}

impl Authority {
    /// A new authority with a new key, which keeps at most `limit` leaves.
    ///
    /// # Errors
    /// The machine has no randomness, or rcgen cannot write the certificate.
    pub(crate) fn generate(
        provider: Arc<CryptoProvider>,
        clock: Clock,
        limit: usize,
    ) -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making the authority's key")?;
        let mut params = params("bot-bottle CA", AUTHORITY_DAYS, clock.now())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("signing the authority's certificate")?.pem();
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making the leaves' key")?;
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, leaf_key, provider, clock, limit, leaves: Mutex::default() })
    }

    /// The authority's certificate, PEM: what the agent must trust.
    #[must_use]
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The TLS configuration that answers for a host.
    ///
    /// # Errors
    /// rcgen or rustls do not accept the host.
    pub(crate) fn config_for(&self, host: &Host) -> anyhow::Result<Arc<ServerConfig>> {
        let now = self.clock.now();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        leaves.uses += 1;
        let used = leaves.uses;
        if let Some(leaf) = leaves.by_host.get_mut(host)
            && now.duration_since(leaf.made).unsigned_abs() < LEAF_AGE
        {
            leaf.used = used;
            return Ok(Arc::clone(&leaf.config));
        }
        let config =
            Arc::new(self.make(host, now).with_context(|| format!("making a certificate for {host}"))?);
        if leaves.by_host.len() >= self.limit {
            leaves.forget_oldest();
        }
        leaves.by_host.insert(host.clone(), Leaf { config: Arc::clone(&config), made: now, used });
        Ok(config)
    }

    fn make(&self, host: &Host, now: Timestamp) -> anyhow::Result<ServerConfig> {
        let certificate = self.leaf(host, now)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Nothing is resumed: a session would carry one host's identity into a connection to another.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn leaf(&self, host: &Host, now: Timestamp) -> anyhow::Result<CertificateDer<'static>> {
        let mut params = params("bot-bottle", LEAF_DAYS, now)?;
        params.subject_alt_names = vec![match host.address() {
            Some(address) => SanType::IpAddress(address),
            None => SanType::DnsName(host.as_str().try_into()?),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&self.leaf_key, &self.issuer)?.der().clone())
    }
}

impl Leaves {
    fn forget_oldest(&mut self) {
        if let Some(host) =
            self.by_host.iter().min_by_key(|(_, leaf)| leaf.used).map(|(host, _)| host.clone())
        {
            self.by_host.remove(&host);
        }
    }
}

/// What both kinds of certificate have: a name, a serial number, and validity in whole days.
fn params(name: &str, days: i32, now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // RFC 5280, section 4.1.2.2: positive, so without the first bit, and at most 20 bytes.
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let day = |offset: i32| now.to_zoned(TimeZone::UTC).date().checked_add(Span::new().days(offset));
    let (first, last) = (day(-SKEW_DAYS)?, day(days)?);
    params.not_before =
        rcgen::date_time_ymd(first.year().into(), first.month().unsigned_abs(), first.day().unsigned_abs());
    params.not_after =
        rcgen::date_time_ymd(last.year().into(), last.month().unsigned_abs(), last.day().unsigned_abs());
    Ok(params)
}

/// Whether a name in a ClientHello is this host. A client sends none for an address (RFC 6066, section 3).
pub(crate) fn names(server_name: Option<&str>, host: &Host) -> bool {
    match server_name {
        Some(name) => Host::parse(name).is_ok_and(|name| name == *host),
        None => host.address().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_number_of_hosts_the_last_ones_are_kept() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authority = Authority::generate(provider, Clock::System, 16).unwrap();
        let host = |number: usize| Host::parse(&format!("host-{number}.example.com")).unwrap();
        let first = authority.config_for(&host(0)).unwrap();
        for number in 1..1_000 {
            authority.config_for(&host(number)).unwrap();
            // One that is asked for again and again stays.
            assert!(Arc::ptr_eq(&authority.config_for(&host(0)).unwrap(), &first));
            assert!(authority.leaves.lock().unwrap().by_host.len() <= 16);
        }
    }
}
