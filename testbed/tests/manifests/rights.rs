//! The bridge with the rights of its service account, and no others.

use std::time::Duration;

use serde_json::json;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::kube::{BridgePlan, Cluster, L2SM_NETWORK, NETWORKS, PodSpec, needs_kube};
use testbed::switch::{Datapath, PortSpec};
use testbed::wait::{Look, until};
use testbed::wire::EmbeddedFabric;

use super::{Checked, folder, read};

const LIMIT: Duration = Duration::from_secs(90);
const NAME: &str = "isolane-k8s-bridge";

/// All that the bridge does, from its Lease to a pod's interface, on a cluster where only `deploy/` gave it rights.
#[test]
fn the_bridge_works_with_exactly_its_rights() -> Checked {
    if !needs_kube("the bridge works with exactly its rights") {
        return Ok(());
    }
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|source| LabError::io("starting a runtime", source))?;
    let _switch = {
        let _inside = runtime.enter();
        let ports =
            (1..).zip(["vhost1", "vhost2"]).map(|(at, name): (u32, _)| PortSpec::new(at, name));
        EmbeddedFabric::new()
            .without_capture()
            .add(controller.openflow(), Datapath::new(1, "n1", ports))
    };
    controller.wait_for_switches(1)?;

    let cluster = Cluster::start()?;
    for file in ["namespace.yaml", "bridge-rights.yaml", "interfaces.yaml"] {
        cluster.apply(&read(&folder(file)), false)?;
    }
    cluster.node("n1")?;
    cluster.definition("default", "blue", L2SM_NETWORK)?;
    let mut plan = BridgePlan::alone(&cluster, controller.rest().address())?;
    plan.kubeconfig = cluster.account_kubeconfig("isolane", NAME)?;
    plan.arguments = vec!["--namespace=isolane".to_owned()];
    let bridge = plan.start(cluster.folder())?;
    let log = || format!("the bridge said:\n{}", bridge.log());

    let asks = PodSpec::new("asks").networks("blue");
    until("the node to advertise its interfaces", LIMIT, || {
        let node = cluster.node_named("n1")?;
        let ports = &node["status"]["allocatable"]["isolane.io/port"];
        Ok(if *ports == json!("2") {
            Look::Done(())
        } else {
            Look::NotYet(format!("{ports}; {}", log()))
        })
    })?;
    until("the webhook to be asked", LIMIT, || {
        let path = "/api/v1/namespaces/default/pods?dryRun=All";
        let asked = cluster.api().call("POST", path, &asks.object())?;
        let given = asked.body.to_string().contains("isolane.io/port");
        Ok(if given { Look::Done(()) } else { Look::NotYet(format!("{asked}; {}", log())) })
    })?;

    cluster.pod(&asks)?;
    cluster.bind("default", "asks", "n1")?;
    let annotation = cluster.annotation_of("default", "asks", NETWORKS)?;
    assert!(annotation.contains("vpod"), "{annotation}; {}", log());
    cluster.wait_for_event("default", "asks", &["joins default.blue"])?;
    // Bound before it was made: the way past the webhook, which patches the pod.
    cluster.pod(&PodSpec::new("past").networks("blue").on("n1"))?;
    cluster.wait_for_annotation("default", "past", NETWORKS, |text| text.contains("vpod"))?;
    for pod in ["asks", "past"] {
        cluster.delete_now("default", pod)?;
    }
    until("the interfaces to be free again", LIMIT, || {
        let all = controller.rest().get("/api/v1/attachments")?;
        let none = all.body["items"].as_array().is_some_and(Vec::is_empty);
        Ok(if none { Look::Done(()) } else { Look::NotYet(format!("{all}; {}", log())) })
    })?;

    let said = bridge.log();
    assert!(!said.to_lowercase().contains("forbidden") && !said.contains("403"), "{said}");
    let account = cluster.account("isolane", NAME)?;
    for path in [
        "/api/v1/secrets",
        "/api/v1/namespaces/isolane/secrets",
        "/api/v1/namespaces/isolane/secrets/isolane-token",
        "/api/v1/namespaces/default",
        "/api/v1/configmaps",
    ] {
        assert_eq!(account.get(path)?.status, 403, "{path}");
    }
    Ok(())
}
