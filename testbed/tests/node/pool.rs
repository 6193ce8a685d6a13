//! Interfaces that pods bring back.

use serde_json::json;
use testbed::controller::Controller;
use testbed::rights::needs_ovs;

use super::world::{Machine, TWO, pod, target};

#[test]
fn a_returned_interface_is_as_it_was_before() {
    if !needs_ovs("a returned interface is as it was before") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let _side = a.keep(TWO, &[]);
    a.wait("all to be made", |a| a.log().contains("all is as the document says"));
    let before = a.link("vpod1");
    let pod = pod("pod");
    a.give(1, &pod);
    pod.ip("link set net1 down\nlink set net1 address 02:00:00:00:00:99 mtu 1200 promisc on allmulticast on arp off\n\
            link set net1 multicast off\nlink set net1 up")
        .unwrap();
    a.take_back(1, &pod);
    let plain = |it: &serde_json::Value| {
        let mut it = it.clone();
        // Given anew with each move.
        it["ifindex"].take();
        it.to_string()
    };
    a.wait("the interface to be reset", |a| plain(&a.link("vpod1")) == plain(&before));
}

/// Whether the controller gives an interface out is what the node's side says of it.
#[test]
fn an_interface_is_given_out_again_once_it_is_home_and_reset() {
    if !needs_ovs("an interface is given out again once it is home and reset") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let _entered = a.namespace.enter().unwrap();
    let controller = Controller::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let (openflow, rest) =
        (target(controller.openflow()), format!("http://{}", controller.rest().address()));
    let args = ["--openflow", openflow.as_str(), "--controller", rest.as_str()];
    let one = TWO.replace("interfaces: 2", "interfaces: 1");
    let side = a.keep(&one, &args);
    controller.wait_for_switches(1).unwrap();
    controller.create_network("blue").unwrap();
    let asks = |owner: &str| {
        let body = json!({ "switch": "a", "owner": owner });
        let answer =
            controller.rest().call("POST", "/api/v1/networks/blue/attachments", &body).unwrap();
        assert!(matches!(answer.status, 200 | 201 | 409), "{answer}");
        answer.body["id"].as_str().map(str::to_owned)
    };
    let gives_up = |id: &str| {
        let path = format!("/api/v1/attachments/{id}");
        assert_eq!(controller.rest().send("DELETE", &path, None).unwrap().status, 204);
    };
    a.wait("the interface to be given out", |_| asks("first").is_some());
    let first = asks("first").unwrap();
    let pod = pod("pod");
    a.give(1, &pod);
    a.wait("the controller to be told", |a| a.log().contains("ready=false"));
    gives_up(&first);
    assert_eq!(asks("second"), None, "an interface is given out that is still inside a pod");
    pod.ip("link set net1 down\nlink set net1 mtu 1200\nlink set net1 up").unwrap();
    a.take_back(1, &pod);
    a.wait("the interface to be given out again", |_| asks("second").is_some());
    assert_eq!(a.link("vpod1")["mtu"], 1446);
    gives_up(&asks("second").unwrap());

    // One that isn't there any more, as after `--remove`, is not given out either.
    side.stop();
    a.node(&["--remove", "--controller", &rest]);
    assert_eq!(asks("third"), None);
}

/// Whose token the controller doesn't know is told so, and uses another as soon as it has one.
#[test]
fn a_token_that_is_renewed_is_used() {
    if !needs_ovs("a token that is renewed is used") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let _entered = a.namespace.enter().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (mine, new) = ("the-storys-own-token-0123456789", "the-nodes-new-token-0123456789");
    std::fs::write(path("tokens"), format!("{mine}\n{new}\n")).unwrap();
    std::fs::write(path("token"), "the-nodes-old-token-0123456789\n").unwrap();
    let tokens = path("tokens");
    let mut controller =
        Controller::start_with("127.0.0.1:0".parse().unwrap(), &["--token-file", tokens.as_str()])
            .unwrap();
    controller.present(mine);
    let (openflow, rest) =
        (target(controller.openflow()), format!("http://{}", controller.rest().address()));
    let token = path("token");
    let args = ["--openflow", &openflow, "--controller", &rest, "--token-file", &token];
    let _side = a.keep(TWO, &args);
    controller.wait_for_switches(1).unwrap();
    a.wait("the token to be refused", |a| a.log().contains("not told:"));
    std::fs::write(path("new"), format!("# renewed\n{new}\n")).unwrap();
    std::fs::rename(path("new"), &token).unwrap();
    a.wait("the new one to be used", |a| a.log().contains("the controller knows all"));
    let switch = controller.rest().get("/api/v1/switches/a").unwrap();
    let ports = switch.body["ports"].as_array().unwrap();
    let pool: Vec<_> = ports.iter().filter(|it| it["role"] == "pool").collect();
    assert!(pool.len() == 2 && pool.iter().all(|it| it["ready"] == true), "{switch}");
    assert!(!a.log().contains("token-0123456789"), "{}", a.log());
}
