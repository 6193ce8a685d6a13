//! Interfaces that pods bring back.

use testbed::rights::needs_ovs;

use super::world::{Machine, TWO, pod};

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
