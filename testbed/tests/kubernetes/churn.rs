//! The bridge is killed and restarted at random among attaches and deletes.

use std::collections::BTreeMap;

use testbed::error::LabError;
use testbed::kube::PodSpec;

use crate::needs_kube;
use crate::stage::{Checked, Stage};

/// How many steps; `ISOLANE_KUBE_STEPS` says otherwise.
const STEPS: usize = 60;
const NODES: u64 = 3;
const ROOM: usize = 5;

/// Marsaglia's xorshift: the same story for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn whatever_happens_attachments_become_what_the_pods_say() -> Checked {
    if !needs_kube("whatever happens, attachments become what the pods say") {
        return Ok(());
    }
    let number = |name: &str, default: usize| -> usize {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let steps = number("ISOLANE_KUBE_STEPS", STEPS);
    let seed = number("ISOLANE_KUBE_SEED", 20_261_125) as u64;
    println!("ISOLANE_KUBE_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let mut stage = Stage::embedded(NODES as usize, ROOM)?;
    stage.cluster.network("default", "blue")?;
    stage.cluster.network("default", "red")?;
    // By name: the node, if it was bound.
    let mut pods: BTreeMap<String, Option<String>> = BTreeMap::new();
    for step in 0..steps {
        let story = format!("step {step}");
        match dice.below(10) {
            0..5 => {
                let name = format!("p{step}");
                let networks = ["blue", "red", "blue,red", "red@lan"][dice.below(4) as usize];
                stage.cluster.pod(&PodSpec::new(&name).networks(networks))?;
                let node = format!("n{}", dice.below(NODES) + 1);
                let answer = stage.cluster.try_bind("default", &name, &node)?;
                println!("{story}: {name} ({networks}) to {node}: {}", answer.status);
                pods.insert(name, (answer.status == 201).then_some(node));
            }
            5..8 => {
                let Some(name) =
                    pods.keys().nth(dice.below(1 + pods.len() as u64) as usize).cloned()
                else {
                    continue;
                };
                println!("{story}: {name} is removed");
                stage.cluster.delete_now("default", &name)?;
                pods.remove(&name);
            }
            8 => {
                // One that ended still has its object, but no networks.
                let bound: Vec<_> = pods.iter().filter(|(_, node)| node.is_some()).collect();
                let Some((name, _)) = bound.get(dice.below(1 + bound.len() as u64) as usize) else {
                    continue;
                };
                println!("{story}: {name} ends");
                stage.cluster.set_phase("default", name, "Succeeded")?;
            }
            _ if stage.bridges.is_empty() => {
                println!("{story}: the bridge starts");
                start_unwatched(&mut stage)?;
            }
            _ => {
                println!("{story}: the bridge is killed");
                stage.kill_bridge("bridge")?;
            }
        }
    }
    if stage.bridges.is_empty() {
        start_unwatched(&mut stage)?;
    }
    // What was bound while the bridge was away may be more than a node has: the rest goes.
    trim(&stage, &mut pods)?;
    let held = stage.wait_until_consistent()?;
    println!("{} interfaces are held by {} pods", held.len(), pods.len());
    for name in pods.keys() {
        stage.cluster.delete_now("default", name)?;
    }
    stage.wait_for_attachments(0)?;
    Ok(())
}

/// Starts it without waiting until the API server asks it: what comes meanwhile is part of the story.
fn start_unwatched<S>(stage: &mut Stage<S>) -> Checked {
    let bridge = stage.plan.start(stage.cluster.folder())?;
    stage.bridges.insert(stage.plan.name.clone(), bridge);
    Ok(())
}

/// Removes pods of each node, the latest first, until the rest fits.
fn trim<S>(stage: &Stage<S>, pods: &mut BTreeMap<String, Option<String>>) -> Result<(), LabError> {
    for node in (1..=NODES).map(|index| format!("n{index}")) {
        let mut sum = 0;
        let here: Vec<String> = pods
            .iter()
            .filter(|(_, at)| at.as_ref() == Some(&node))
            .map(|(name, _)| name.clone())
            .collect();
        for name in here {
            let pod = stage.cluster.pod_named("default", &name)?.unwrap_or_default();
            let text = pod["metadata"]["annotations"][testbed::kube::NETWORKS]
                .as_str()
                .unwrap_or_default();
            let wants =
                if pod["status"]["phase"] == "Succeeded" { 0 } else { text.split(',').count() };
            sum += wants;
            if sum > ROOM {
                sum -= wants;
                stage.cluster.delete_now("default", &name)?;
                pods.remove(&name);
            }
        }
    }
    Ok(())
}
