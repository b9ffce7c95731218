//! Whom a client believes that it is the node it wants, where the address is an `https://` one.
//!
//! **Invariants**: nothing is sent before the node has proved that it has the key of a certificate that is trusted; a
//! certificate that does not stand in a chain is trusted by its whole content only, never by its names alone.

use std::{fmt, io, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use sha2::{Digest as _, Sha256};

/// Which certificates a client trusts.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the system's authorities have signed. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others instead.
    #[default]
    System,
    /// Those that these authorities have signed, and these themselves; none else.
    Authorities(Authorities),
    /// This one, whatever names and times it carries: who has told of it knows the node.
    Exactly(Fingerprint),
}

/// The certificates of a PEM file: of a private authority, or a node's own that nobody else has signed.
#[derive(Clone)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// States why a file names no authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The text is not PEM.
    #[error("it is no PEM file")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("it holds no certificate")]
    Empty,
    /// What stands there as a certificate is none.
    #[error("a certificate in it cannot be read")]
    Certificate(#[source] Error),
}

impl Authorities {
    /// Reads the certificates of a PEM file; keys and other things in it are passed over.
    ///
    /// # Errors
    /// When the text is not PEM, or holds no certificate.
    pub fn from_pem(text: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(AuthoritiesError::Pem)?;
        if certificates.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        let mut roots = RootCertStore::empty();
        certificates.iter().try_for_each(|one| roots.add(one.clone())).map_err(AuthoritiesError::Certificate)?;
        Ok(Self(certificates))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        self.0.iter().try_for_each(|one| roots.add(one.clone()))?;
        Ok(roots)
    }
}

/// The SHA-256 of a certificate's DER form, written as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Takes the fingerprint of a certificate in DER form.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// States that a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hex digits")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadFingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| BadFingerprint)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

/// Prepares connections by a trust; `None` for a client that makes none over TLS, and so need not read the system's authorities.
pub(crate) fn config(trust: Option<&Trust>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        None => return Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
        Some(Trust::System) => Arc::new(rustls_platform_verifier::Verifier::new(provider)?),
        Some(Trust::Authorities(authorities)) => Arc::new(Private::new(authorities, provider)?),
        Some(Trust::Exactly(fingerprint)) => Arc::new(Pinned { fingerprint: *fingerprint, provider }),
    };
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Tells whether a call failed because the other side's certificate is not trusted.
pub(crate) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(Error::InvalidCertificate(_))) {
            return true;
        }
        // What an io::Error wraps is not its source, but as good as the error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

/// Trusts the chains of given authorities, and the given certificates themselves.
#[derive(Debug)]
struct Private {
    chains: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl Private {
    fn new(authorities: &Authorities, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities.roots()?), provider);
        let chains = builder.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chains, own: authorities.0.clone() })
    }
}

/// Tells whether a chain was refused only because its one certificate may sign others, as what `openssl req -x509` makes may.
/// The times of a certificate are judged before that.
fn is_an_authority_itself(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Private {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if is_an_authority_itself(&error) && self.own.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Trusts one certificate.
#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Fingerprint::of(end_entity) == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_what_it_writes_and_nothing_else() {
        let fingerprint = Fingerprint::of(b"a certificate");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("".parse::<Fingerprint>(), Err(BadFingerprint));
        assert_eq!("z".repeat(64).parse::<Fingerprint>(), Err(BadFingerprint));
        assert_eq!("ä".repeat(32).parse::<Fingerprint>(), Err(BadFingerprint), "64 bytes, no digits");
        assert_eq!(format!("{}+1", "0".repeat(62)).parse::<Fingerprint>(), Err(BadFingerprint), "a sign is no digit");
    }

    #[test]
    fn a_file_without_certificates_is_no_list_of_authorities() {
        assert!(matches!(Authorities::from_pem(b""), Err(AuthoritiesError::Empty)));
        assert!(matches!(Authorities::from_pem(b"hello\n"), Err(AuthoritiesError::Empty)));
        let torn = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(Authorities::from_pem(torn), Err(AuthoritiesError::Pem(_))));
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Authorities::from_pem(nonsense), Err(AuthoritiesError::Certificate(_))));
    }
}
