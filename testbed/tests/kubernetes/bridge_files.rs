//! What the bridge is given as files: the webhook's certificate, and the controller's token. Both may be written anew
//! under it.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::kube::{NETWORKS, PodSpec};
use testbed::wait::Look;

use crate::needs_kube;
use crate::stage::{Checked, Embedded, LIMIT, Stage, spec, until};

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/isolane-k8s-bridge";
const SECRET: &str = "/api/v1/namespaces/isolane/secrets/isolane-k8s-bridge-webhook";

/// Somebody who vouches for certificates, such as a company's own authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of 127.0.0.1 and its key.
    fn vouch(&self) -> (String, String) {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// As tools that renew do: never half of it.
fn write(folder: &Path, name: &str, text: &str) -> Checked {
    let told = |source| LabError::io(format!("writing {name}"), source);
    let new = folder.join("new");
    fs::write(&new, text).map_err(told)?;
    fs::rename(&new, folder.join(name)).map_err(told)
}

fn binds(stage: &Stage<Embedded>, pod: &str) -> Checked {
    stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
    stage.cluster.bind("default", pod, "n1")?;
    let text = stage.cluster.annotation_of("default", pod, NETWORKS)?;
    assert!(text.starts_with("vpod"), "{pod} has {text}\n{}", stage.bridge_logs());
    Ok(())
}

#[test]
fn a_certificate_that_is_given_as_files_is_served_and_followed() -> Checked {
    if !needs_kube("a certificate that is given as files is served and followed") {
        return Ok(());
    }
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let mut stage = Stage::embedded_so(&spec()?, controller, 1, 8, |cluster, plan| {
        let (certificate, key) = first.vouch();
        for (flag, name, text) in [
            ("cert", "tls.crt", &certificate),
            ("key", "tls.key", &key),
            ("ca", "ca.crt", &first.pem),
        ] {
            write(cluster.folder(), name, text)?;
            let path = cluster.folder().join(name);
            plan.arguments.push(format!("--webhook-{flag}={}", path.display()));
        }
        Ok(())
    })?;
    let folder = stage.cluster.folder().to_owned();
    stage.cluster.network("default", "blue")?;
    binds(&stage, "as-given")?;
    let api = stage.cluster.api();
    assert_eq!(api.get(SECRET)?.status, 404, "it makes none of its own");

    // The key is there before its certificate: what was served before is.
    let (certificate, key) = second.vouch();
    write(&folder, "tls.key", &key)?;
    until("the bridge to see a key that isn't its certificate's", LIMIT, || {
        let log = stage.bridge_logs();
        Ok(match log.contains("the webhook's key is not its certificate's") {
            true => Look::Done(()),
            false => Look::NotYet(log),
        })
    })?;
    binds(&stage, "between")?;
    // Of another authority, which is registered with it.
    let before = bundle(&stage)?;
    write(&folder, "tls.crt", &certificate)?;
    write(&folder, "ca.crt", &second.pem)?;
    until("the other authority to be registered", LIMIT, || {
        let now = bundle(&stage)?;
        Ok(if now == before { Look::NotYet(stage.bridge_logs()) } else { Look::Done(()) })
    })?;
    stage.wait_until_asked(&stage.plan)?;
    binds(&stage, "renewed")?;

    // A replica that is given what can't be served says so, and ends.
    write(&folder, "tls.key", &first.vouch().1)?;
    let replica = stage.plan.replica("wrong")?;
    let error = stage.start_replica(&replica).unwrap_err().to_string();
    assert!(error.contains("key is not its certificate's"), "{error}");
    Ok(())
}

/// The authority that the API server is to trust.
fn bundle(stage: &Stage<Embedded>) -> Result<String, LabError> {
    let api = stage.cluster.api();
    let now = api.done(api.get(CONFIGURATION))?;
    Ok(now["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_token_that_is_renewed_is_used() -> Checked {
    if !needs_kube("a token that is renewed is used") {
        return Ok(());
    }
    let scratch = tempfile::tempdir().map_err(|source| LabError::io("a folder", source))?;
    let tokens = scratch.path().join("tokens");
    write(
        scratch.path(),
        "tokens",
        "the-storys-own-token-0123456789\nthe-bridges-new-token-0123456789\n",
    )?;
    let mut controller = Controller::start_with(
        ([127, 0, 0, 1], 0).into(),
        &["--token-file", &tokens.display().to_string()],
    )?;
    controller.present("the-storys-own-token-0123456789");
    let stage = Stage::embedded_so(&spec()?, controller, 1, 2, |cluster, plan| {
        write(cluster.folder(), "token", "the-bridges-old-token-0123456789\n")?;
        let path = cluster.folder().join("token");
        plan.arguments.push(format!("--token-file={}", path.display()));
        Ok(())
    })?;
    let cluster = &stage.cluster;
    cluster.network("default", "blue")?;
    cluster.pod(&PodSpec::new("p").networks("blue"))?;
    // The controller doesn't know that token (any more): pods wait, and are told why.
    let denied = cluster.try_bind("default", "p", "n1")?;
    assert!((400..600).contains(&denied.status), "{denied}");
    cluster.wait_for_event("default", "p", &["token"])?;
    write(cluster.folder(), "token", "# renewed\nthe-bridges-new-token-0123456789\n")?;
    until("the new token to be used", LIMIT, || {
        let answer = cluster.try_bind("default", "p", "n1")?;
        Ok(match answer.status {
            201 => Look::Done(()),
            _ => Look::NotYet(format!("{answer}\n{}", stage.bridge_logs())),
        })
    })?;
    stage.wait_until_consistent()?;
    stage.wait_for_room("n1", 2)?;
    let log = stage.bridge_logs();
    assert!(!log.contains("token-0123456789"), "a token is logged: {log}");
    let said: Value = json!(
        cluster
            .events_of("Pod", "default", "p")?
            .iter()
            .map(|it| it.message.clone())
            .collect::<Vec<_>>()
    );
    assert!(!said.to_string().contains("token-0123456789"), "{said}");
    Ok(())
}
