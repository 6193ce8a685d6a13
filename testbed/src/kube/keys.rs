//! Certificates and tokens of one cluster, made anew for each.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::error::LabError;

/// Who may do anything.
pub const ADMIN_TOKEN: &str = "admin-of-a-test";
/// The scheduler, with the rights that the API server gives it by itself.
pub const SCHEDULER_TOKEN: &str = "scheduler-of-a-test";
/// token, user, uid, groups
const TOKENS: &str = "admin-of-a-test,admin,1,system:masters\n\
    scheduler-of-a-test,system:kube-scheduler,2,\n";

/// Where a cluster's keys are.
#[derive(Debug)]
pub struct Keys {
    /// The authority that the API server's certificate is of, as PEM.
    pub authority: String,
    /// The API server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// What service accounts' tokens are signed with.
    pub signing: PathBuf,
    /// What they are checked with.
    pub checking: PathBuf,
    /// Static tokens.
    pub tokens: PathBuf,
}

impl Keys {
    /// Makes all of them in a folder, which is made too.
    ///
    /// # Errors
    /// [`LabError`] when they can't be made or written.
    pub fn make(folder: &Path) -> Result<Self, LabError> {
        let told = |source| LabError::io(format!("writing keys to {}", folder.display()), source);
        fs::create_dir_all(folder).map_err(told)?;
        let made = |error: rcgen::Error| LabError::Wrong(format!("making a certificate: {error}"));

        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "isolane test authority");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_key = KeyPair::generate().map_err(made)?;
        let authority = root.self_signed(&root_key).map_err(made)?;
        let issuer = Issuer::new(root, root_key);

        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
        let server = CertificateParams::new(names).map_err(made)?;
        let server_key = KeyPair::generate().map_err(made)?;
        let server = server.signed_by(&server_key, &issuer).map_err(made)?;

        let accounts = KeyPair::generate().map_err(made)?;

        let write = |name: &str, text: &str| -> Result<PathBuf, LabError> {
            let path = folder.join(name);
            fs::write(&path, text).map_err(told)?;
            Ok(path)
        };
        Ok(Self {
            authority: authority.pem(),
            certificate: write("server.crt", &server.pem())?,
            key: write("server.key", &server_key.serialize_pem())?,
            signing: write("accounts.key", &accounts.serialize_pem())?,
            checking: write("accounts.pub", &accounts.public_key_pem())?,
            tokens: write("tokens.csv", TOKENS)?,
        })
    }
}
