//! The lab itself, on real Open vSwitch without a controller: what its proofs rest on.

// All of this file is test code, its helpers too.
#![allow(clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testbed::error::LabError;
use testbed::host::{BROADCAST, Frame, Tag};
use testbed::ovs::{Lab, LabSpec, Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

type Checked = Result<(), LabError>;

/// How a frame's network is written on a trunk.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Vlan,
    TunId,
}

/// One flooded network of all first hosts, by hand: a group on each switch, along a tree.
fn program(lab: &Lab, mark: Mark) -> Checked {
    let (to_trunk, from_trunk, strip) = match mark {
        Mark::Vlan => ("push_vlan:0x8100,set_field:4103->vlan_vid,", "dl_vlan=7", "pop_vlan,"),
        Mark::TunId => ("set_field:7->tun_id,", "tun_id=7", ""),
    };
    let tree = tree(lab);
    for (index, switch) in lab.switches().iter().enumerate() {
        let (mut buckets, mut flows) = (String::new(), String::new());
        let member = format!("{}h1", switch.name());
        if switch.ports().contains(&member) {
            let port = switch.port(&member)?;
            buckets += &format!(",bucket=output:{port}");
            flows += &format!("in_port={port},actions=group:1\n");
        }
        for port in tree.iter().filter(|(at, _)| *at == index).map(|(_, port)| switch.port(port)) {
            let port = port?;
            buckets += &format!(",bucket={to_trunk}output:{port}");
            flows += &format!("in_port={port},{from_trunk},actions={strip}group:1\n");
        }
        switch.node().add_groups(&format!("group_id=1,type=all{buckets}\n"))?;
        switch.node().add_flows(&flows)?;
    }
    Ok(())
}

/// The trunk ports of a tree over all switches.
fn tree(lab: &Lab) -> Vec<(usize, String)> {
    let mut reached = BTreeSet::from([0]);
    let mut ports = Vec::new();
    while reached.len() < lab.switches().len() {
        let next = lab
            .links()
            .iter()
            .find(|link| link.switches.iter().filter(|it| reached.contains(it)).count() == 1);
        let link = next.expect("a topology is connected");
        reached.extend(link.switches);
        ports.extend(link.switches.iter().copied().zip(link.ports.iter().cloned()));
    }
    ports
}

fn first_hosts_but(lab: &Lab, sender: &str) -> Vec<String> {
    let names = lab.hosts().iter().map(|host| host.name().to_owned());
    names.filter(|name| name.ends_with("h1") && name != sender).collect()
}

/// Frames a tenant may send: plain, tagged, doubly tagged, each also as large as it gets.
fn tenants_frames(lab: &Lab, from: &str) -> Result<Vec<Frame>, LabError> {
    let mac = lab.host(from)?.mac();
    let mut frames = Vec::new();
    for size in [46, 1500] {
        let plain = |lab: &Lab| Frame::probe_of_size(BROADCAST, mac, lab.next_id(), size);
        frames.push(plain(lab));
        frames.push(plain(lab).tagged(Tag::dot1q(7, 5)));
        frames.push(plain(lab).tagged(Tag::dot1ad(4094, 2)));
        frames.push(plain(lab).tagged(Tag::dot1q(1, 0)).tagged(Tag::dot1q(7, 7)));
        frames.push(plain(lab).tagged(Tag::dot1q(100, 1)).tagged(Tag::dot1ad(200, 6)));
    }
    Ok(frames)
}

/// Every trunk kind, every mark it can carry: any frame of a tenant reaches the members once, bit for bit.
fn carries_everything(topology: Topology, trunks: Trunks, mark: Mark) -> Checked {
    let lab = Lab::build(topology, trunks, 2)?;
    program(&lab, mark)?;
    let sender = lab.hosts()[0].name().to_owned();
    let members = first_hosts_but(&lab, &sender);
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let frames = tenants_frames(&lab, &sender)?;
    let sent: Vec<_> = frames.iter().map(|frame| (sender.as_str(), frame.clone())).collect();
    let expected: Vec<_> = frames.iter().map(|frame| (frame.clone(), members.clone())).collect();
    lab.probe_all(&sent)?.exactly_all(&expected)?;
    // A host that is in no network is heard by nobody.
    let outsider = lab.hosts()[1].name();
    lab.expect(outsider, &lab.broadcast(outsider)?, &[])?;
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

#[test]
fn veth_trunks_carry_everything() -> Checked {
    if !needs_ovs("veth trunks carry everything") {
        return Ok(());
    }
    carries_everything(Topology::Line(3), Trunks::Veth, Mark::Vlan)
}

#[test]
fn patch_trunks_carry_everything() -> Checked {
    if !needs_ovs("patch trunks carry everything") {
        return Ok(());
    }
    carries_everything(Topology::Mesh(4), Trunks::Patch, Mark::Vlan)
}

#[test]
fn kernel_vxlan_trunks_carry_everything() -> Checked {
    if !needs_ovs("kernel VXLAN trunks carry everything") {
        return Ok(());
    }
    carries_everything(Topology::Ring(3), Trunks::KernelVxlan, Mark::Vlan)
}

#[test]
fn ovs_tunnels_carry_everything_tagged_or_by_tun_id() -> Checked {
    if !needs_ovs("Open vSwitch tunnels carry everything") {
        return Ok(());
    }
    let leaves = Topology::LeafSpine { leaves: 2, spines: 2 };
    carries_everything(leaves, Trunks::OvsVxlan, Mark::TunId)?;
    carries_everything(Topology::Line(2), Trunks::OvsVxlan, Mark::Vlan)
}

/// A proof that can't fail proves nothing: a leak, a duplicate, a changed and a lost frame must each be seen.
#[test]
fn the_lab_sees_leaks_duplicates_changes_and_losses() -> Checked {
    if !needs_ovs("the lab sees leaks, duplicates, changes and losses") {
        return Ok(());
    }
    let lab = Lab::build(Topology::Line(3), Trunks::Veth, 2)?;
    let s3 = lab.switch("s3")?;
    let (member, other) = (s3.port("s3h1")?, s3.port("s3h2")?);
    let trunk = s3.port("s3-s2")?;
    let cases = [
        ("right", format!("output:{member}"), true),
        ("a leak", format!("output:{member},output:{other}"), false),
        ("a duplicate", format!("output:{member},output:{member}"), false),
        ("a change", format!("push_vlan:0x8100,set_field:4097->vlan_vid,output:{member}"), false),
        ("a loss", "drop".to_owned(), false),
        ("the wrong host", format!("output:{other}"), false),
    ];
    for (name, port) in [("s1", "s1-s2"), ("s2", "s2-s3")] {
        let switch = lab.switch(name)?;
        switch.node().add_flows(&format!("actions=output:{}\n", switch.port(port)?))?;
    }
    for (name, actions, want) in cases {
        s3.node().add_flows(&format!("in_port={trunk},actions={actions}\n"))?;
        let frame = lab.unicast("s1h1", "s3h1")?;
        let seen = lab.expect("s1h1", &frame, &["s3h1"]);
        assert_eq!(seen.is_ok(), want, "{name}: {seen:?}");
    }
    Ok(())
}

/// The fence is what makes "nobody else" true: however far a frame goes, it is not missed, many times over.
#[test]
fn a_frame_that_takes_the_longest_way_is_never_missed() -> Checked {
    if !needs_ovs("a frame that takes the longest way is never missed") {
        return Ok(());
    }
    let lab = Lab::build(Topology::Line(5), Trunks::Veth, 1)?;
    program(&lab, Mark::Vlan)?;
    for _ in 0..100 {
        lab.expect("s1h1", &lab.broadcast("s1h1")?, &["s2h1", "s3h1", "s4h1", "s5h1"])?;
    }
    Ok(())
}

#[test]
fn a_cut_link_passes_nothing_until_it_is_mended() -> Checked {
    if !needs_ovs("a cut link passes nothing until it is mended") {
        return Ok(());
    }
    for trunks in Trunks::ALL {
        let lab = Lab::build(Topology::Line(3), trunks, 1)?;
        program(&lab, Mark::Vlan)?;
        lab.cut("s3", "s2")?;
        let frame = lab.broadcast("s1h1")?;
        let heard = lab.probe("s1h1", &frame)?.exactly(&frame, &["s2h1"]);
        assert!(heard.is_ok(), "{trunks:?}: {heard:?}");
        lab.mend("s2", "s3")?;
        lab.expect("s1h1", &lab.broadcast("s1h1")?, &["s2h1", "s3h1"])?;
    }
    Ok(())
}

#[test]
fn a_switch_that_crashes_comes_back_empty_and_works_again() -> Checked {
    if !needs_ovs("a switch that crashes comes back empty and works again") {
        return Ok(());
    }
    let mut lab = Lab::build(Topology::Line(3), Trunks::Veth, 1)?;
    let empty = lab.tables()?;
    program(&lab, Mark::Vlan)?;
    let programmed = lab.tables()?;
    assert_ne!(programmed, empty);
    lab.kill("s3")?;
    lab.expect("s1h1", &lab.broadcast("s1h1")?, &["s2h1"])?;
    lab.restart("s3")?;
    lab.expect("s1h1", &lab.broadcast("s1h1")?, &["s2h1"])?;
    assert_eq!(lab.switch("s3")?.node().dump_groups()?, "");
    lab.add_host("s3", "later")?;
    lab.expect("later", &lab.broadcast("later")?, &[])
}

#[test]
fn machines_ping_each_other_through_the_switches() -> Checked {
    if !needs_ovs("machines ping each other through the switches") {
        return Ok(());
    }
    let spec = LabSpec {
        topology: Topology::Line(2),
        trunks: Trunks::KernelVxlan,
        hosts: 0,
        machines: 2,
        inactivity_probe: Duration::from_secs(5),
    };
    let lab = spec.build()?;
    for switch in lab.switches() {
        let trunk = switch.port("vxlan1")?;
        let machine = switch.port(&format!("{}m1", switch.name()))?;
        let flows = format!(
            "in_port={trunk},actions=output:{machine}\nin_port={machine},actions=output:{trunk}\n"
        );
        switch.node().add_flows(&flows)?;
    }
    let (near, far, apart) = (lab.machine("s1m1")?, lab.machine("s2m1")?, lab.machine("s2m2")?);
    assert!(near.pings(far.address(), 10)?);
    assert!(!near.pings(apart.address(), 1)?);
    Ok(())
}

const CHILD: &str = "ISOLANE_TEST_LAB_CHILD";

/// A test process that is killed leaves no daemon and no folder behind.
#[test]
fn nothing_is_left_of_a_lab_whose_process_was_killed() -> Checked {
    if !needs_ovs("nothing is left of a lab whose process was killed") {
        return Ok(());
    }
    let scratch = tempfile::tempdir().map_err(|error| LabError::io("a folder", error))?;
    if std::env::var_os(CHILD).is_some() {
        let _lab = Lab::build(Topology::Line(2), Trunks::Veth, 1)?;
        println!("built");
        loop {
            std::thread::park();
        }
    }
    let me = std::env::current_exe().expect("this test");
    let mut child = Command::new(me)
        .args(["--exact", "nothing_is_left_of_a_lab_whose_process_was_killed", "--nocapture"])
        .env(CHILD, "yes")
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the same test again");
    let said = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(
        said.map_while(Result::ok).any(|line| line.ends_with("built")),
        "the child builds a lab"
    );
    let folder = lab_folder(scratch.path()).expect("a lab's folder");
    let daemons = pids(&folder);
    assert_eq!(daemons.len(), 4, "a server and a switch daemon for each of two switches");
    assert!(daemons.iter().all(|pid| Path::new("/proc").join(pid).exists()));
    child.kill().and_then(|()| child.wait()).expect("kill our child");
    until("the guard to clean up", Duration::from_secs(10), || {
        let left: Vec<_> = daemons.iter().filter(|pid| is_open_vswitch(pid)).collect();
        Ok(match (folder.exists(), left.is_empty()) {
            (false, true) => Look::Done(()),
            _ => Look::NotYet(format!(
                "{} exists: {}, daemons left: {left:?}",
                folder.display(),
                folder.exists()
            )),
        })
    })
}

fn lab_folder(scratch: &Path) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(scratch).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    entries.into_iter().find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("isolane-lab-"))
    })
}

fn pids(folder: &Path) -> Vec<String> {
    let nodes = fs::read_dir(folder).expect("the lab's folder").filter_map(Result::ok);
    let files = nodes
        .flat_map(|node| fs::read_dir(node.path()).into_iter().flatten().filter_map(Result::ok));
    let pid_files =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "pid"));
    pid_files
        .map(|path| fs::read_to_string(path).expect("a process id").trim().to_owned())
        .collect()
}

fn is_open_vswitch(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.contains("(ovs") && !state.contains(") Z ")
}
