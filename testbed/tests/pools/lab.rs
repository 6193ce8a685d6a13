//! A controller, switches with pools, and calls as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::controller::{Answer, Controller};
use testbed::switch::{Datapath, PortSpec};
use testbed::wait::{Look, until};
use testbed::wire::{EmbeddedFabric, EmbeddedSwitch};

/// For switches to connect and to be read. Milliseconds; a loaded machine takes longer.
pub const LIMIT: Duration = Duration::from_secs(60);

pub struct Lab {
    // The switches end before what they run on.
    switches: BTreeMap<String, EmbeddedSwitch>,
    fabric: EmbeddedFabric,
    pub runtime: tokio::runtime::Runtime,
    /// There, but while it is restarted.
    controller: Option<Controller>,
}

impl Lab {
    /// A controller with one switch for each of these, which has these ports.
    pub fn new(switches: &[(&str, &[(u32, &str)])]) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut lab = Self {
            switches: BTreeMap::new(),
            fabric: EmbeddedFabric::new().without_capture(),
            runtime: runtime.unwrap(),
            controller: Some(Controller::start(([127, 0, 0, 1], 0).into()).unwrap()),
        };
        for (id, (name, ports)) in (1..).zip(switches) {
            lab.add(id, name, ports);
        }
        lab.controller().wait_for_switches(switches.len()).unwrap();
        lab
    }

    pub fn controller(&self) -> &Controller {
        self.controller.as_ref().unwrap()
    }

    /// Ends the controller as `kill -9` does, and starts it again on its data; `between` is done in between.
    pub fn kill_and_restart(&mut self, between: impl FnOnce(&Self)) {
        let controller = self.controller.take().unwrap();
        let between = || {
            between(self);
            Ok(())
        };
        self.controller = Some(controller.kill_and_restart_after(between).unwrap());
    }

    /// The same in order.
    pub fn restart(&mut self) {
        let controller = self.controller.take().unwrap();
        self.controller = Some(controller.restart().unwrap());
    }

    /// One switch with `vhost1` to this, and `eth0`.
    pub fn worker(pool: u32) -> Self {
        let mut lab = Self::new(&[]);
        let vhosts = (1..=pool).map(|n| (n, format!("vhost{n}")));
        let ports: Vec<_> = vhosts.chain([(999_999, "eth0".to_owned())]).collect();
        let ports: Vec<_> = ports.iter().map(|(number, name)| (*number, name.as_str())).collect();
        lab.add(1, "worker-1", &ports);
        lab.controller().wait_for_switches(1).unwrap();
        lab
    }

    pub fn add(&mut self, id: u64, name: &str, ports: &[(u32, &str)]) {
        let ports = ports.iter().map(|(number, name)| PortSpec::new(*number, *name));
        let datapath = Datapath::new(id, name, ports);
        let _inside = self.runtime.enter();
        let switch = self.fabric.add(self.controller().openflow(), datapath);
        self.switches.insert(name.to_owned(), switch);
    }

    pub fn switch(&self, name: &str) -> &EmbeddedSwitch {
        &self.switches[name]
    }

    /// Closes a switch's session, or lets it come back; returns once the controller knows.
    pub fn set_away(&self, name: &str, away: bool) {
        self.switch(name).set_away(away);
        self.until(&format!("{name} away: {away}"), |lab| {
            let switch = lab.get(&format!("/switches/{name}"));
            (switch["connected"] == json!(!away)).then_some(()).ok_or(switch)
        });
    }

    /// Waits until `look` returns something; its error is what there was instead.
    pub fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Result<T, Value>) -> T {
        let look = || {
            Ok(match look(self) {
                Ok(found) => Look::Done(found),
                Err(instead) => Look::NotYet(instead.to_string()),
            })
        };
        until(what, LIMIT, look).unwrap()
    }

    pub fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.controller().rest().call(method, &format!("/api/v1{path}"), body).unwrap()
    }

    /// What is at a path.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.controller().rest().get(&format!("/api/v1{path}")).unwrap();
        assert_eq!(answer.status, 200, "{answer}");
        answer.body
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.controller().rest().send("DELETE", &format!("/api/v1{path}"), None).unwrap()
    }

    pub fn network(&self, name: &str) {
        self.controller().create_network(name).unwrap();
    }

    /// Asks for a port of a switch's pool.
    pub fn ask(&self, network: &str, switch: &str, owner: &str) -> Answer {
        let body = json!({ "switch": switch, "owner": owner });
        self.call("POST", &format!("/networks/{network}/attachments"), &body)
    }

    /// The same, and it is a new one: its port.
    pub fn attach(&self, network: &str, switch: &str, owner: &str) -> String {
        let answer = self.ask(network, switch, owner);
        assert_eq!(answer.status, 201, "{answer}");
        answer.text("/port").to_owned()
    }

    /// Detaches everything of an owner.
    pub fn detach(&self, owner: &str) {
        for attachment in self.attachments(&format!("owner={owner}")) {
            let answer =
                self.delete(&format!("/attachments/{}", attachment["id"].as_str().unwrap()));
            assert_eq!(answer.status, 204, "{answer}");
        }
    }

    pub fn attachments(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/attachments?{query}"))["items"].as_array().unwrap().clone()
    }

    pub fn ready(&self, switch: &str, port: &str, ready: bool) -> Answer {
        let path = format!("/switches/{switch}/pool/{port}");
        self.call("PUT", &path, &json!({ "ready": ready }))
    }

    /// What a switch's port is used for.
    pub fn role(&self, switch: &str, port: &str) -> String {
        let switch = self.get(&format!("/switches/{switch}"));
        let ports = switch["ports"].as_array().unwrap();
        let found = ports.iter().find(|it| it["name"] == port).unwrap();
        found["role"].as_str().unwrap().to_owned()
    }
}
