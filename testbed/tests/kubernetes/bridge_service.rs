//! Registered by its Service, as the manifests do it: replicas are one webhook, and the API server finds them by the
//! Service's address and its name in the certificate.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::kube::{Balancer, NETWORKS, PodSpec, documents};
use testbed::netns::NetNs;
use testbed::rights::needs_rights;

use crate::manifests::manifest;
use crate::needs_kube;
use crate::stage::{Checked, Embedded, Stage, spec};

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/isolane-k8s-bridge";
/// Of the range that the API server gives Services.
const ADDRESS: &str = "10.96.0.77";

/// The Service of the manifests, at an address that is known.
fn service() -> Result<(Value, u16), LabError> {
    let all = documents(&manifest("bridge.yaml")?)?;
    let found = all.into_iter().find(|it| it["kind"] == "Service");
    let mut service = found.ok_or_else(|| LabError::Wrong("no Service".to_owned()))?;
    service["spec"]["clusterIP"] = json!(ADDRESS);
    let port = service["spec"]["ports"][0]["port"].as_u64().and_then(|it| u16::try_from(it).ok());
    let port = port.ok_or_else(|| LabError::Wrong(format!("no port in {service}")))?;
    Ok((service, port))
}

#[test]
fn behind_their_service_replicas_are_one_webhook() -> Checked {
    let name = "behind their Service replicas are one webhook";
    if !(needs_kube(name) && needs_rights(name)) {
        return Ok(());
    }
    // The Service's address is one of this namespace, where the story has all ports for itself.
    let namespace = NetNs::new("service")?;
    let _entered = namespace.enter()?;
    namespace.ip(&format!("addr add {ADDRESS}/32 dev lo"))?;
    let (service, port) = service()?;
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let webhooks: [SocketAddr; 2] = [([127, 0, 0, 1], 9443).into(), ([127, 0, 0, 1], 9543).into()];
    // What kube-proxy would be.
    let address: SocketAddr = format!("{ADDRESS}:{port}").parse().expect("an address");
    let _proxy = Balancer::on(address, webhooks.to_vec())?;
    let mut stage = Stage::embedded_so(&spec()?, controller, 1, 8, |cluster, plan| {
        cluster.apply_object(&service, false)?;
        (plan.by_service, plan.webhook) = (true, webhooks[0]);
        Ok(())
    })?;
    stage.cluster.network("default", "blue")?;
    let mut second = stage.plan.replica("second")?;
    second.webhook = webhooks[1];
    stage.start_replica(&second)?;

    let api = stage.cluster.api();
    let registered = api.done(api.get(CONFIGURATION))?;
    let all = registered["webhooks"].as_array().cloned().unwrap_or_default();
    assert_eq!(all.len(), 2, "one for Bindings, one for pods: {registered}");
    for webhook in &all {
        let at = &webhook["clientConfig"];
        assert_eq!(at["service"]["name"], "isolane-k8s-bridge", "{at}");
        assert_eq!(at["service"]["namespace"], "isolane", "{at}");
        assert_eq!(at["service"]["port"], port, "{at}");
        assert!(at["url"].is_null(), "{at}");
    }
    binds(&stage, "with-two")?;
    // Whichever it is, the other answers.
    stage.kill_bridge("bridge")?;
    stage.wait_until_asked(&second)?;
    binds(&stage, "with-the-second")?;
    stage.start_bridge()?;
    stage.kill_bridge("second")?;
    stage.wait_until_asked(&stage.plan)?;
    binds(&stage, "with-the-first")?;
    stage.wait_until_consistent().map(drop)
}

fn binds(stage: &Stage<Embedded>, pod: &str) -> Checked {
    stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
    stage.cluster.bind("default", pod, "n1")?;
    let text = stage.cluster.annotation_of("default", pod, NETWORKS)?;
    assert!(text.starts_with("vpod"), "{pod} has {text}\n{}", stage.bridge_logs());
    Ok(())
}
