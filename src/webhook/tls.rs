//! The certificate that the receiver shows, read again when its files change.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use super::Tls;
use super::metrics::Metrics;
use crate::web::certificate;

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which one.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It holds no certificate.
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate {
        /// Which one.
        path: String,
    },
    /// It holds no key.
    #[error("{path} holds no private key in PEM form")]
    NoKey {
        /// Which one.
        path: String,
    },
    /// The two do not fit.
    #[error("certificate {cert} and key {key} cannot be used together")]
    Unfit {
        /// The chain.
        cert: String,
        /// The key.
        key: String,
        /// What rustls said.
        #[source]
        source: tokio_rustls::rustls::Error,
    },
}

impl Tls {
    /// When the first certificate of the chain expires, seconds since the Unix epoch; `None` where that is not understood.
    pub(crate) fn expires(&self) -> Result<Option<i64>, TlsError> {
        read(self).map(|(cert, _)| certificate::expires(&cert))
    }
}

/// What the files held when they were last read.
type Held = (Vec<u8>, Vec<u8>);

/// The certificate at this moment.
pub(super) struct Shown {
    files: Tls,
    held: Held,
    config: Arc<RwLock<Arc<ServerConfig>>>,
    metrics: Metrics,
}

/// Accepts TLS with the certificate of the moment.
#[derive(Clone)]
pub(super) struct Acceptor(Arc<RwLock<Arc<ServerConfig>>>);

impl Acceptor {
    /// For one connection.
    pub(super) fn get(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shown {
    /// Reads the files. `metrics` tell when what is shown expires.
    pub(super) fn read(files: Tls, metrics: Metrics) -> Result<Self, TlsError> {
        let held = read(&files)?;
        let config = Arc::new(RwLock::new(Arc::new(config(&files, &held)?)));
        metrics.shows_certificate(certificate::expires(&held.0));
        Ok(Self { files, held, config, metrics })
    }

    /// What accepts connections with it.
    pub(super) fn acceptor(&self) -> Acceptor {
        Acceptor(Arc::clone(&self.config))
    }

    /// Reads the files again; it waits for the disk. What does not fit leaves the certificate as it is: the other file may be about to follow.
    pub(super) fn read_again(&mut self) {
        let found = read(&self.files).and_then(|held| {
            if held == self.held {
                return Ok(None);
            }
            let config = config(&self.files, &held)?;
            Ok(Some((held, config)))
        });
        match found {
            Ok(None) => {}
            Ok(Some((held, config))) => {
                self.metrics.shows_certificate(certificate::expires(&held.0));
                self.held = held;
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                info!("the certificate of the webhook was read again");
            }
            Err(error) => {
                let reason = crate::model::errors::chain(&error);
                warn!(
                    reason,
                    "the certificate of the webhook has changed and cannot be used; the one before is shown"
                );
            }
        }
    }
}

fn read(files: &Tls) -> Result<Held, TlsError> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|source| TlsError::File { path: path.display().to_string(), source })
    };
    Ok((read(&files.cert)?, read(&files.key)?))
}

fn config(files: &Tls, (cert, key): &Held) -> Result<ServerConfig, TlsError> {
    let (cert_path, key_path) = (files.cert.display().to_string(), files.key.display().to_string());
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate { path: cert_path.clone() })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey { path: key_path.clone() })?;
    let unfit = |source| TlsError::Unfit { cert: cert_path.clone(), key: key_path.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
