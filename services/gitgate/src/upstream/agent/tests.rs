use super::*;
use base::Secret;
use rsa::signature::Verifier as _;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey, Signature};

fn key(key: &PrivateKey) -> Key {
    Key::read(&Secret::new(key.to_openssh(LineEnding::LF).unwrap().to_string())).unwrap()
}

fn ask(data: &[u8], public: &[u8], flags: u32) -> Vec<u8> {
    let mut request = vec![SIGN_REQUEST];
    put(&mut request, public).unwrap();
    put(&mut request, data).unwrap();
    request.extend_from_slice(&flags.to_be_bytes());
    request
}

#[test]
fn it_tells_its_key_and_signs_with_it() {
    for kind in [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }] {
        let private = PrivateKey::random(&mut OsRng, kind).unwrap();
        let (key, public) = (key(&private), private.public_key().to_bytes().unwrap());
        let told = answer(&[REQUEST_IDENTITIES], &key).unwrap();
        assert_eq!(string(&mut &told[5..]), Some(public.as_slice()));
        let signed = answer(&ask(b"data", &public, 0), &key).unwrap();
        let signature = string(&mut &signed[1..]).unwrap();
        let signature = Signature::try_from(signature).unwrap();
        private.public_key().key_data().verify(b"data", &signature).unwrap();
    }
}

#[test]
fn it_does_nothing_else() {
    let private = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::random(&mut OsRng)), "").unwrap();
    let key = key(&private);
    let public = private.public_key().to_bytes().unwrap();
    let other = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap().public_key().to_bytes().unwrap();
    let mut cut = ask(b"data", &public, 0);
    cut.pop();
    // Add, remove, remove all, lock, extension; another's key; half a request; nothing.
    let requests: Vec<Vec<u8>> =
        vec![vec![17], vec![18], vec![19], vec![22], vec![27], ask(b"data", &other, 0), cut, Vec::new()];
    for request in requests {
        assert_eq!(answer(&request, &key), None, "{request:?}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_its_cure() {
    let no = |text: &str| format!("{:#}", Key::read(&Secret::new(text.to_owned())).err().unwrap());
    let begin = ["-----BEGIN ", "RSA PRIVATE KEY-----"].concat();
    assert!(no(&begin).contains("ssh-keygen -p"), "{}", no(&begin));
}
