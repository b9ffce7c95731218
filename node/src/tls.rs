//! The certificate by which callers know the API, read from the PEM files of `api.tls`.
//!
//! **Invariants**: what is loaded can make connections, which says that the key is the certificate's; no key is shown in an error.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use octopoid_client::Fingerprint;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsAcceptor;
use webpki::{EndEntityCert, KeyUsage};

use crate::config::Tls;

/// The largest PEM file that is read: a chain is a few kilobytes.
const FILE: u64 = 1 << 20;
/// How long before its end a certificate is spoken of. Those that are renewed by themselves are renewed earlier.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// States why `api.tls` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file is not PEM.
    #[error("{} is no PEM file", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// There is no certificate where one should be.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key where one should be.
    #[error("{} holds no private key that can be read without a password", .0.display())]
    NoKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {} is not the key of the certificate in {}", key.display(), cert.display())]
    OtherKey {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate or the key is of a kind that is not known.
    #[error("the certificate in {} cannot be used with the key in {}", cert.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

/// A certificate with its key, ready to serve.
#[derive(Clone)]
pub struct Certificate {
    server: Arc<ServerConfig>,
    fingerprint: Fingerprint,
    /// The first moment and the last one, where they can be told.
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    key_file: PathBuf,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint).field("until", &self.until).finish_non_exhaustive()
    }
}

/// What is wrong with a certificate that can be served all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Nobody trusts it any more.
    #[error("the API's certificate has expired at {0}")]
    Expired(Timestamp),
    /// Nobody trusts it yet.
    #[error("the API's certificate is not valid before {0}")]
    NotYet(Timestamp),
    /// Nobody will trust it soon.
    #[error("the API's certificate expires at {0}")]
    ExpiresSoon(Timestamp),
    /// Other users of this machine can answer in the node's name.
    #[error("other users of this machine can read the API's key {}: chmod o-r", .0.display())]
    KeyIsRead(PathBuf),
}

impl Doubt {
    /// Tells whether callers are refused by it, rather than warned.
    #[must_use]
    pub fn refuses(&self) -> bool {
        match self {
            Self::Expired(_) | Self::NotYet(_) => true,
            Self::ExpiresSoon(_) | Self::KeyIsRead(_) => false,
        }
    }
}

impl Certificate {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not belong together.
    pub fn load(files: &Tls) -> Result<Self, TlsError> {
        let (cert, key) = (&files.cert, &files.key);
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&read(cert)?).collect::<Result<_, _>>().map_err(|source| TlsError::Pem(cert.clone(), source))?;
        let Some(first) = chain.first().cloned() else { return Err(TlsError::NoCertificate(cert.clone())) };
        let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|source| no_key(key, source))?;
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|source| unusable(files, source))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (from, until) = validity(&first);
        Ok(Self { server: Arc::new(server), fingerprint: Fingerprint::of(&first), from, until, key_file: key.clone() })
    }

    /// Returns what tells this certificate from all others.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns what makes connections.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.server.clone())
    }

    /// Tells what a person should mend, at a time.
    #[must_use]
    pub fn doubts(&self, now: Timestamp) -> Vec<Doubt> {
        let time = match (self.from, self.until) {
            (_, Some(until)) if until < now => Some(Doubt::Expired(until)),
            (Some(from), _) if now < from => Some(Doubt::NotYet(from)),
            (_, Some(until)) if now.checked_add(SOON).is_ok_and(|then| until < then) => Some(Doubt::ExpiresSoon(until)),
            (Some(_) | None, Some(_) | None) => None,
        };
        let is_read = fs::metadata(&self.key_file).is_ok_and(|file| file.mode() & 0o004 != 0);
        time.into_iter().chain(is_read.then(|| Doubt::KeyIsRead(self.key_file.clone()))).collect()
    }
}

fn no_key(file: &Path, source: pem::Error) -> TlsError {
    let file = file.to_owned();
    if matches!(source, pem::Error::NoItemsFound) { TlsError::NoKey(file) } else { TlsError::Pem(file, source) }
}

fn unusable(files: &Tls, source: rustls::Error) -> TlsError {
    let Tls { cert, key } = files.clone();
    if matches!(source, rustls::Error::InconsistentKeys(_)) {
        TlsError::OtherKey { cert, key }
    } else {
        TlsError::Unusable { cert, key, source }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE).read_to_end(&mut bytes));
    read.map_err(|source| TlsError::Read(path.to_owned(), source))?;
    Ok(bytes)
}

/// Returns from when until when a certificate is valid. Its reader tells these times only where it refuses others, so it is asked
/// about the first time that there is and about the last one.
fn validity(certificate: &CertificateDer<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return (None, None) };
    let refusal = |at: Duration| {
        let time = UnixTime::since_unix_epoch(at);
        certificate.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
    };
    let from = match refusal(Duration::ZERO) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => timestamp(not_before),
        _ => None,
    };
    let until = match refusal(Duration::from_secs(u64::MAX)) {
        Some(webpki::Error::CertExpired { not_after, .. }) => timestamp(not_after),
        _ => None,
    };
    (from, until)
}

/// The year 9999 stands for no end at all.
fn timestamp(time: UnixTime) -> Option<Timestamp> {
    i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Writes a certificate for some years, and its key.
    fn files(folder: &Path, name: &str, years: (i32, i32)) -> Tls {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["octo.lan".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let cert = params.self_signed(&key).expect("a certificate");
        let files = Tls { cert: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        fs::write(&files.cert, cert.pem()).expect("written");
        fs::write(&files.key, key.serialize_pem()).expect("written");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("set");
        files
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_certificate_tells_its_times_and_who_can_read_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), "a", (2020, 2030));
        let certificate = Certificate::load(&files).expect("loaded");
        assert_eq!(certificate.doubts(at("2025-01-01T00:00:00Z")), []);
        assert_eq!(certificate.doubts(at("2019-12-31T23:59:59Z")), [Doubt::NotYet(at("2020-01-01T00:00:00Z"))]);
        assert_eq!(certificate.doubts(at("2029-12-20T00:00:00Z")), [Doubt::ExpiresSoon(at("2030-01-01T00:00:00Z"))]);
        assert_eq!(certificate.doubts(at("2030-01-01T00:00:01Z")), [Doubt::Expired(at("2030-01-01T00:00:00Z"))]);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(certificate.doubts(at("2025-01-01T00:00:00Z")), [Doubt::KeyIsRead(files.key)]);
    }

    #[test]
    fn what_cannot_be_served_is_told_with_the_file_that_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (files(folder.path(), "one", (2020, 2030)), files(folder.path(), "other", (2020, 2030)));
        let load = |cert: &Path, key: &Path| {
            let error = Certificate::load(&Tls { cert: cert.to_owned(), key: key.to_owned() }).expect_err("a refusal");
            crate::causes::describe(&error).replace(&folder.path().display().to_string(), "")
        };
        assert_eq!(load(&one.cert, &other.key), "the key in /other.key is not the key of the certificate in /one.crt");
        assert_eq!(load(&one.key, &one.key), "/one.key holds no certificate");
        assert_eq!(load(&one.cert, &one.cert), "/one.crt holds no private key that can be read without a password");
        assert!(load(&folder.path().join("none"), &one.key).starts_with("/none cannot be read: No such file"));
        let torn = folder.path().join("torn");
        fs::write(&torn, "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("written");
        assert!(load(&torn, &one.key).starts_with("/torn is no PEM file"), "{}", load(&torn, &one.key));
        fs::write(&torn, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
        assert!(load(&torn, &one.key).starts_with("the certificate in /torn cannot be used"), "{}", load(&torn, &one.key));
    }
}
