//! The webhook's certificate: given as files, or made by the bridge itself
//! and shared by its replicas in a Secret.
//!
//! The bridge's own CA lives ten years and its serving certificate ninety
//! days; each is renewed when a third of its time is left. The CA's file holds
//! the CA before it too, so that a replica that still serves with that one is
//! trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
const LIFE: Duration = Duration::from_secs(90 * 86_400);
/// Clocks of machines differ.
const SKEW: Duration = Duration::from_secs(3_600);

/// The Secret's annotations: what is in its certificates, so that nobody needs
/// to parse them.
const NAMES: &str = "isolane.io/names";
const ENDS: &str = "isolane.io/ends";
const CA_ENDS: &str = "isolane.io/ca-ends";

/// A certificate that is served, and what it is trusted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// PEM: the certificate with its chain.
    pub certificate: Vec<u8>,
    /// PEM: its key.
    pub key: Vec<u8>,
    /// PEM: the CAs that clients should trust; none if they know already.
    pub ca: Option<Vec<u8>>,
}

/// Where the certificate comes from.
pub enum Source {
    /// Files, which may be written anew at any time.
    Files {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// The CA, if the webhook's configuration should name it.
        ca: Option<PathBuf>,
    },
    /// A Secret that replicas share.
    Secret {
        /// Secrets of the bridge's namespace.
        api: Box<Api<Secret>>,
        /// Its name.
        name: String,
        /// Host names and addresses that the certificate must have.
        names: BTreeSet<String>,
    },
}

impl Source {
    /// The certificate as it should be now. A Secret that has none, or an old
    /// one, gets another.
    pub async fn load(&self) -> anyhow::Result<Material> {
        match self {
            Self::Files { certificate, key, ca } => {
                let read = |path: &PathBuf| {
                    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
                };
                Ok(Material {
                    certificate: read(certificate)?,
                    key: read(key)?,
                    ca: ca.as_ref().map(read).transpose()?,
                })
            }
            Self::Secret { api, name, names } => {
                // Another replica may write at the same moment: then its one is
                // looked at.
                for _ in 0..5 {
                    let old = api.get_opt(name).await?;
                    let (secret, fresh) = shared(old.as_ref(), name, names, SystemTime::now())?;
                    if fresh {
                        let written = match old {
                            None => api.create(&PostParams::default(), &secret).await,
                            Some(_) => api.replace(name, &PostParams::default(), &secret).await,
                        };
                        match written {
                            Ok(_) => tracing::info!(secret = name, "made a certificate"),
                            Err(kube::Error::Api(status)) if status.code == 409 => continue,
                            Err(error) => return Err(error.into()),
                        }
                    }
                    return material(&secret).ok_or_else(|| anyhow!("Secret {name} is empty"));
                }
                Err(anyhow!("Secret {name} is being changed all the time"))
            }
        }
    }
}

fn data<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(&secret.data.as_ref()?.get(key)?.0)
}

fn material(secret: &Secret) -> Option<Material> {
    Some(Material {
        certificate: data(secret, "tls.crt")?.to_vec(),
        key: data(secret, "tls.key")?.to_vec(),
        ca: Some(data(secret, "ca.crt")?.to_vec()),
    })
}

/// The Secret as it should be, and whether it has to be written. Without I/O.
fn shared(
    old: Option<&Secret>,
    name: &str,
    names: &BTreeSet<String>,
    now: SystemTime,
) -> anyhow::Result<(Secret, bool)> {
    let note = |key: &str| old?.metadata.annotations.as_ref()?.get(key).cloned();
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    };
    let lasts = |key: &str, life: Duration| {
        let ends: u64 = note(key).and_then(|text| text.parse().ok()).unwrap_or_default();
        ends > seconds(now) + life.as_secs() / 3
    };
    let has: BTreeSet<String> =
        note(NAMES).map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let whole = old.and_then(material).is_some_and(|it| certified(&it).is_ok());
    let old_ca = old.and_then(|old| {
        let key = std::str::from_utf8(data(old, "ca.key")?).ok()?;
        let certificates = std::str::from_utf8(data(old, "ca.crt")?).ok()?;
        let readable = CertificateDer::from_pem_slice(certificates.as_bytes()).is_ok();
        readable.then_some((KeyPair::from_pem(key).ok()?, certificates.to_owned()))
    });
    let ca_lasts = old_ca.is_some() && lasts(CA_ENDS, CA_LIFE);
    if let Some(old) = old
        && whole
        && ca_lasts
        && lasts(ENDS, LIFE)
        && names.is_subset(&has)
    {
        return Ok((old.clone(), false));
    }
    let (ca_key, ca, ca_ends) = match old_ca {
        Some((key, ca)) if ca_lasts => (key, ca, note(CA_ENDS).unwrap_or_default()),
        old_ca => {
            let key = KeyPair::generate()?;
            let mut ca = ca_params(now).self_signed(&key)?.pem();
            if let Some((_, before)) = old_ca {
                ca.push_str(first(&before));
            }
            (key, ca, seconds(now + CA_LIFE).to_string())
        }
    };
    // Replicas may be reached by different names; one certificate has them all.
    let names: BTreeSet<String> = names.union(&has).filter(|n| !n.is_empty()).cloned().collect();
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "isolane-k8s-bridge");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = ((now - SKEW).into(), (now + LIFE).into());
    let issuer = Issuer::new(ca_params(now), &ca_key);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let files = [
        ("tls.crt", certificate),
        ("tls.key", key.serialize_pem()),
        ("ca.crt", ca),
        ("ca.key", ca_key.serialize_pem()),
    ];
    let notes = [
        (NAMES, names.into_iter().collect::<Vec<_>>().join(",")),
        (ENDS, seconds(now + LIFE).to_string()),
        (CA_ENDS, ca_ends),
    ];
    let mut secret = old.cloned().unwrap_or_else(|| Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    });
    secret
        .data
        .get_or_insert_default()
        .extend(files.map(|(file, text)| (file.to_owned(), ByteString(text.into_bytes()))));
    secret
        .metadata
        .annotations
        .get_or_insert_with(BTreeMap::new)
        .extend(notes.map(|(key, value)| (key.to_owned(), value)));
    Ok((secret, true))
}

/// What every CA of ours is like; only its key differs.
fn ca_params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "isolane-k8s-bridge webhook CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = ((now - SKEW).into(), (now + CA_LIFE).into());
    params
}

/// The first certificate of a PEM text.
fn first(pem: &str) -> &str {
    const END: &str = "-----END CERTIFICATE-----\n";
    pem.find(END).and_then(|at| pem.get(..at + END.len())).unwrap_or_default()
}

fn certified(material: &Material) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&material.certificate)
        .collect::<Result<_, _>>()
        .context("the webhook's certificate is not PEM")?;
    anyhow::ensure!(!chain.is_empty(), "there is no certificate in the webhook's certificate file");
    let key =
        PrivateKeyDer::from_pem_slice(&material.key).context("the webhook's key is not PEM")?;
    let certified = CertifiedKey::new(chain, any_supported_type(&key)?);
    certified.keys_match().context("the webhook's key is not its certificate's")?;
    Ok(certified)
}

/// The certificate that is served now; it may be replaced at any time.
#[derive(Debug)]
pub struct Served(RwLock<Arc<CertifiedKey>>);

impl Served {
    /// Serves this one.
    pub fn new(material: &Material) -> anyhow::Result<Self> {
        Ok(Self(RwLock::new(Arc::new(certified(material)?))))
    }

    /// Serves this one from now on.
    pub fn replace(&self, material: &Material) -> anyhow::Result<()> {
        let certified = Arc::new(certified(material)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn text(secret: &Secret, key: &str) -> String {
        String::from_utf8(data(secret, key).unwrap().to_vec()).unwrap()
    }

    fn at(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((20_000 + days) * 86_400)
    }

    #[test]
    fn a_secret_is_made_once_and_used_by_all() {
        let (made, fresh) = shared(None, "s", &names(&["127.0.0.1"]), at(0)).unwrap();
        assert!(fresh);
        certified(&material(&made).unwrap()).unwrap();
        let (same, fresh) = shared(Some(&made), "s", &names(&["127.0.0.1"]), at(1)).unwrap();
        assert!(!fresh);
        assert_eq!(same, made);
    }

    #[test]
    fn another_name_and_a_near_end_make_another_certificate_of_the_same_ca() {
        let (made, _) = shared(None, "s", &names(&["127.0.0.1"]), at(0)).unwrap();
        let (more, fresh) = shared(Some(&made), "s", &names(&["bridge.svc"]), at(1)).unwrap();
        assert!(fresh);
        assert_eq!(more.metadata.annotations.as_ref().unwrap()[NAMES], "127.0.0.1,bridge.svc");
        let (late, fresh) = shared(Some(&more), "s", &names(&["127.0.0.1"]), at(62)).unwrap();
        assert!(fresh);
        for secret in [&more, &late] {
            assert_eq!(text(secret, "ca.crt"), text(&made, "ca.crt"));
            assert_ne!(text(secret, "tls.crt"), text(&made, "tls.crt"));
        }
        assert_ne!(text(&late, "tls.crt"), text(&more, "tls.crt"));
    }

    #[test]
    fn a_new_ca_keeps_the_one_before_it_trusted() {
        let (made, _) = shared(None, "s", &names(&["a"]), at(0)).unwrap();
        let (next, fresh) = shared(Some(&made), "s", &names(&["a"]), at(3_000)).unwrap();
        assert!(fresh);
        let ca = text(&next, "ca.crt");
        assert!(ca.ends_with(&text(&made, "ca.crt")));
        assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 2);
        let (third, _) = shared(Some(&next), "s", &names(&["a"]), at(6_000)).unwrap();
        assert_eq!(text(&third, "ca.crt").matches("BEGIN CERTIFICATE").count(), 2);
    }

    #[test]
    fn what_somebody_broke_is_made_anew() {
        let (made, _) = shared(None, "s", &names(&["a"]), at(0)).unwrap();
        for key in ["tls.crt", "tls.key", "ca.crt", "ca.key"] {
            let mut broken = made.clone();
            broken.data.as_mut().unwrap().insert(key.to_owned(), ByteString(b"x".to_vec()));
            let (mended, fresh) = shared(Some(&broken), "s", &names(&["a"]), at(1)).unwrap();
            assert!(fresh, "{key}");
            certified(&material(&mended).unwrap()).unwrap();
        }
        let empty = Secret::default();
        assert!(shared(Some(&empty), "s", &names(&["a"]), at(0)).unwrap().1);
    }

    #[test]
    fn the_ca_vouches_for_the_certificate() {
        let now = SystemTime::now();
        let (made, _) = shared(None, "s", &names(&["127.0.0.1", "b.ns.svc"]), now).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(data(&made, "ca.crt").unwrap()) {
            roots.add(ca.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
        let chain = certified(&material(&made).unwrap()).unwrap();
        for (name, good) in [("127.0.0.1", true), ("b.ns.svc", true), ("127.0.0.2", false)] {
            let verdict = rustls::client::danger::ServerCertVerifier::verify_server_cert(
                &*verifier,
                &chain.cert[0],
                &[],
                &rustls::pki_types::ServerName::try_from(name).unwrap(),
                &[],
                rustls::pki_types::UnixTime::now(),
            );
            assert_eq!(verdict.is_ok(), good, "{name}: {verdict:?}");
        }
    }
}
