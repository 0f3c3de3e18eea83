//! What files may hold, and what happens when they change. Keys are made as a test needs them.

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::symm::Cipher;
use openssl::x509::X509NameBuilder;

use super::*;

/// A directory with files of `[http]`.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// What a certificate and a key come to.
    fn identity(&self, cert: &[u8], key: &[u8]) -> Config {
        let identity = IdentityFiles { cert: self.write("cert.pem", cert), key: self.write("key.pem", key) };
        Config { identity: Some(identity), ..Config::default() }
    }
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate_of(key: &PKey<Private>) -> Vec<u8> {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "test").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build().to_pem().unwrap()
}

fn refused(config: &Config) -> String {
    chain(&config.check().unwrap_err())
}

#[test]
fn a_key_in_any_form_is_taken_and_the_expiry_is_told() {
    let (files, key) = (Files::new(), key());
    let cert = certificate_of(&key);
    for form in [key.private_key_to_pem_pkcs8().unwrap(), key.ec_key().unwrap().private_key_to_pem().unwrap()]
    {
        let expires = files.identity(&cert, &form).check().unwrap().unwrap();
        let days = (expires - now()) / 86_400;
        assert!((8..=9).contains(&days), "{days}");
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[test]
fn what_is_wrong_with_a_file_is_said_by_its_key_and_path() {
    let (files, one, other) = (Files::new(), key(), key());
    let cert = certificate_of(&one);
    let plain = one.private_key_to_pem_pkcs8().unwrap();
    let protected = one.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"hunter2").unwrap();
    let foreign = other.private_key_to_pem_pkcs8().unwrap();
    for (cert, key, expected) in [
        (&cert, &foreign, "does not belong to the certificate in"),
        (&cert, &protected, "http.client_key: "),
        (&cert, &cert, "holds no private key in PEM form"),
        (&plain, &plain, "http.client_cert: "),
    ] {
        let error = refused(&files.identity(cert, key));
        assert!(error.contains(expected) && error.contains(files.0.path().to_str().unwrap()), "{error}");
    }
    let ca = |path: PathBuf| Config { ca: Some(path), ..Config::default() };
    let absent = refused(&ca(files.0.path().join("none.pem")));
    assert!(absent.starts_with("http.ca: cannot read ") && absent.contains("No such file"), "{absent}");
    assert!(refused(&ca(files.write("ca.pem", b"no PEM"))).contains("holds no certificate in PEM form"));
    let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(&ca(files.write("ca.pem", damaged))).contains("or a damaged one"));
    ca(files.write("ca.pem", &[cert.clone(), cert].concat())).check().unwrap();
}

#[test]
fn what_has_changed_is_taken_up_and_what_cannot_be_used_is_not() {
    let (files, old, new) = (Files::new(), key(), key());
    let (old_cert, new_cert) = (certificate_of(&old), certificate_of(&new));
    let config = files.identity(&old_cert, &old.private_key_to_pem_pkcs8().unwrap());
    let client = Client::new(config, |builder| builder);
    let held = |client: &Client| client.held.lock().unwrap().as_ref().unwrap().0.identity.clone().unwrap().0;
    client.get().unwrap();
    // The certificate comes before its key.
    files.write("cert.pem", &new_cert);
    client.get().unwrap();
    assert_eq!(held(&client), old_cert);
    files.write("key.pem", &new.private_key_to_pem_pkcs8().unwrap());
    client.get().unwrap();
    assert_eq!(held(&client), new_cert);
    std::fs::remove_file(files.0.path().join("key.pem")).unwrap();
    client.get().unwrap();
    assert_eq!(held(&client), new_cert);
    assert!(!format!("{client:?}").contains("BEGIN"));
}

#[test]
fn files_that_are_not_there_yet_are_looked_for_at_each_use() {
    let files = Files::new();
    let path = files.0.path().join("ca.pem");
    let client = Client::new(Config { ca: Some(path), ..Config::default() }, |builder| builder);
    client.get().unwrap_err();
    files.write("ca.pem", &certificate_of(&key()));
    client.get().unwrap();
}
