//! Many clients at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::client::Client;
use api::error::ProblemKind;
use api::types::{Attachment, AttachmentSpec, Wait};
use controller::model::spread;
use serde_json::json;

use crate::lab::Lab;

const CLIENTS: u64 = 64;
const TURNS: u64 = 12;
const POOL: u32 = 8;
const SWITCHES: u64 = 3;

/// Who holds which port, as far as clients were told.
type Held = Arc<Mutex<BTreeMap<(String, String), String>>>;

#[test]
fn whatever_clients_do_at_once_no_port_is_given_twice_and_none_is_lost() {
    let mut lab = Lab::new(&[]);
    let ports: Vec<_> = (1..=POOL).map(|n| (n, format!("vhost{n}"))).collect();
    let ports: Vec<_> = ports.iter().map(|(number, name)| (*number, name.as_str())).collect();
    for id in 1..=SWITCHES {
        lab.add(id, &format!("worker-{id}"), &ports);
    }
    lab.controller().wait_for_switches(SWITCHES as usize).unwrap();
    for network in 0..4 {
        lab.network(&format!("net-{network}"));
    }
    let url = format!("http://{}", lab.controller().rest().address());
    let held = Held::default();
    lab.runtime.block_on(async {
        let clients = (0..CLIENTS).map(|n| tokio::spawn(client(n, url.clone(), Arc::clone(&held))));
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    });

    // What clients were told is what there is.
    let shown = lab.attachments("limit=1000").into_iter().map(|it| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        ((text("switch"), text("port")), text("owner"))
    });
    assert_eq!(shown.collect::<BTreeMap<_, _>>(), *held.lock().unwrap());

    for network in 0..4 {
        let gone = lab.delete(&format!("/networks/net-{network}?force=true&timeout=60s"));
        assert_eq!(gone.status, 204, "{gone}");
    }
    lab.network("last");
    let specs: Vec<_> = (1..=SWITCHES)
        .flat_map(|switch| (0..POOL).map(move |n| (switch, n)))
        .map(|(switch, n)| json!({ "switch": format!("worker-{switch}"), "owner": n.to_string() }))
        .collect();
    let all = lab.call("POST", "/networks/last/attachments?timeout=60s", &json!(specs));
    assert_eq!(all.status, 201, "a port was lost: {all}");
    let places = all.body["items"].as_array().unwrap().iter();
    let places: BTreeSet<_> =
        places.map(|it| (it["switch"].to_string(), it["number"].as_u64())).collect();
    assert_eq!(places.len(), specs.len());
}

/// One owner at each switch, that attaches and detaches at random.
async fn client(n: u64, url: String, held: Held) {
    let client = Client::builder(&url).build().unwrap();
    let owner = format!("owner-{n}");
    let mut mine: BTreeMap<String, Attachment> = BTreeMap::new();
    for turn in 0..TURNS {
        let dice = spread(n, turn);
        let switch = format!("worker-{}", dice % SWITCHES + 1);
        let wait = match dice >> 8 & 1 {
            0 => Wait::Stored,
            _ => Wait::Installed { timeout: Duration::from_secs(60) },
        };
        if let Some(attachment) = mine.get(&switch)
            && dice >> 9 & 1 == 0
        {
            let at = (switch.clone(), attachment.port.to_string());
            // From here on somebody else may be told that it is theirs.
            assert_eq!(held.lock().unwrap().remove(&at).as_ref(), Some(&owner));
            client.delete_attachment(&attachment.id, wait).await.unwrap();
            mine.remove(&switch);
            continue;
        }
        let network = match mine.get(&switch) {
            Some(attachment) => attachment.network.clone(),
            None => format!("net-{}", dice >> 16 & 3).parse().unwrap(),
        };
        let spec =
            AttachmentSpec { switch: switch.parse().unwrap(), owner: owner.parse().unwrap() };
        match client.create_attachment(&network, &spec, wait).await {
            Ok(reply) => {
                let got = reply.body;
                if let Some(before) = mine.get(&switch) {
                    assert_eq!((&got.id, &got.port), (&before.id, &before.port));
                }
                let at = (switch.clone(), got.port.to_string());
                let other = held.lock().unwrap().insert(at.clone(), owner.clone());
                assert!(other.as_ref().is_none_or(|it| *it == owner), "{at:?}: {other:?}, {owner}");
                mine.insert(switch, got);
            }
            Err(error) => {
                let kind = error.problem().map(api::Problem::kind);
                assert_eq!(kind, Some(ProblemKind::PoolExhausted), "{error}");
                assert!(!mine.contains_key(&switch));
            }
        }
    }
}
