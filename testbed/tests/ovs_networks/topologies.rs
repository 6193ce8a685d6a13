//! The same story on every topology, over every kind of trunk.

use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;

use super::story::{Checked, Story};

/// Two networks over all switches and one host in none, from nothing to nothing.
fn two_networks_live_apart(topology: Topology, trunks: Trunks) -> Checked {
    let story = Story::begin(topology, trunks, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue, outside) = (story.hosts("h1"), story.hosts("h2"), story.hosts("h3"));
    let empty = lab.tables()?;
    let capture = lab.capture_control()?;

    controller.create_network("red")?;
    controller.create_network("blue")?;
    for (at, (one, other)) in red.iter().zip(&blue).enumerate() {
        story.attach("red", one)?;
        // The very first frames: nothing is learnt, nothing was sent before.
        story.floods_reach(&red[..=at])?;
        story.attach("blue", other)?;
        story.floods_reach(&blue[..=at])?;
    }
    story.is_mute(outside[0])?;
    story.unicast_reaches_its_host_only("red", &red)?;
    story.unicast_reaches_its_host_only("blue", &blue)?;
    story.floods_reach(&red)?;
    story.floods_reach(&blue)?;

    // One port out: not one more frame.
    let (gone, rest) = red.split_first().expect("hosts");
    story.detach("red", gone)?;
    story.is_mute(gone)?;
    story.floods_reach(rest)?;
    lab.expect(rest[0], &lab.unicast(rest[0], gone)?, &rest[1..])?;
    // Into the other network: it hears that one only.
    story.attach("blue", gone)?;
    let grown: Vec<&str> = blue.iter().chain([gone]).copied().collect();
    story.floods_reach(&grown)?;
    story.floods_reach(rest)?;
    story.unicast_reaches_its_host_only("blue", &grown)?;

    controller.delete_network("red", true)?;
    for host in &grown {
        story.detach("blue", host)?;
    }
    controller.delete_network("blue", false)?;
    assert_eq!(lab.tables()?, empty, "nothing is left behind");
    assert_eq!(capture.complaints()?, [""; 0]);
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

/// A test for each.
macro_rules! stories {
    ($($name:ident $title:literal $topology:expr, $trunks:ident;)*) => {$(
        #[test]
        fn $name() -> Checked {
            if !needs_ovs($title) {
                return Ok(());
            }
            two_networks_live_apart($topology, Trunks::$trunks)
        }
    )*};
}

const LEAVES: Topology = Topology::LeafSpine { leaves: 3, spines: 2 };

stories! {
    two_networks_live_apart_on_a_line_of_veth "two networks live apart on a line of veth" Topology::Line(3), Veth;
    two_networks_live_apart_in_a_ring_of_veth "two networks live apart in a ring of veth" Topology::Ring(4), Veth;
    two_networks_live_apart_in_a_mesh_of_veth "two networks live apart in a mesh of veth" Topology::Mesh(4), Veth;
    two_networks_live_apart_on_leaves_over_veth "two networks live apart on leaves over veth" LEAVES, Veth;

    two_networks_live_apart_on_a_line_of_patches "two networks live apart on a line of patches" Topology::Line(3), Patch;
    two_networks_live_apart_in_a_ring_of_patches "two networks live apart in a ring of patches" Topology::Ring(4), Patch;
    two_networks_live_apart_in_a_mesh_of_patches "two networks live apart in a mesh of patches" Topology::Mesh(4), Patch;
    two_networks_live_apart_on_leaves_over_patches "two networks live apart on leaves over patches" LEAVES, Patch;

    two_networks_live_apart_on_a_line_of_vxlan "two networks live apart on a line of VXLAN" Topology::Line(3), KernelVxlan;
    two_networks_live_apart_in_a_ring_of_vxlan "two networks live apart in a ring of VXLAN" Topology::Ring(4), KernelVxlan;
    two_networks_live_apart_in_a_mesh_of_vxlan "two networks live apart in a mesh of VXLAN" Topology::Mesh(4), KernelVxlan;
    two_networks_live_apart_on_leaves_over_vxlan "two networks live apart on leaves over VXLAN" LEAVES, KernelVxlan;

    two_networks_live_apart_on_a_line_of_tunnels "two networks live apart on a line of tunnels" Topology::Line(3), OvsVxlan;
    two_networks_live_apart_in_a_ring_of_tunnels "two networks live apart in a ring of tunnels" Topology::Ring(4), OvsVxlan;
    two_networks_live_apart_in_a_mesh_of_tunnels "two networks live apart in a mesh of tunnels" Topology::Mesh(4), OvsVxlan;
    two_networks_live_apart_on_leaves_over_tunnels "two networks live apart on leaves over tunnels" LEAVES, OvsVxlan;
}
