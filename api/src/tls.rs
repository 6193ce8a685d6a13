//! TLS for the REST listener and for its clients: rustls with ring.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why certificates or keys can't be used. What they are is never said.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Something is not PEM, or not what it should hold.
    #[error("{what}: not readable as PEM: {source}")]
    Pem {
        /// `certificate`, `key` or `CA`.
        what: &'static str,
        /// What was wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// There is none in it.
    #[error("{what}: no certificate in it; it needs at least one `BEGIN CERTIFICATE` block")]
    Empty {
        /// `certificate` or `CA`.
        what: &'static str,
    },
    /// A certificate or key that rustls refuses, or that don't belong together.
    #[error("certificate or key: {0}")]
    Refused(#[from] rustls::Error),
    /// Client certificates can't be checked with these CAs.
    #[error("CA of clients: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What a server needs for TLS.
#[derive(Clone)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// From PEM: the certificate with its chain, and its key. With
    /// `client_ca`, a client needs a certificate that one of these CAs signed,
    /// or its handshake fails.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        client_ca: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let chain = certificates("certificate", certificate)?;
        let key = private_key(key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(roots(ca)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        Ok(Self::of(builder.with_single_cert(chain, key)?))
    }

    /// With a certificate that may change while it serves.
    pub fn from_resolver(resolver: Arc<dyn ResolvesServerCert>) -> Result<Self, TlsError> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Self::of(config))
    }

    fn of(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|source| TlsError::Pem { what, source })?;
    if all.is_empty() { Err(TlsError::Empty { what }) } else { Ok(all) }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|source| TlsError::Pem { what: "key", source })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA", pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// What a client trusts, and who it is.
#[derive(Clone, Default)]
pub(crate) struct ClientTls {
    /// PEM of CAs besides the system's.
    pub(crate) ca: Option<Vec<u8>>,
    /// PEM of the client's own certificate and of its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientTls {
    /// For a client that only speaks plain HTTP.
    pub(crate) fn bare() -> Result<ClientConfig, TlsError> {
        Ok(ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth())
    }

    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        let mut trusted = match &self.ca {
            Some(pem) => roots(pem)?,
            None => RootCertStore::empty(),
        };
        // A machine without any is no error: the extra CA may be all it needs,
        // and otherwise the handshake says that the issuer is unknown.
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted);
        Ok(match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(
                certificates("certificate", certificate)?,
                private_key(key)?,
            )?,
        })
    }
}
