//! Network attachment definitions: which are networks of ours, which are pool
//! interfaces, and what a pod's annotation means by them.
//!
//! Pure. Start at [`Definitions::resolve`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::types::{NetworkKind, NetworkSpec};
use api::values::{Labels, MacLimit, NetworkName};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::annotation::{Annotation, Target};
use crate::names::{
    CLUSTER, DEFAULT_NAMESPACE, DEFINITION, DEFINITION_UID, ENFORCE, MAC_LIMIT, Pair, SHARED,
};
use crate::owners::Cluster;

/// Namespace and name of a definition.
pub type Key = (String, String);

/// What a definition is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A virtual network.
    Network,
    /// An interface of a node's pool.
    Interface(Pair),
    /// Somebody else's.
    Other,
    /// Nobody's: its `spec.config` is not JSON.
    Unreadable(String),
}

/// A network attachment definition, as far as we care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// What it is.
    pub kind: Kind,
    /// The `name` in its configuration, which older plugins report.
    pub config_name: Option<String>,
    /// Whether pods of every namespace may use it.
    pub shared: bool,
    /// Whether only reported addresses may send.
    pub enforce: bool,
    /// How many MAC addresses its network may learn, as written.
    pub mac_limit: Option<String>,
}

impl Definition {
    /// From the object; `None` if it lacks a namespace or a name.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        let label = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key));
        let config = object.data.pointer("/spec/config").and_then(Value::as_str);
        let (kind, config_name) = read_config(config.unwrap_or_default());
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone().unwrap_or_default(),
            kind,
            config_name,
            shared: label(SHARED).is_some_and(|value| value == "true"),
            enforce: label(ENFORCE).is_some_and(|value| value == "true"),
            mac_limit: label(MAC_LIMIT).cloned(),
        })
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }

    /// The network in the controller; `None` if no network can have the name.
    pub fn network(&self) -> Option<NetworkName> {
        network_name(&self.namespace, &self.name)
    }

    /// The network as the controller should have it.
    pub fn spec(&self, cluster: &Cluster) -> Option<NetworkSpec> {
        let labels = BTreeMap::from([
            (CLUSTER.to_owned(), cluster.uid().to_owned()),
            (DEFINITION.to_owned(), format!("{}/{}", self.namespace, self.name)),
            (DEFINITION_UID.to_owned(), self.uid.clone()),
            (SHARED.to_owned(), self.shared.to_string()),
            (ENFORCE.to_owned(), self.enforce.to_string()),
        ]);
        Some(NetworkSpec {
            name: self.network()?,
            kind: NetworkKind::Lan,
            mac_limit: self.limit().ok().flatten().unwrap_or_default(),
            labels: Labels::new(labels).ok()?,
        })
    }

    /// The limit that its label asks for; an error says what is wrong with it.
    pub fn limit(&self) -> Result<Option<MacLimit>, String> {
        let Some(text) = &self.mac_limit else { return Ok(None) };
        text.parse().map(Some).map_err(|error| format!("label {MAC_LIMIT}: {error}"))
    }

    fn is_for(&self, namespace: &str) -> bool {
        self.shared || self.namespace == namespace || self.namespace == DEFAULT_NAMESPACE
    }
}

/// The network's name in the controller.
pub fn network_name(namespace: &str, name: &str) -> Option<NetworkName> {
    format!("{namespace}.{name}").parse().ok()
}

/// A configuration may be one plugin's, or a list of them.
fn read_config(config: &str) -> (Kind, Option<String>) {
    if config.trim().is_empty() {
        // Allowed: the plugins then look for a file of that name on the node.
        return (Kind::Other, None);
    }
    let config: Value = match serde_json::from_str(config) {
        Ok(config @ Value::Object(_)) => config,
        Ok(_) => return (Kind::Unreadable("not a JSON object".to_owned()), None),
        Err(error) => return (Kind::Unreadable(error.to_string()), None),
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let plugins = config.get("plugins").and_then(Value::as_array);
    let all: Vec<&Value> = std::iter::once(&config).chain(plugins.into_iter().flatten()).collect();
    let ours = |plugin: &&Value| {
        text(plugin, "type").as_deref() == Some("isolane")
            || text(plugin, "device").as_deref() == Some("l2sm-vNet")
    };
    let pair = |plugin: &&Value| text(plugin, "device").and_then(|name| Pair::of_vpod(&name));
    let kind = if all.iter().any(ours) {
        Kind::Network
    } else {
        all.iter().find_map(pair).map_or(Kind::Other, Kind::Interface)
    };
    (kind, text(&config, "name"))
}

/// A network that a pod asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The annotation's entry, from 0.
    pub entry: usize,
    /// The interface in the pod.
    pub interface: String,
    /// The network in the controller.
    pub network: NetworkName,
    /// Its definition.
    pub definition: Arc<Definition>,
}

/// What an annotation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Networks of ours, in order; none if it is all somebody else's.
    Networks(Vec<Want>),
    /// An interface of the pool by name, which only the bridge may write.
    Interface {
        /// The annotation's entry, from 0.
        entry: usize,
        /// The definition, as it is written.
        name: String,
        /// The pair.
        pair: Pair,
    },
    /// Something that can't be had; why, for people.
    Nothing(String),
}

/// All definitions of a cluster, or those that matter to one question.
#[derive(Clone, Debug, Default)]
pub struct Definitions(HashMap<Key, Arc<Definition>>);

impl Definitions {
    /// The definition of this namespace and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<&Arc<Definition>> {
        self.0.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.0.values()
    }

    /// Adds or replaces one.
    pub fn put(&mut self, definition: Definition) {
        self.0.insert(definition.key(), Arc::new(definition));
    }

    /// Removes one.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Definition>> {
        self.0.remove(key)
    }

    /// What the annotation of a pod in `namespace` asks for. A pool interface
    /// counts before anything else that is wrong: it is refused, all else is
    /// only left as it is.
    pub fn resolve(&self, annotation: &Annotation, namespace: &str) -> Asked {
        let mut wants = Vec::new();
        let mut wrong = None;
        for (entry, asked) in annotation.entries().iter().enumerate() {
            let (ns, name) = asked.key(namespace);
            let found = self.find(&ns, &name);
            let pair = match found.map(|definition| &definition.kind) {
                Some(Kind::Interface(pair)) => Some(*pair),
                // It may be there before we hear of it.
                None => Pair::of_vpod(&name),
                Some(_) => None,
            };
            if let Some(pair) = pair {
                return Asked::Interface { entry, name: format!("{ns}/{name}"), pair };
            }
            let outcome = match found {
                None => Err(format!("there is no network attachment definition {ns}/{name}")),
                Some(definition) => match &definition.kind {
                    Kind::Unreadable(why) => Err(format!(
                        "spec.config of network attachment definition {ns}/{name} is not JSON: \
                         {why}"
                    )),
                    Kind::Network if !definition.is_for(namespace) => Err(format!(
                        "network {ns}/{name} is not for pods of namespace {namespace}; label its \
                         definition {SHARED}=true if it should be"
                    )),
                    Kind::Network => match definition.network() {
                        Some(network) => Ok(Some((network, definition))),
                        None => Err(format!("{ns}.{name} can't be a network's name")),
                    },
                    Kind::Interface(_) | Kind::Other => Ok(None),
                },
            };
            match outcome {
                Ok(None) => {}
                Ok(Some((network, definition))) => wants.push(Want {
                    entry,
                    interface: asked.interface.clone(),
                    network,
                    definition: Arc::clone(definition),
                }),
                Err(why) => {
                    wrong.get_or_insert(why);
                }
            }
        }
        match wrong {
            Some(why) => Asked::Nothing(why),
            None => Asked::Networks(wants),
        }
    }

    /// How a pod of `namespace` names a pool interface: the definition of its
    /// own namespace if there is one, else that of `default`.
    pub fn target(&self, pair: Pair, namespace: &str) -> Target {
        let name = pair.vpod();
        let own = self
            .find(namespace, &name)
            .is_some_and(|definition| definition.kind == Kind::Interface(pair));
        let namespace = (!own).then(|| DEFAULT_NAMESPACE.to_owned());
        Target { namespace, name }
    }
}

impl FromIterator<Definition> for Definitions {
    fn from_iter<T: IntoIterator<Item = Definition>>(all: T) -> Self {
        let mut definitions = Self::default();
        all.into_iter().for_each(|definition| definitions.put(definition));
        definitions
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A definition as the API server shows it.
    pub(crate) fn nad(namespace: &str, name: &str, config: &str) -> Definition {
        labelled(namespace, name, config, &[])
    }

    pub(crate) fn labelled(
        namespace: &str,
        name: &str,
        config: &str,
        labels: &[(&str, &str)],
    ) -> Definition {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{name}"), "labels": labels},
            "spec": {"config": config},
        }))
        .unwrap();
        Definition::of(&object).unwrap()
    }

    pub(crate) const VNET: &str =
        r#"{"cniVersion":"0.3.0","type":"host-device","device":"l2sm-vNet"}"#;

    pub(crate) fn vpod(n: u32) -> String {
        format!(r#"{{"cniVersion":"0.3.0","type":"host-device","device":"vpod{n}"}}"#)
    }

    /// Two networks, ten interfaces, and others.
    pub(crate) fn cluster() -> Definitions {
        let mut all: Definitions = [
            nad("shop", "blue", VNET),
            nad("default", "red", r#"{"type":"isolane"}"#),
            nad("other", "green", VNET),
            labelled("other", "open", VNET, &[(SHARED, "true")]),
            nad("shop", "macvlan", r#"{"type":"macvlan","master":"eth0"}"#),
            nad("shop", "broken", "{"),
            nad("shop", "file", ""),
        ]
        .into_iter()
        .collect();
        for n in 1..=10 {
            all.put(nad("default", &format!("vpod{n}"), &vpod(n)));
        }
        all
    }

    #[test]
    fn a_definition_is_known_by_its_configuration() {
        let three = Kind::Interface(Pair::of_vpod("vpod3").unwrap());
        let cases = [
            (VNET, Kind::Network),
            (r#"{"type":"isolane"}"#, Kind::Network),
            (
                r#"{"name":"x","plugins":[{"type":"tuning"},{"type":"host-device","device":"l2sm-vNet"}]}"#,
                Kind::Network,
            ),
            (r#"{"type":"host-device","device":"vpod3"}"#, three.clone()),
            (r#"{"plugins":[{"type":"host-device","device":"vpod3"}]}"#, three),
            (r#"{"type":"host-device","device":"eth1"}"#, Kind::Other),
            (r#"{"type":7,"device":[]}"#, Kind::Other),
            ("", Kind::Other),
        ];
        for (config, want) in cases {
            assert_eq!(nad("shop", "x", config).kind, want, "{config}");
        }
        for config in ["{", "[]", "7", "nonsense"] {
            assert!(matches!(nad("shop", "x", config).kind, Kind::Unreadable(_)), "{config}");
        }
    }

    #[test]
    fn a_pod_may_use_its_own_the_defaults_and_shared_networks() {
        let ask = |text: &str, namespace: &str| match cluster()
            .resolve(&Annotation::parse(text).unwrap(), namespace)
        {
            Asked::Networks(wants) => wants
                .iter()
                .map(|w| format!("{}:{}={}", w.entry, w.interface, w.network))
                .collect::<Vec<_>>()
                .join(" "),
            Asked::Interface { entry, name, pair } => format!("{entry}:{name}={pair}"),
            Asked::Nothing(why) => why,
        };
        let cases = [
            ("blue", "shop", "0:net1=shop.blue"),
            ("macvlan,blue@eth7,blue", "shop", "1:eth7=shop.blue 2:net3=shop.blue"),
            ("default/red,other/open", "shop", "0:net1=default.red 1:net2=other.open"),
            ("macvlan,file", "shop", ""),
            ("red", "shop", "there is no network attachment definition shop/red"),
            ("other/green", "shop", "network other/green is not for pods of namespace shop; label"),
            (
                "blue,broken",
                "shop",
                "spec.config of network attachment definition shop/broken is not JSON",
            ),
            ("default/vpod3", "shop", "0:default/vpod3=vhost3"),
            ("blue,no-such,vpod44", "shop", "2:shop/vpod44=vhost44"),
            ("vpod3", "default", "0:default/vpod3=vhost3"),
        ];
        for (text, namespace, want) in cases {
            let got = ask(text, namespace);
            assert!(got == want || (want.len() > 30 && got.starts_with(want)), "{text}: {got}");
        }
    }

    #[test]
    fn a_pool_interface_by_another_name_is_one_all_the_same() {
        let mut all = cluster();
        all.put(nad("shop", "mine", &vpod(3)));
        let asked = all.resolve(&Annotation::parse("mine").unwrap(), "shop");
        assert!(matches!(asked, Asked::Interface { .. }), "{asked:?}");
        // And a name alone doesn't make one.
        all.put(nad("shop", "vpod4", r#"{"type":"macvlan"}"#));
        let asked = all.resolve(&Annotation::parse("vpod4").unwrap(), "shop");
        assert_eq!(asked, Asked::Networks(Vec::new()));
    }

    #[test]
    fn interfaces_are_named_in_the_pods_namespace_or_in_default() {
        let mut all = cluster();
        all.put(nad("shop", "vpod2", &vpod(2)));
        all.put(nad("shop", "vpod3", r#"{"type":"macvlan"}"#));
        let target = |n: &str, namespace: &str| {
            let Target { namespace, name } = all.target(Pair::of_vpod(n).unwrap(), namespace);
            format!("{}/{name}", namespace.unwrap_or_default())
        };
        assert_eq!(target("vpod2", "shop"), "/vpod2");
        assert_eq!(target("vpod3", "shop"), "default/vpod3");
        assert_eq!(target("vpod2", "default"), "/vpod2");
        assert_eq!(target("vpod77", "shop"), "default/vpod77");
    }

    #[test]
    fn a_network_says_where_it_comes_from() {
        let labels = [(MAC_LIMIT, "7"), (ENFORCE, "true")];
        let spec = labelled("shop", "blue", VNET, &labels).spec(&Cluster::new("c1")).unwrap();
        assert_eq!(spec.name.as_str(), "shop.blue");
        assert_eq!(spec.mac_limit.value(), 7);
        assert_eq!(spec.labels.of(CLUSTER), Some("c1"));
        assert_eq!(spec.labels.of(DEFINITION), Some("shop/blue"));
        let bad = labelled("shop", "blue", VNET, &[(MAC_LIMIT, "many")]);
        assert!(bad.limit().unwrap_err().contains(MAC_LIMIT));
        assert_eq!(bad.spec(&Cluster::new("c1")).unwrap().mac_limit, MacLimit::default());
    }
}
