//! The HTTP client of services, token endpoints and collectors: whom it trusts, what it shows of itself, and which way it takes.
//!
//! Invariants:
//! - files are looked at again at each use, and a client is made anew only when they have changed;
//! - files that changed and cannot be used leave the client as it is, since one may be written before the other;
//! - no error and no `Debug` shows what a file or a secret holds.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use openssl::pkey::PKey;
use openssl::x509::X509;
use reqwest::{Certificate, ClientBuilder, Identity};
use tonic::transport::{self, ClientTlsConfig};
use tracing::{info, warn};
use url::Url;

use super::certificate;
use super::proxy::{Proxies, ProxyError, Proxying};
use crate::model::errors::chain;
use crate::model::file;
use crate::model::secret::{Secret, SecretError};

/// The longest file of certificates: the authorities of a whole system take 256 KiB. Files are read while others wait.
const MAX_BYTES: u64 = 4 << 20;

/// How services and token endpoints are reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Authorities, PEM, that are trusted besides those of this machine.
    pub ca: Option<PathBuf>,
    /// What is shown to a server that asks for a certificate.
    pub identity: Option<IdentityFiles>,
    /// Whether requests go through a proxy.
    pub proxy: Proxying,
}

/// A client certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentityFiles {
    /// The certificate and those that lead to its authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM, without a passphrase.
    pub key: PathBuf,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// A file cannot be read.
    #[error("http.{key}: cannot read {path}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// Which one.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds no certificate.
    #[error("http.{key}: {path} holds no certificate in PEM form, or a damaged one")]
    NoCertificate {
        /// The key that names it.
        key: &'static str,
        /// Which one.
        path: String,
    },
    /// It holds no key.
    #[error(
        "http.client_key: {path} holds no private key in PEM form, or one that is protected by a passphrase"
    )]
    NoKey {
        /// Which one.
        path: String,
    },
    /// The two do not fit.
    #[error("http.client_key: the key in {key} does not belong to the certificate in {cert}")]
    Unfit {
        /// The file of the certificate.
        cert: String,
        /// The file of the key.
        key: String,
    },
    /// The address of the proxy cannot be read.
    #[error("http.proxy: the proxy's address cannot be read")]
    Proxy(#[source] SecretError),
    /// The proxy cannot be used, or must not be.
    #[error(transparent)]
    Way(#[from] ProxyError),
    /// The TLS library refuses what the files hold.
    #[error("the HTTP client cannot be set up")]
    Build(#[source] Box<dyn Error + Send + Sync>),
}

/// Makes what follows the files.
type Make<T> = dyn Fn(&Config, &Read) -> Result<T, ClientError> + Send + Sync;

/// Something that is made anew when the files have changed.
pub(crate) struct Following<T> {
    config: Config,
    make: Box<Make<T>>,
    held: Mutex<Option<(Read, T)>>,
}

/// A client that follows its files.
pub(crate) type Client = Following<Reached>;

/// The client of the moment, and the ways that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// It follows no redirect and repeats nothing by itself.
    pub client: reqwest::Client,
    /// The proxies.
    pub proxies: Arc<Proxies>,
}

/// What the files and the secret held when they were last read.
#[derive(PartialEq, Eq)]
pub(super) struct Read {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    proxy: Option<Secret>,
}

impl Config {
    /// Reads everything once: what is wrong, or when the client certificate expires (seconds since the Unix epoch; `None` without
    /// one, or where that is not understood).
    pub(crate) fn check(&self) -> Result<Option<i64>, ClientError> {
        let read = self.read()?;
        self.build(&read, |builder| builder)?;
        Ok(read.identity.and_then(|(cert, _)| certificate::expires(&cert)))
    }

    fn read(&self) -> Result<Read, ClientError> {
        let optional = |key, path: &Option<PathBuf>| path.as_deref().map(|path| read(key, path)).transpose();
        let identity = match &self.identity {
            Some(files) => Some((read("client_cert", &files.cert)?, read("client_key", &files.key)?)),
            None => None,
        };
        let proxy = match &self.proxy {
            Proxying::At(source) => Some(source.read().map_err(ClientError::Proxy)?),
            Proxying::Environment | Proxying::Never => None,
        };
        Ok(Read { ca: optional("ca", &self.ca)?, identity, proxy })
    }

    pub(super) fn proxies(&self, read: &Read) -> Proxies {
        match (&self.proxy, &read.proxy) {
            (Proxying::At(_), Some(address)) => Proxies::at(address),
            (Proxying::Never, _) => Proxies::none(),
            _ => Proxies::of_process(),
        }
    }

    pub(super) fn build(
        &self,
        read: &Read,
        setup: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Reached, ClientError> {
        let proxies = Arc::new(self.proxies(read));
        let mut builder = setup(plain(&proxies));
        if let (Some(path), Some(pem)) = (&self.ca, &read.ca) {
            builder = builder.tls_certs_merge(authorities(path, pem)?);
        }
        if let (Some(files), Some((cert, key))) = (&self.identity, &read.identity) {
            let key = private_key(files, cert, key)?;
            builder = builder.identity(Identity::from_pkcs8_pem(cert, &key).map_err(refused)?);
        }
        let client = builder.build().map_err(refused)?;
        Ok(Reached { client, proxies })
    }

    /// What the files say, for the client of gRPC. The authorities of this machine are the caller's to add.
    pub(super) fn tls(&self, read: &Read) -> Result<ClientTlsConfig, ClientError> {
        let mut tls = ClientTlsConfig::new();
        if let (Some(path), Some(pem)) = (&self.ca, &read.ca) {
            authorities(path, pem)?;
            tls = tls.ca_certificate(transport::Certificate::from_pem(pem));
        }
        if let (Some(files), Some((cert, key))) = (&self.identity, &read.identity) {
            let key = private_key(files, cert, key)?;
            tls = tls.identity(transport::Identity::from_pem(cert, key));
        }
        Ok(tls)
    }
}

impl Client {
    /// Reads nothing yet. `setup` gives the client's own settings.
    pub(crate) fn new(
        config: Config,
        setup: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        Self::with(config, move |config, read| config.build(read, &setup))
    }
}

impl<T: Clone> Following<T> {
    /// Reads and makes nothing yet.
    pub(super) fn with(
        config: Config,
        make: impl Fn(&Config, &Read) -> Result<T, ClientError> + Send + Sync + 'static,
    ) -> Self {
        Self { config, make: Box::new(make), held: Mutex::default() }
    }

    /// What is right for a connect now.
    pub(crate) fn get(&self) -> Result<T, ClientError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match (self.config.read(), &*held) {
            (Ok(read), Some((before, made))) if *before == read => return Ok(made.clone()),
            (Ok(read), _) => (self.make)(&self.config, &read).map(|made| (read, made)),
            (Err(error), _) => Err(error),
        };
        match (found, held.as_ref().map(|(_, made)| made.clone())) {
            (Err(error), None) => Err(error),
            (Err(error), Some(made)) => {
                let reason = chain(&error);
                warn!(reason, "the files of [http] have changed and cannot be used; those of before are");
                Ok(made)
            }
            (Ok((read, made)), before) => {
                if before.is_some() {
                    info!("the files of [http] have changed; what connects from now on has them");
                }
                *held = Some((read, made.clone()));
                Ok(made)
            }
        }
    }
}

impl<T> fmt::Debug for Following<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Following").field(&self.config).finish()
    }
}

/// A client that follows no redirect, repeats nothing by itself and takes the ways that `proxies` says.
fn plain(proxies: &Arc<Proxies>) -> ClientBuilder {
    let ways = Arc::clone(proxies);
    // Each request was checked before, so an error is none here.
    let way = move |url: &Url| ways.way(url).ok().flatten().map(|proxy| proxy.url().clone());
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // A connection lives on the runtime that opened it, which may be that of a shard, and requests are hours apart.
        .pool_max_idle_per_host(0)
        // Its own idea of proxies sends loopback addresses there, too, and passes over what it cannot use.
        .no_proxy()
        .proxy(reqwest::Proxy::custom(way))
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ClientError> {
    let read = file::only_ends(path).and_then(|()| file::read(path, MAX_BYTES));
    read.map_err(|source| ClientError::File { key, path: path.display().to_string(), source })
}

/// The certificates of a file: one at least.
fn certificates(key: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<X509>, ClientError> {
    let found = X509::stack_from_pem(pem).ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| ClientError::NoCertificate { key, path: path.display().to_string() })
}

fn authorities(path: &Path, pem: &[u8]) -> Result<Vec<Certificate>, ClientError> {
    let found = certificates("ca", path, pem)?;
    let damaged = || ClientError::NoCertificate { key: "ca", path: path.display().to_string() };
    let authority = |found: &X509| {
        let der = found.to_der().map_err(|_| damaged())?;
        Certificate::from_der(&der).map_err(|_| damaged())
    };
    found.iter().map(authority).collect()
}

/// The key that belongs to the certificate, in PEM and PKCS #8: the clients do not take every other form.
fn private_key(files: &IdentityFiles, cert: &[u8], key: &[u8]) -> Result<Vec<u8>, ClientError> {
    let chain = certificates("client_cert", &files.cert, cert)?;
    let no_key = || ClientError::NoKey { path: files.key.display().to_string() };
    // With a passphrase, be it a wrong one, nobody is asked for one at the terminal.
    let key = PKey::private_key_from_pem_passphrase(key, b"").map_err(|_| no_key())?;
    let belongs = chain.first().and_then(|own| own.public_key().ok()).is_some_and(|own| own.public_eq(&key));
    if !belongs {
        let (cert, key) = (files.cert.display().to_string(), files.key.display().to_string());
        return Err(ClientError::Unfit { cert, key });
    }
    key.private_key_to_pem_pkcs8().map_err(|_| no_key())
}

/// What a client says of files that it cannot use.
pub(super) fn refused(error: impl Error + Send + Sync + 'static) -> ClientError {
    ClientError::Build(Box::new(error))
}

#[cfg(test)]
mod tests;
