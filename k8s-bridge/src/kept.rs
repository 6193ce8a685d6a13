//! Ports that we keep back, and for which pods: one that ended may still have
//! its interface, and one that names an interface itself takes it.
//!
//! Noted on the node (annotation `isolane.io/kept-back`) before the controller
//! is told, so that whoever leads later gives the port back, also if the pod
//! went while no bridge ran. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;

use crate::names::KEPT;

/// A node's ports, each with the uids of the pods because of which it is kept
/// back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(BTreeMap<String, BTreeSet<String>>);

impl Kept {
    /// As a node's annotation says. One that can't be read says nothing.
    pub fn of(node: &ObjectMeta) -> Self {
        let text = node.annotations.as_ref().and_then(|all| all.get(KEPT));
        Self(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    /// The annotation; `None` if there is nothing to say.
    pub fn to_text(&self) -> Option<String> {
        // Texts only: this can't fail.
        (!self.0.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// Keeps a port back because of a pod; whether that is new.
    pub fn add(&mut self, port: &str, pod: &str) -> bool {
        self.0.entry(port.to_owned()).or_default().insert(pod.to_owned())
    }

    /// This pod is no reason any more; whether it was one.
    pub fn remove(&mut self, port: &str, pod: &str) -> bool {
        let Some(pods) = self.0.get_mut(port) else { return false };
        let was = pods.remove(pod);
        if pods.is_empty() {
            self.0.remove(port);
        }
        was
    }

    /// Whether a port is kept back.
    pub fn has(&self, port: &str) -> bool {
        self.0.contains_key(port)
    }

    /// Ports with a pod that isn't there any more.
    pub fn left_over(&self, is_there: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let pairs = self.0.iter().flat_map(|(port, pods)| pods.iter().map(move |pod| (port, pod)));
        let gone = pairs.filter(|(_, pod)| !is_there(pod));
        gone.map(|(port, pod)| (port.clone(), pod.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> ObjectMeta {
        let annotations = BTreeMap::from([(KEPT.to_owned(), text.to_owned())]);
        ObjectMeta { annotations: Some(annotations), ..ObjectMeta::default() }
    }

    #[test]
    fn a_port_is_kept_back_until_the_last_of_its_pods_is_gone() {
        let mut kept = Kept::of(&ObjectMeta::default());
        assert_eq!(kept.to_text(), None);
        assert!(kept.add("vhost3", "u1") && kept.add("vhost3", "u2") && kept.add("vhost4", "u1"));
        assert!(!kept.add("vhost3", "u1"));
        let text = kept.to_text().unwrap();
        assert_eq!(text, r#"{"vhost3":["u1","u2"],"vhost4":["u1"]}"#);
        assert_eq!(Kept::of(&node(&text)), kept);
        let gone = kept.left_over(|pod| pod == "u2");
        assert_eq!(gone, [("vhost3".into(), "u1".into()), ("vhost4".into(), "u1".into())]);
        assert!(kept.remove("vhost3", "u1") && kept.has("vhost3"));
        assert!(kept.remove("vhost3", "u2") && !kept.has("vhost3"));
        assert!(!kept.remove("vhost3", "u2"));
    }

    #[test]
    fn what_somebody_else_wrote_there_says_nothing() {
        for text in ["", "7", "[]", r#"{"vhost3":"u1"}"#, r#"{"vhost3":[1]}"#] {
            assert_eq!(Kept::of(&node(text)), Kept::default(), "{text}");
        }
    }
}
