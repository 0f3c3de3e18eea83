//! `[http]`: how services and token endpoints are reached. Its keys and their judgement.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de;
use serde::{Deserialize, Deserializer, Serialize};

use super::checks;
use super::either::{WordOrTable, word_or_table};
use super::errors::{Errors, Path};
use super::secret::SecretKeys;
use crate::model::secret::{Secret, SecretSource};
use crate::web::client::{self, IdentityFiles};
use crate::web::proxy::{self, Proxying};

/// The word for no proxy.
const NONE: &str = "none";

/// How services and token endpoints are reached over HTTP.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    /// A file with certificates of authorities, PEM, which are trusted besides those of this machine. Read again at each connect.
    pub(super) ca: Option<PathBuf>,
    /// A file with the certificate that is shown to servers that ask for one, and those that lead to its authority, PEM. Read again
    /// at each connect. It needs `client_key`.
    pub(super) client_cert: Option<PathBuf>,
    /// A file with the private key of `client_cert`, PEM, without a passphrase. Read again at each connect.
    pub(super) client_key: Option<PathBuf>,
    /// The proxy that requests go through: its address, such as `"http://proxy:3128"`, with a password better as a secret; or
    /// `"none"`. `NO_PROXY` still names exceptions. Default: as the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    pub(super) proxy: Option<Proxy>,
}

/// The address of a proxy, or "none".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Proxy {
    /// `"none"`, or an address without a credential.
    Word(#[schemars(length(min = 1))] String),
    /// An address that may hold a credential.
    Secret(SecretKeys),
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_table(deserializer)
    }
}

impl WordOrTable for Proxy {
    const EXPECTED: &'static str = "\"http://HOST:PORT\", \"none\", or a secret that holds the address: { env = \"NAME\" } or { file = \"PATH\" }";

    type Table = SecretKeys;

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        // It holds a credential, which is not to be printed.
        if word.contains('@') {
            return Ok(Self::Secret(SecretKeys { value: Some(Secret::new(word)), ..SecretKeys::default() }));
        }
        Ok(Self::Word(word.to_owned()))
    }

    fn of_table(table: SecretKeys) -> Self {
        Self::Secret(table)
    }
}

impl Http {
    /// The secret that it names, if there is one.
    pub(super) fn secret(&self) -> Option<&SecretKeys> {
        match &self.proxy {
            Some(Proxy::Secret(keys)) => Some(keys),
            Some(Proxy::Word(_)) | None => None,
        }
    }
}

/// Judges the values. Whether the files can be used is seen when they are.
pub(super) fn validate(http: &Http, errors: &mut Errors) -> Option<client::Config> {
    let path = Path::top("http");
    for (key, file) in
        [("ca", &http.ca), ("client_cert", &http.client_cert), ("client_key", &http.client_key)]
    {
        let is_empty = file.as_ref().is_some_and(|file| file.as_os_str().is_empty());
        errors.add_if(is_empty, &path.key(key), "expected the path of a file");
    }
    let identity = match (&http.client_cert, &http.client_key) {
        (Some(cert), Some(key)) => Some(IdentityFiles { cert: cert.clone(), key: key.clone() }),
        (cert, key) => {
            let missing = "missing: client_cert and client_key belong together";
            errors.add_if(cert.is_none() && key.is_some(), &path.key("client_cert"), missing);
            errors.add_if(cert.is_some() && key.is_none(), &path.key("client_key"), missing);
            None
        }
    };
    let proxy = match &http.proxy {
        None => Some(Proxying::Environment),
        Some(given) => proxy(given, &path.key("proxy"), errors),
    };
    Some(client::Config { ca: http.ca.clone(), identity, proxy: proxy? })
}

fn proxy(given: &Proxy, path: &Path, errors: &mut Errors) -> Option<Proxying> {
    let source = match given {
        Proxy::Word(word) if word == NONE => return Some(Proxying::Never),
        Proxy::Word(word) => SecretSource::Value(Secret::new(word)),
        Proxy::Secret(keys) => checks::secret(keys, path, errors)?,
    };
    if let SecretSource::Value(address) = &source {
        let message = "expected http://HOST:PORT, https://HOST:PORT or \"none\"; a credential stands before the host: USER:PASSWORD@";
        errors.add_if(!proxy::is_usable(address), path, message);
    }
    Some(Proxying::At(source))
}
