//! What a kubelet and Multus do with a bound pod: a sandbox, an interface for each network of the annotation.
//!
//! The annotation is read here by other code than the bridge's, so that a story doesn't take its word.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::cni::Cni;
use super::objects::{NETWORK_STATUS, NETWORKS};
use crate::error::LabError;
use crate::netns::NetNs;

/// A network of a pod, as its annotation names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The definition's namespace.
    pub namespace: String,
    /// The definition's name.
    pub name: String,
    /// The interface's name inside of the pod.
    pub interface: String,
}

/// A pod that runs on a node, as far as its network goes: a namespace, gone with this value.
#[derive(Debug)]
pub struct Sandbox {
    pod: (String, String),
    netns: NetNs,
    id: String,
    plugged: Vec<(Wanted, String)>,
}

impl Cluster {
    /// Starts a bound pod on its node: reads its annotation now, calls the CNI plugins of its networks in order, and
    /// reports what came of it on the pod.
    ///
    /// # Errors
    /// [`LabError`] when a network can't be had; then nothing is left of the sandbox, and a kubelet would try again.
    pub fn start_pod(
        &self,
        namespace: &str,
        name: &str,
        node: &NetNs,
    ) -> Result<Sandbox, LabError> {
        let pod = self.pod_named(namespace, name)?;
        let pod = pod.ok_or_else(|| LabError::Wrong(format!("no pod {namespace}/{name}")))?;
        let text = pod["metadata"]["annotations"][NETWORKS].as_str().unwrap_or_default();
        let mut sandbox = Sandbox {
            pod: (namespace.to_owned(), name.to_owned()),
            netns: NetNs::new(name)?,
            id: format!("{}-0", pod["metadata"]["uid"].as_str().unwrap_or_default()),
            plugged: Vec::new(),
        };
        let mut status = Vec::new();
        for wanted in wanted(text, namespace)? {
            let config = self.config_of(&wanted.namespace, &wanted.name)?;
            match sandbox.cni(node, &wanted, &config).add() {
                Ok(_) => sandbox.plugged.push((wanted.clone(), config)),
                Err(error) => {
                    sandbox.unplug(node)?;
                    return Err(error);
                }
            }
            status.push(json!({
                "name": format!("{}/{}", wanted.namespace, wanted.name),
                "interface": wanted.interface,
                "ips": [],
                "mac": sandbox.link(&wanted.interface)?["address"],
            }));
        }
        self.annotate(namespace, name, NETWORK_STATUS, &Value::from(status).to_string())?;
        self.set_phase(namespace, name, "Running")?;
        Ok(sandbox)
    }

    /// Ends a pod on its node, as a kubelet does with one that is being deleted: the plugins give the interfaces
    /// back, then its object goes.
    ///
    /// # Errors
    /// [`LabError`] when a plugin fails or there is no such pod.
    pub fn end_pod(&self, sandbox: Sandbox, node: &NetNs) -> Result<(), LabError> {
        let (namespace, name) = sandbox.pod.clone();
        sandbox.remove(node)?;
        self.delete_now(&namespace, &name)
    }
}

impl Sandbox {
    /// Its network namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The names of definitions it was given, in order: `vpod3`, …
    pub fn definitions(&self) -> Vec<&str> {
        self.plugged.iter().map(|(wanted, _)| wanted.name.as_str()).collect()
    }

    /// Gives its interfaces back and ends it; the pod's object stays.
    ///
    /// # Errors
    /// [`LabError`] when a plugin fails.
    pub fn remove(mut self, node: &NetNs) -> Result<(), LabError> {
        self.unplug(node)
    }

    /// Sets an interface up with an address, such as `192.168.12.1/30`, as a person in the pod does.
    ///
    /// # Errors
    /// [`LabError`] when there is no such interface.
    pub fn address(&self, interface: &str, address: &str) -> Result<(), LabError> {
        self.netns.ip(&format!("link set {interface} up\naddr add {address} dev {interface}"))?;
        // A userspace switch doesn't fill in checksums that the kernel leaves to the device.
        self.netns.run("ethtool", ["-K", interface, "tx", "off"]).map(drop)
    }

    /// What `ip -s link` says of an interface.
    ///
    /// # Errors
    /// [`LabError`] when there is no such interface.
    pub fn link(&self, interface: &str) -> Result<Value, LabError> {
        let said = self.netns.run("ip", ["-j", "-s", "link", "show", "dev", interface])?;
        let all: Value = serde_json::from_str(&said)
            .map_err(|error| LabError::Wrong(format!("{error}: {said}")))?;
        Ok(all[0].clone())
    }

    /// How many frames an interface has heard.
    ///
    /// # Errors
    /// As [`link`](Self::link).
    pub fn heard(&self, interface: &str) -> Result<u64, LabError> {
        let link = self.link(interface)?;
        let packets = link["stats64"]["rx"]["packets"].as_u64();
        packets.ok_or_else(|| LabError::Wrong(format!("no count in {link}")))
    }

    /// What `ping` prints; also when nobody answers.
    ///
    /// # Errors
    /// [`LabError`] when it can't be tried.
    pub fn ping(&self, target: &str, count: u32, seconds: u32) -> Result<String, LabError> {
        let (count, seconds) = (count.to_string(), seconds.to_string());
        // Answers late on a loaded machine are answers.
        let script = r#"ping -n -c "$1" -i 0.2 -W "$2" "$3" 2>&1 || true"#;
        self.netns.run("sh", ["-c", script, "ping", &count, &seconds, target])
    }

    fn cni<'a>(&'a self, node: &'a NetNs, wanted: &'a Wanted, config: &'a str) -> Cni<'a> {
        Cni {
            node,
            pod: &self.netns,
            sandbox: &self.id,
            interface: &wanted.interface,
            name: &wanted.name,
            config,
        }
    }

    fn unplug(&mut self, node: &NetNs) -> Result<(), LabError> {
        while let Some((wanted, config)) = self.plugged.pop() {
            self.cni(node, &wanted, &config).del()?;
        }
        Ok(())
    }
}

/// The networks an annotation names, for a pod of a namespace.
///
/// # Errors
/// [`LabError::Wrong`] when it has neither of the two forms.
pub fn wanted(text: &str, namespace: &str) -> Result<Vec<Wanted>, LabError> {
    let text = text.trim();
    let entries: Vec<(Option<String>, String, Option<String>)> = if text.starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text)
            .map_err(|error| LabError::Wrong(format!("{error}: {text}")))?;
        let word = |entry: &Value, key: &str| entry[key].as_str().map(str::to_owned);
        list.iter()
            .map(|it| {
                (word(it, "namespace"), word(it, "name").unwrap_or_default(), word(it, "interface"))
            })
            .collect()
    } else {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words
            .map(|word| {
                let (word, interface) = match word.split_once('@') {
                    Some((word, interface)) => (word, Some(interface.to_owned())),
                    None => (word, None),
                };
                match word.split_once('/') {
                    Some((namespace, name)) => {
                        (Some(namespace.to_owned()), name.to_owned(), interface)
                    }
                    None => (None, word.to_owned(), interface),
                }
            })
            .collect()
    };
    let numbered = entries.into_iter().enumerate();
    Ok(numbered
        .map(|(index, (within, name, interface))| Wanted {
            namespace: within.unwrap_or_else(|| namespace.to_owned()),
            name,
            interface: interface.unwrap_or_else(|| format!("net{}", index + 1)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_annotation_are_read() {
        let want = |namespace: &str, name: &str, interface: &str| Wanted {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            interface: interface.to_owned(),
        };
        let cases = [
            ("", vec![]),
            ("a", vec![want("team", "a", "net1")]),
            (" a , b/c@lan ", vec![want("team", "a", "net1"), want("b", "c", "lan")]),
            (
                r#"[{"name":"a"},{"name":"c","namespace":"b","interface":"lan"}]"#,
                vec![want("team", "a", "net1"), want("b", "c", "lan")],
            ),
        ];
        for (text, wanted_of_it) in cases {
            assert_eq!(wanted(text, "team").unwrap(), wanted_of_it, "{text}");
        }
    }
}
