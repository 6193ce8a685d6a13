//! A thousand switches.

use std::collections::BTreeSet;

use controller::southbound::{Event, SouthboundConfig};
use openflow::{Body, FlowMod};
use tokio::task::JoinSet;

use crate::peer::{Peer, Server, Switch};

const SWITCHES: u64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_switches_connect_at_once_and_are_served() {
    let mut server = Server::start(SouthboundConfig::default());
    let addr = server.addr;
    let mut switches = JoinSet::new();
    for dpid in 1..=SWITCHES {
        switches.spawn(async move { Peer::connect(addr).await.serve(Switch::new(dpid)).await });
    }
    let mut handles = Vec::new();
    while handles.len() < SWITCHES as usize {
        handles.push(server.connected().await.handle);
    }
    let dpids: BTreeSet<_> = handles.iter().map(|handle| handle.dpid().0).collect();
    assert_eq!(dpids, (1..=SWITCHES).collect());

    for handle in &handles {
        let step = |number: u16| {
            (0..5).map(|flow| Body::from(FlowMod::add(0).priority(10 * number + flow))).collect()
        };
        handle.apply(1, (0..3).map(step).collect()).unwrap();
    }
    let mut applied = BTreeSet::new();
    while applied.len() < SWITCHES as usize {
        match server.event().await {
            Event::Applied { dpid, result: Ok(()), .. } => assert!(applied.insert(dpid)),
            other => panic!("{other:?}"),
        }
    }
    assert!(switches.try_join_next().is_none(), "none was disconnected");
}
