//! What clients know servers by: the certificates that this machine trusts, read once, when a server shows the first one.
//!
//! Every client of `reqwest` reads them for itself while it is built: hundreds of files, which takes longer than all else of a
//! start, and most of a short command never speaks TLS at all.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

static CONFIG: LazyLock<Result<ClientConfig, Error>> = LazyLock::new(|| config(Arc::clone(&SHARED)));
static SHARED: LazyLock<Arc<Trusted>> =
    LazyLock::new(|| Arc::new(Trusted::new(Arc::new(aws_lc_rs::default_provider()))));

/// A client that trusts what this machine trusts. Connections alone are shared with no other client.
pub fn client() -> reqwest::ClientBuilder {
    match &*CONFIG {
        Ok(config) => reqwest::Client::builder().tls_backend_preconfigured(config.clone()),
        // The provider knows no version of TLS: then the library's own way says so when the client is built.
        Err(_) => reqwest::Client::builder(),
    }
}

/// Reads what this machine trusts, now, so that the first connection need not.
///
/// # Errors
/// That there is nothing: then no server is trusted.
pub fn read_trusted() -> Result<(), Error> {
    SHARED.verifier().map(drop)
}

fn config(trusted: Arc<Trusted>) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(Arc::clone(&trusted.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(trusted)
        .with_no_client_auth())
}

/// The verifier of this machine's certificates, made when it is first asked. What it says is what counts, always.
#[derive(Debug)]
struct Trusted {
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Verifier, Error>>,
}

impl Trusted {
    const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, verifier: OnceLock::new() }
    }

    fn verifier(&self) -> Result<&Verifier, Error> {
        self.verifier.get_or_init(|| Verifier::new(Arc::clone(&self.provider))).as_ref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
