//! Which switches there are and which are joined.

/// The shape of a lab. Sizes are bounded only by the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `s1`–`s2`–…: one or more.
    Line(usize),
    /// A closed line: three or more.
    Ring(usize),
    /// Each joined with each other: one or more.
    Mesh(usize),
    /// Each leaf joined with each spine; hosts are at leaves only.
    LeafSpine {
        /// `leaf1`, `leaf2`, …: one or more.
        leaves: usize,
        /// `spine1`, …: one or more.
        spines: usize,
    },
}

/// How switches are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trunks {
    /// A veth pair; each switch is an Open vSwitch of its own, in a namespace of its own.
    Veth,
    /// Patch ports; all switches are bridges of one Open vSwitch.
    Patch,
    /// Kernel VXLAN devices as L2S-M makes them: link k is `vxlan<k>`, VNI 1960+k, at both ends.
    KernelVxlan,
    /// VXLAN tunnels of Open vSwitch's own with `key=flow`: a frame's `tun_id` is its VNI.
    OvsVxlan,
}

impl Trunks {
    /// All of them, for tests that try each.
    pub const ALL: [Self; 4] = [Self::Veth, Self::Patch, Self::KernelVxlan, Self::OvsVxlan];

    /// Whether these can carry a `tun_id`, so that a link may be declared with that encapsulation.
    pub fn carry_tun_id(self) -> bool {
        self == Self::OvsVxlan
    }

    /// Whether all switches are bridges of one Open vSwitch.
    pub fn share_one_ovs(self) -> bool {
        self == Self::Patch
    }
}

/// Two joined switches, by their place in [`Topology::switches`], the first being the lower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Counted from 1.
    pub number: usize,
    /// The two switches.
    pub switches: [usize; 2],
    /// The name of the trunk port at each of them.
    pub ports: [String; 2],
}

impl Topology {
    /// The switches' names, in order of their datapath ids, which count from 1.
    pub fn switches(self) -> Vec<String> {
        let named =
            |prefix: &str, count| (1..=count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
        match self {
            Self::Line(count) | Self::Ring(count) | Self::Mesh(count) => named("s", count),
            Self::LeafSpine { leaves, spines } => {
                [named("leaf", leaves), named("spine", spines)].concat()
            }
        }
    }

    /// How many of the switches, from the first on, have hosts.
    pub fn edges(self) -> usize {
        match self {
            Self::Line(count) | Self::Ring(count) | Self::Mesh(count) => count,
            Self::LeafSpine { leaves, .. } => leaves,
        }
    }

    /// The links, numbered in order.
    pub fn links(self, trunks: Trunks) -> Vec<Link> {
        let names = self.switches();
        let port = |number, from: usize, to: usize| match trunks {
            Trunks::KernelVxlan => format!("vxlan{number}"),
            _ => format!("{}-{}", names[from], names[to]),
        };
        let numbered = (1..).zip(self.pairs());
        numbered
            .map(|(number, [a, b])| Link {
                number,
                switches: [a, b],
                ports: [port(number, a, b), port(number, b, a)],
            })
            .collect()
    }

    fn pairs(self) -> Vec<[usize; 2]> {
        let line = |count: usize| (1..count).map(|b| [b - 1, b]);
        match self {
            Self::Line(count) => line(count).collect(),
            Self::Ring(count) => line(count).chain((count > 2).then(|| [0, count - 1])).collect(),
            Self::Mesh(count) => (1..count).flat_map(|b| (0..b).map(move |a| [a, b])).collect(),
            Self::LeafSpine { leaves, spines } => (0..leaves)
                .flat_map(|leaf| (0..spines).map(move |spine| [leaf, leaves + spine]))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_has_its_switches_and_links() {
        let cases = [
            (Topology::Line(3), "s1 s2 s3", "s1-s2 s2-s3"),
            (Topology::Ring(4), "s1 s2 s3 s4", "s1-s2 s2-s3 s3-s4 s1-s4"),
            (Topology::Mesh(4), "s1 s2 s3 s4", "s1-s2 s1-s3 s2-s3 s1-s4 s2-s4 s3-s4"),
            (
                Topology::LeafSpine { leaves: 3, spines: 2 },
                "leaf1 leaf2 leaf3 spine1 spine2",
                "leaf1-spine1 leaf1-spine2 leaf2-spine1 leaf2-spine2 leaf3-spine1 leaf3-spine2",
            ),
            (Topology::Line(1), "s1", ""),
        ];
        for (topology, switches, links) in cases {
            assert_eq!(topology.switches().join(" "), switches, "{topology:?}");
            let ports: Vec<_> = topology
                .links(Trunks::Veth)
                .into_iter()
                .map(|link| link.ports[0].clone())
                .collect();
            assert_eq!(ports.join(" "), links, "{topology:?}");
        }
    }

    #[test]
    fn kernel_vxlan_devices_are_named_as_l2s_m_names_them() {
        let links = Topology::Line(3).links(Trunks::KernelVxlan);
        assert_eq!(links[1].ports, ["vxlan2", "vxlan2"]);
    }
}
