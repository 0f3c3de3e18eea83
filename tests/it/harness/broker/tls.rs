//! Authorities, keys and certificates for a broker that talks TLS, made by `openssl` as a test needs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How many days from now a time is, in seconds since the Unix epoch.
pub(crate) fn days_until(time: f64) -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    (time - now.as_secs_f64()) / 86_400.0
}

/// A directory of keys and certificates.
pub(crate) struct Tls(TempDir);

impl Tls {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An authority: `NAME.pem` and `NAME.key`.
    #[track_caller]
    pub(crate) fn authority(&self, name: &str) -> PathBuf {
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pem")));
        let subject = format!("/CN={name}");
        openssl(
            self.0.path(),
            &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject],
            &[("-keyout", &key), ("-out", &certificate)],
        );
        certificate
    }

    /// A key and a certificate for 127.0.0.1 by an authority: `NAME.key`, `NAME.pem`, and both in `NAME.both`, the key first.
    #[track_caller]
    pub(crate) fn certificate(&self, name: &str, authority: &str) {
        self.certificate_for("IP:127.0.0.1", name, authority);
    }

    /// The same for other names, as `openssl` takes them.
    #[track_caller]
    pub(crate) fn certificate_for(&self, names: &str, name: &str, authority: &str) {
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pem")));
        let (by, by_key) = (self.path(&format!("{authority}.pem")), self.path(&format!("{authority}.key")));
        let subject = format!("/CN={name}");
        openssl(
            self.0.path(),
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-addext",
                &format!("subjectAltName={names}"),
                "-addext",
                "basicConstraints=critical,CA:false",
            ],
            &[("-keyout", &key), ("-out", &certificate), ("-CA", &by), ("-CAkey", &by_key)],
        );
        let read = |path: &Path| std::fs::read_to_string(path).expect("openssl wrote it");
        std::fs::write(self.path(&format!("{name}.both")), read(&key) + &read(&certificate))
            .expect("written");
    }

    /// The same as [`Self::certificate`], but it has expired.
    #[track_caller]
    pub(crate) fn expired_certificate(&self, name: &str, authority: &str) {
        self.certificate(name, authority);
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pem")));
        let (by, by_key) = (self.path(&format!("{authority}.pem")), self.path(&format!("{authority}.key")));
        let (request, dated) = (self.path("expired.csr"), self.path("expired.pem"));
        openssl(
            self.0.path(),
            &["x509", "-x509toreq", "-copy_extensions", "copy"],
            &[("-in", &certificate), ("-signkey", &key), ("-out", &request)],
        );
        openssl(
            self.0.path(),
            &["x509", "-req", "-days", "-1", "-copy_extensions", "copy", "-CAcreateserial"],
            &[("-in", &request), ("-CA", &by), ("-CAkey", &by_key), ("-out", &dated)],
        );
        let read = |path: &Path| std::fs::read_to_string(path).expect("openssl wrote it");
        std::fs::write(self.path(&format!("{name}.both")), read(&key) + &read(&dated)).expect("written");
    }

    /// What is called `from` is now also called `to`, all at once, as Kubernetes changes a mounted secret.
    #[track_caller]
    pub(crate) fn put(&self, from: &str, to: &str) {
        let next = self.path("next");
        std::fs::copy(self.path(from), &next).expect("it was made");
        std::fs::rename(next, self.path(to)).expect("replaced");
    }
}

#[track_caller]
fn openssl(directory: &Path, words: &[&str], files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(words);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    let output = command.output().unwrap_or_else(|error| panic!("this test needs openssl: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
