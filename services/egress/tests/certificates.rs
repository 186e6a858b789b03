//! What the bottle's authority makes, as others see it.

use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;

use crate::agent;
use crate::origin::{HOST, Origin, Speaks};
use crate::proxy::Proxy;

async fn leaf(proxy: &Proxy, host: &str) -> CertificateDer<'static> {
    let authority = if host.contains(':') { format!("[{host}]:443") } else { format!("{host}:443") };
    let stream = agent::tunnel(proxy, &authority).await;
    let stream = agent::tls(proxy, stream, host, "http/1.1").await;
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    assert_eq!(certificates.len(), 1);
    certificates[0].clone().into_owned()
}

/// openssl's strictest check: what Python 3.13 and Go ask for as well.
fn verify(proxy: &Proxy, leaf: &CertificateDer<'_>, name: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (ca, der) = (directory.path().join("ca.pem"), directory.path().join("leaf.der"));
    std::fs::write(&ca, &proxy.certificate).unwrap();
    std::fs::write(&der, leaf).unwrap();
    let checked = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-check_ss_sig", "-CAfile"])
        .arg(&ca)
        .args(name)
        .arg(&der)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr))
}

#[tokio::test]
async fn leaves_pass_the_strictest_check() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    for (host, name) in [
        (HOST, ["-verify_hostname", HOST]),
        ("192.0.2.1", ["-verify_ip", "192.0.2.1"]),
        ("2001:db8::1", ["-verify_ip", "2001:db8::1"]),
    ] {
        let shown = verify(&proxy, &leaf(&proxy, host).await, &name);
        assert!(shown.contains("leaf.der: OK"), "{host}: {shown}");
    }
    let shown = verify(&proxy, &leaf(&proxy, HOST).await, &["-verify_hostname", "other.example.com"]);
    assert!(!shown.contains("OK"), "{shown}");
}

#[tokio::test]
async fn a_leaf_is_made_once() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = Proxy::to(&origin).await;
    let first = leaf(&proxy, HOST).await;
    assert_eq!(leaf(&proxy, HOST).await, first);
    let other = Proxy::to(&origin).await;
    assert_ne!(other.certificate, proxy.certificate);
}
