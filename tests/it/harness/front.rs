//! A server that speaks TLS in front of one that does not, and a proxy that makes tunnels to it. They share no code with the
//! connector.

use crate::harness::airship::RUNTIME;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// Ends TLS in front of a server, and demands a certificate of whoever comes.
pub(crate) struct Front {
    address: SocketAddr,
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
    cut: Arc<Mutex<CancellationToken>>,
}

/// What a file in PEM form holds first.
#[track_caller]
pub(crate) fn first_certificate(path: &Path) -> Vec<u8> {
    CertificateDer::from_pem_slice(&fs::read(path).expect("a file")).expect("a certificate").to_vec()
}

impl Front {
    /// In front of `to`, with the certificate and key of `own` (without their endings); takes clients of the authority `clients`.
    #[track_caller]
    pub(crate) fn start(own: &Path, clients: &Path, to: SocketAddr) -> Self {
        let acceptor = acceptor(own, clients);
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shown, cut) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<CancellationToken>>::default());
        let front = Self { address, shown: Arc::clone(&shown), cut: Arc::clone(&cut) };
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shown, cut) =
                    (acceptor.clone(), Arc::clone(&shown), cut.lock().unwrap().clone());
                RUNTIME.spawn(async move {
                    let Ok(mut inside) = acceptor.accept(stream).await else { return };
                    let certificates = inside.get_ref().1.peer_certificates().unwrap_or_default();
                    shown.lock().unwrap().extend(certificates.first().map(|first| first.to_vec()));
                    let Ok(mut behind) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        () = cut.cancelled() => {}
                        _ = copy_bidirectional(&mut inside, &mut behind) => {}
                    }
                });
            }
        });
        front
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificates that clients have shown, in DER, the latest one last.
    pub(crate) fn shown(&self) -> Vec<Vec<u8>> {
        self.shown.lock().unwrap().clone()
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.cut.lock().unwrap()).cancel();
    }
}

fn acceptor(own: &Path, clients: &Path) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(first_certificate(clients).into()).expect("an authority");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = fs::read(own.with_extension("key")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![first_certificate(&own.with_extension("pem")).into()],
            PrivateKeyDer::from_pem_slice(&key).expect("a key"),
        )
        .expect("a certificate and its key");
    // Whoever speaks gRPC offers nothing but the second.
    config.alpn_protocols = ["http/1.1", "h2"].map(Into::into).to_vec();
    TlsAcceptor::from(Arc::new(config))
}

/// A proxy that makes tunnels, whatever host is asked for, to one place, for those who know its credential.
pub(crate) struct Tunnel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// `credential` is what stands behind `Basic `.
    #[track_caller]
    pub(crate) fn start(credential: &str, to: SocketAddr) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let (all, expected) = (Arc::clone(&asked), format!("proxy-authorization: basic {credential}"));
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, expected) = (Arc::clone(&all), expected.clone());
                RUNTIME.spawn(async move { tunnel(stream, &all, &expected, to).await });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts and ports for which tunnels were made.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn tunnel(stream: TcpStream, all: &Mutex<Vec<String>>, expected: &str, to: SocketAddr) -> Option<()> {
    let mut client = BufReader::new(stream);
    let (mut target, mut paid) = (None, false);
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            "" => break,
            line => {
                let words: Vec<_> = line.split(' ').collect();
                if let ["CONNECT", host, "HTTP/1.1"] = words[..] {
                    target = Some(host.to_owned());
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                let line = format!("{}:{}", name.to_lowercase(), value.replacen("Basic", "basic", 1));
                paid |= line == expected;
            }
        }
    }
    let (Some(target), true) = (target, paid) else {
        let refusal = b"HTTP/1.1 407 Pay\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal).await.ok();
    };
    all.lock().unwrap().push(target);
    let mut behind = TcpStream::connect(to).await.ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut client, &mut behind).await.ok().map(drop)
}
