//! What stories ask of a controller.

use std::time::Duration;

use api::types::{Host, Link, Network, Port, Switch};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Answer, Controller};
use crate::error::LabError;
use crate::host::Mac;
use crate::wait::{Look, until};

/// For switches to connect, links to be found, hosts to be learnt. Seconds at most; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, LabError>;

impl Controller {
    /// Makes a network.
    ///
    /// # Errors
    /// [`LabError`] unless it is new and acknowledged.
    pub fn create_network(&self, name: &str) -> Result<()> {
        self.rest
            .call("POST", "/api/v1/networks", &json!({ "name": name }))?
            .typed::<Network>(&[201])
            .map(drop)
    }

    /// Deletes a network, with its ports if `force`.
    ///
    /// # Errors
    /// [`LabError`] unless it is gone from every switch.
    pub fn delete_network(&self, name: &str, force: bool) -> Result<()> {
        gone(&self.rest.send("DELETE", &format!("/api/v1/networks/{name}?force={force}"), None)?)
    }

    /// Attaches a port.
    ///
    /// # Errors
    /// [`LabError`] unless it is acknowledged as installed.
    pub fn attach(&self, network: &str, switch: &str, port: &str) -> Result<Port> {
        self.try_attach(network, switch, port)?.typed(&[200, 201])
    }

    /// Tries to attach a port.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn try_attach(&self, network: &str, switch: &str, port: &str) -> Result<Answer> {
        self.rest.call("PUT", &port_path(network, switch, port), &json!({}))
    }

    /// Detaches a port.
    ///
    /// # Errors
    /// [`LabError`] unless it is gone from every switch.
    pub fn detach(&self, network: &str, switch: &str, port: &str) -> Result<()> {
        gone(&self.rest.send("DELETE", &port_path(network, switch, port), None)?)
    }

    /// Declares a link between two ports, each a switch and a port of it.
    ///
    /// # Errors
    /// [`LabError`] unless it is accepted.
    pub fn declare(&self, a: (&str, &str), b: (&str, &str), encap: &str) -> Result<Link> {
        let path = format!("/api/v1/links/{}/{}/{}/{}", a.0, a.1, b.0, b.1);
        self.rest.call("PUT", &path, &json!({ "encap": encap }))?.typed(&[200, 201, 202])
    }

    /// All switches it knows.
    ///
    /// # Errors
    /// [`LabError`] when they can't be listed.
    pub fn switches(&self) -> Result<Vec<Switch>> {
        self.list("/api/v1/switches")
    }

    /// All links it knows.
    ///
    /// # Errors
    /// [`LabError`] when they can't be listed.
    pub fn links(&self) -> Result<Vec<Link>> {
        self.list("/api/v1/links")
    }

    /// All networks it has.
    ///
    /// # Errors
    /// [`LabError`] when they can't be listed.
    pub fn networks(&self) -> Result<Vec<Network>> {
        self.list("/api/v1/networks")
    }

    /// The ports of a network.
    ///
    /// # Errors
    /// [`LabError`] when there is no such network.
    pub fn ports(&self, network: &str) -> Result<Vec<Port>> {
        self.list(&format!("/api/v1/networks/{network}/ports"))
    }

    /// All hosts it knows.
    ///
    /// # Errors
    /// [`LabError`] when they can't be listed.
    pub fn hosts(&self) -> Result<Vec<Host>> {
        self.list("/api/v1/hosts")
    }

    /// All that it says of a switch's state, one reason a line; empty if all is well.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't know the switch.
    pub fn reasons_of_switch(&self, switch: &str) -> Result<String> {
        let answer = self.rest.get(&format!("/api/v1/switches/{switch}"))?;
        Ok(answer.typed::<Switch>(&[200])?.reason.unwrap_or_default())
    }

    /// All figures, as Prometheus reads them.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes.
    pub fn metrics(&self) -> Result<String> {
        let answer = self.rest.get("/metrics")?;
        Ok(answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until so many switches are connected and each holds what it should.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the switches there are.
    pub fn wait_for_switches(&self, count: usize) -> Result<()> {
        self.wait(&format!("{count} switches in sync"), Self::switches, |all| {
            all.iter().filter(|it| it.connected && it.in_sync).count() == count
        })
    }

    /// Waits until so many links are up.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the links there are.
    pub fn wait_for_links(&self, count: usize) -> Result<()> {
        self.wait(&format!("{count} links up"), Self::links, |all| {
            all.iter().filter(|it| it.up).count() == count
        })
    }

    /// Waits until a host is known at a port, and every switch holds what follows from that.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the hosts that are known.
    pub fn wait_for_host(&self, network: &str, mac: Mac, port: &str) -> Result<()> {
        let mac = text(mac);
        self.wait(&format!("{mac} at {port} in {network}"), Self::hosts, |all| {
            all.iter().any(|it| {
                it.mac.to_string() == mac
                    && it.port.to_string() == port
                    && it.network.as_str() == network
            })
        })?;
        self.wait("all switches in sync", Self::switches, |all| all.iter().all(|it| it.in_sync))
    }

    /// Waits for a condition of a list.
    fn wait<T: std::fmt::Debug>(
        &self,
        what: &str,
        list: impl Fn(&Self) -> Result<Vec<T>>,
        holds: impl Fn(&[T]) -> bool,
    ) -> Result<()> {
        until(what, LIMIT, || {
            let all = list(self)?;
            Ok(if holds(&all) { Look::Done(()) } else { Look::NotYet(format!("{all:#?}")) })
        })
    }

    /// A whole list, all pages.
    fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let answer = self.rest.get(&format!("{path}{query}"))?;
            let next = answer.body.pointer("/next").and_then(Value::as_str).map(str::to_owned);
            all.extend(answer.typed::<Page<T>>(&[200])?.items);
            match next {
                Some(cursor) => query = format!("?cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

fn port_path(network: &str, switch: &str, port: &str) -> String {
    format!("/api/v1/networks/{network}/ports/{switch}/{port}")
}

/// As the REST API writes it: `02:1a:00:01:00:01`.
fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn gone(answer: &Answer) -> Result<()> {
    match answer.status {
        204 => Ok(()),
        _ => Err(LabError::Wrong(format!("expected status 204, but the answer was {answer}"))),
    }
}
