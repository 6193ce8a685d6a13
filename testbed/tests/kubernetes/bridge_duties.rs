//! What replicas keep as it should be: the webhook's registration, its certificate, and who leads.

use serde_json::{Value, json};
use testbed::kube::{NETWORKS, PodSpec};
use testbed::wait::{Look, until};

use crate::needs_kube;
use crate::stage::{Checked, Embedded, LIMIT, Stage};

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/isolane-k8s-bridge";
const SECRET: &str = "/api/v1/namespaces/isolane/secrets/isolane-k8s-bridge-webhook";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/isolane/leases/isolane-k8s-bridge";

/// The webhooks' CAs, as they are registered.
fn bundles(configuration: &Value) -> Vec<String> {
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    let bundle = |it: &Value| it["clientConfig"]["caBundle"].as_str().map(str::to_owned);
    webhooks.filter_map(bundle).collect()
}

/// A pod is bound, and has its interface in the same write.
fn binds(stage: &Stage<Embedded>, pod: &str) -> Checked {
    stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
    stage.cluster.bind("default", pod, "n1")?;
    let text = stage.cluster.annotation_of("default", pod, NETWORKS)?;
    assert!(text.starts_with("vpod"), "{pod} has {text}\n{}", stage.bridge_logs());
    Ok(())
}

#[test]
fn replicas_keep_the_webhook_right_and_take_turns() -> Checked {
    if !needs_kube("replicas keep the webhook right and take turns") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 8)?;
    stage.cluster.network("default", "blue")?;
    binds(&stage, "first")?;
    the_registration_comes_back(&stage)?;
    binds(&stage, "second")?;
    a_new_certificate_is_trusted(&stage)?;
    binds(&stage, "third")?;
    another_replica_leads(&mut stage)
}

fn the_registration_comes_back(stage: &Stage<Embedded>) -> Checked {
    let api = stage.cluster.api();
    let right = api.done(api.get(CONFIGURATION))?;
    for webhook in right["webhooks"].as_array().unwrap() {
        assert_eq!(webhook["failurePolicy"], "Ignore");
        assert_eq!(webhook["sideEffects"], "NoneOnDryRun");
        assert_eq!(webhook["timeoutSeconds"], 2);
    }
    let mut wrong = right.clone();
    wrong["webhooks"][0]["failurePolicy"] = json!("Fail");
    wrong["webhooks"][1]["rules"] = json!([]);
    api.done(api.call("PUT", CONFIGURATION, &wrong))?;
    let is_right = |look: &Value| look["webhooks"] == right["webhooks"];
    until("the registration to be put right", LIMIT, || {
        let now = api.done(api.get(CONFIGURATION))?;
        Ok(if is_right(&now) { Look::Done(()) } else { Look::NotYet(now.to_string()) })
    })?;
    api.done(api.call("DELETE", CONFIGURATION, &json!({})))?;
    stage.wait_until_asked(&stage.plan)?;
    let now = api.done(api.get(CONFIGURATION))?;
    assert!(is_right(&now), "{now}");
    Ok(())
}

fn a_new_certificate_is_trusted(stage: &Stage<Embedded>) -> Checked {
    let api = stage.cluster.api();
    let old = bundles(&api.done(api.get(CONFIGURATION))?);
    let secret = api.done(api.get(SECRET))?;
    assert_eq!(secret["data"]["ca.crt"].as_str(), old.first().map(String::as_str));
    api.done(api.call("DELETE", SECRET, &json!({})))?;
    until("another CA to be registered", LIMIT, || {
        let now = bundles(&api.done(api.get(CONFIGURATION))?);
        let fresh = now.len() == old.len() && now.iter().all(|it| !old.contains(it));
        Ok(if fresh { Look::Done(()) } else { Look::NotYet(stage.bridge_logs()) })
    })?;
    stage.wait_until_asked(&stage.plan)
}

fn another_replica_leads(stage: &mut Stage<Embedded>) -> Checked {
    let second = stage.plan.replica("second")?;
    stage.start_replica(&second)?;
    let api = stage.cluster.api();
    let holder = |stage: &Stage<Embedded>| {
        let api = stage.cluster.api();
        let lease = api.done(api.get(LEASE))?;
        Ok::<_, testbed::error::LabError>(lease["spec"]["holderIdentity"].to_string())
    };
    // One certificate is for both.
    let all = bundles(&api.done(api.get(CONFIGURATION))?);
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|it| *it == all[0]));
    let before = holder(stage)?;
    let first = stage.bridges.remove("bridge").unwrap();
    assert!(before.contains(&first.id().to_string()), "{before}");
    // It gives the lease back, and what it was asked is answered.
    first.stop()?;
    until("the other replica to lead", LIMIT, || {
        let now = holder(stage)?;
        let id = stage.bridges["second"].id().to_string();
        Ok(if now.contains(&id) { Look::Done(()) } else { Look::NotYet(now) })
    })?;
    binds(stage, "fourth")?;
    for pod in ["first", "second", "third"] {
        stage.cluster.delete_now("default", pod)?;
    }
    stage.wait_for_attachments(1)?;
    // A replica that can't be reached any more isn't asked for ever.
    until("the first replica to be taken off", LIMIT * 2, || {
        let api = stage.cluster.api();
        let left = bundles(&api.done(api.get(CONFIGURATION))?).len();
        Ok(if left == 2 { Look::Done(()) } else { Look::NotYet(stage.bridge_logs()) })
    })
}
