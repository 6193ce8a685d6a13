//! An old pod never hears a new network, whatever became of it: on real Open vSwitch, with host-device itself.
//!
//! "Hears" is the interface's own count of frames, while another network's pods shout (ARP for somebody, and pings).

use testbed::error::LabError;
use testbed::kube::{NETWORKS, PodSpec, Sandbox, is_refused, needs_cni};
use testbed::rights::needs_ovs;
use testbed::wait::Look;

use crate::needs_kube;
use crate::stage::{Checked, LIMIT, Real, Stage, until};

fn may_run(name: &str) -> bool {
    needs_kube(name) && needs_ovs(name) && needs_cni(name)
}

/// Makes, binds and starts a pod, and sets its `net1` up.
fn start(
    stage: &Stage<Real>,
    pod: &str,
    network: &str,
    node: &str,
    address: &str,
) -> Result<Sandbox, LabError> {
    stage.cluster.pod(&PodSpec::new(pod).networks(network))?;
    until(&format!("{pod} to be bound to {node}"), LIMIT, || {
        let answer = stage.cluster.try_bind("default", pod, node)?;
        Ok(if answer.status == 201 { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    let sandbox = run(stage, pod, node)?;
    sandbox.address("net1", address)?;
    Ok(sandbox)
}

/// Starts a bound pod, again and again as a kubelet does.
fn run(stage: &Stage<Real>, pod: &str, node: &str) -> Result<Sandbox, LabError> {
    until(&format!("{pod} to start on {node}"), LIMIT, || {
        match stage.cluster.start_pod("default", pod, stage.node(node)?) {
            Ok(sandbox) => Ok(Look::Done(sandbox)),
            Err(error) => Ok(Look::NotYet(format!("{error}\n{}", stage.bridge_logs()))),
        }
    })
}

/// Two pods talk; nobody of `others` hears a frame of it.
fn talk_unheard(from: &Sandbox, to: &str, others: &[&Sandbox]) -> Checked {
    let count = |it: &&Sandbox| it.heard("net1");
    // What they know of their own network's others would be asked for again, and answered, some time.
    others.iter().try_for_each(|it| it.netns().ip("neigh flush dev net1"))?;
    let before: Vec<u64> = others.iter().map(count).collect::<Result<_, _>>()?;
    answers(from, to)?;
    // Somebody who isn't there is asked for, which floods the network, until the kernel gives up.
    from.ping("192.168.12.99", 1, 60)?;
    let after: Vec<u64> = others.iter().map(count).collect::<Result<_, _>>()?;
    assert_eq!(after, before, "frames that old pods have heard");
    Ok(())
}

/// Waits until a ping is answered.
fn answers(from: &Sandbox, to: &str) -> Checked {
    until(&format!("{to} to answer"), LIMIT, || {
        let said = from.ping(to, 2, 2)?;
        Ok(if said.contains("ttl=64") { Look::Done(()) } else { Look::NotYet(said) })
    })
}

/// Its object is gone, but its kubelet hasn't ended it: it still has `vpod1`.
#[test]
fn a_pod_that_was_deleted_by_force_keeps_its_interface_from_others_until_it_is_given_back()
-> Checked {
    if !may_run("a pod that was deleted by force keeps its interface from others") {
        return Ok(());
    }
    let stage = Stage::real(&["a", "b"], 2)?;
    stage.cluster.network("default", "old")?;
    stage.cluster.network("default", "new")?;
    let old = start(&stage, "old", "old", "a", "192.168.12.1/24")?;
    let peer = start(&stage, "peer", "old", "b", "192.168.12.2/24")?;
    answers(&old, "192.168.12.2")?;

    stage.cluster.delete_now("default", "old")?;
    stage.wait_for_attachments(1)?;
    // The old network's others don't hear it any more.
    let heard = peer.heard("net1")?;
    old.ping("192.168.12.2", 2, 1)?;
    assert_eq!(peer.heard("net1")?, heard, "a pod that is gone is heard");

    let first = start(&stage, "new-1", "new", "a", "192.168.12.11/24")?;
    let _far = start(&stage, "new-far", "new", "b", "192.168.12.12/24")?;
    assert_ne!(first.definitions(), old_definitions(&old), "the interface is still in the old pod");
    talk_unheard(&first, "192.168.12.12", &[&old, &peer])?;

    // There is no other interface: the next pod is denied until the old one's is back.
    stage.cluster.pod(&PodSpec::new("new-2").networks("new"))?;
    let denied = stage.cluster.try_bind("default", "new-2", "a")?;
    assert!(
        (400..500).contains(&denied.status) && is_refused(&denied, denied.status, &["a"]),
        "{denied}"
    );
    old.remove(stage.node("a")?)?;
    until("the interface that came back to be given out", LIMIT, || {
        let answer = stage.cluster.try_bind("default", "new-2", "a")?;
        Ok(if answer.status == 201 { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    let second = run(&stage, "new-2", "a")?;
    second.address("net1", "192.168.12.13/24")?;
    talk_unheard(&second, "192.168.12.12", &[&peer])
}

fn old_definitions(old: &Sandbox) -> Vec<&str> {
    old.definitions()
}

/// A finished job's sandbox may stay for long.
#[test]
fn a_pod_that_ended_but_holds_its_interface_hears_nothing() -> Checked {
    if !may_run("a pod that ended but holds its interface hears nothing") {
        return Ok(());
    }
    let stage = Stage::real(&["a", "b"], 2)?;
    stage.cluster.network("default", "old")?;
    stage.cluster.network("default", "new")?;
    let old = start(&stage, "old", "old", "a", "192.168.12.1/24")?;
    let peer = start(&stage, "peer", "old", "b", "192.168.12.2/24")?;
    answers(&peer, "192.168.12.1")?;
    stage.cluster.set_phase("default", "old", "Succeeded")?;
    stage.wait_for_attachments(1)?;
    let heard = old.heard("net1")?;
    peer.ping("192.168.12.1", 2, 1)?;
    assert_eq!(old.heard("net1")?, heard, "a pod that ended hears its old network");
    let new = start(&stage, "new", "new", "a", "192.168.12.11/24")?;
    let far = start(&stage, "far", "new", "b", "192.168.12.12/24")?;
    talk_unheard(&new, "192.168.12.12", &[&old, &peer])?;
    drop(far);
    Ok(())
}

#[test]
fn a_pod_that_names_a_pool_interface_itself_is_denied() -> Checked {
    if !needs_kube("a pod that names a pool interface itself is denied") {
        return Ok(());
    }
    let stage = Stage::embedded(1, 3)?;
    let cluster = &stage.cluster;
    cluster.namespace("team")?;
    cluster.network("default", "blue")?;
    // Another name for the same device, too.
    cluster.definition("default", "sneaky", &testbed::kube::pool_definition("vpod2"))?;
    let cases = [
        ("plain", "default", "vpod3"),
        ("from-afar", "team", "default/vpod3"),
        ("among-others", "default", "blue,vpod3@lan"),
        ("as-json", "default", r#"[{"name":"vpod3"}]"#),
        ("other-name", "default", "sneaky"),
    ];
    for (name, namespace, networks) in cases {
        let made = cluster.try_pod(&PodSpec::new(name).within(namespace).networks(networks))?;
        if made.status == 201 {
            let denied = cluster.try_bind(namespace, name, "n1")?;
            assert!((400..500).contains(&denied.status), "{name}: {denied}");
            assert_eq!(cluster.annotation_of(namespace, name, NETWORKS)?, networks);
        } else {
            assert!((400..500).contains(&made.status), "{name}: {made}");
        }
    }
    assert_eq!(stage.attachments()?, []);
    Ok(())
}

#[test]
fn a_node_that_reboots_has_its_pods_on_their_networks_again_and_on_no_other() -> Checked {
    if !may_run("a node that reboots has its pods on their networks again") {
        return Ok(());
    }
    let mut stage = Stage::real(&["a", "b"], 3)?;
    stage.cluster.network("default", "blue")?;
    stage.cluster.network("default", "red")?;
    let blue = start(&stage, "blue-a", "blue", "a", "192.168.12.1/24")?;
    let red = start(&stage, "red-a", "red", "a", "192.168.12.2/24")?;
    let far = start(&stage, "blue-b", "blue", "b", "192.168.12.3/24")?;
    talk_unheard(&far, "192.168.12.1", &[&red])?;

    // The node loses all namespaces and devices; pods keep their objects.
    drop((blue, red));
    let (openflow, rest) = (stage.controller.openflow(), stage.scene.line.address());
    stage.scene.nodes.reboot("a")?;
    stage.scene.nodes.start_side("a", openflow, rest)?;
    let blue = run(&stage, "blue-a", "a")?;
    blue.address("net1", "192.168.12.1/24")?;
    let red = run(&stage, "red-a", "a")?;
    red.address("net1", "192.168.12.2/24")?;
    talk_unheard(&far, "192.168.12.1", &[&red])?;
    // A new pod of the rebooted node takes nobody's place.
    let other = start(&stage, "red-b", "red", "b", "192.168.12.4/24")?;
    talk_unheard(&other, "192.168.12.2", &[&blue, &far])
}

#[test]
fn a_switch_pod_that_is_killed_comes_back_with_every_network_as_it_was() -> Checked {
    if !may_run("a switch pod that is killed comes back with every network as it was") {
        return Ok(());
    }
    let stage = Stage::real(&["a", "b"], 3)?;
    stage.cluster.network("default", "blue")?;
    stage.cluster.network("default", "red")?;
    let blue = start(&stage, "blue-a", "blue", "a", "192.168.12.1/24")?;
    let red = start(&stage, "red-a", "red", "a", "192.168.12.2/24")?;
    let far = start(&stage, "blue-b", "blue", "b", "192.168.12.3/24")?;
    answers(&far, "192.168.12.1")?;
    stage.scene.nodes.node("a")?.ovs().kill()?;
    stage.cluster.delete_now("default", "red-a")?;
    stage.scene.nodes.node("a")?.ovs().restart()?;
    answers(&far, "192.168.12.1")?;
    talk_unheard(&far, "192.168.12.1", &[&red])?;
    drop(blue);
    Ok(())
}
