//! The annotation by which a pod asks for networks, in all its forms, and what
//! it becomes.
//!
//! Pure. Entries keep their number and order, and all that isn't ours keeps
//! its text (JSON: its value).

use serde_json::{Map, Value};

/// Why an annotation can't be used. As Multus: it would refuse it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// It looks like JSON and isn't a list of objects.
    #[error("not a JSON list of objects with a \"name\": {0}")]
    Json(String),
    /// An entry is nothing that names a definition.
    #[error("entry {}: {text:?} is not [namespace/]name[@interface]", .entry + 1)]
    Entry {
        /// Which one, from 0.
        entry: usize,
        /// What stands there.
        text: String,
    },
    /// An interface can't have this name.
    #[error("entry {}: an interface can't be called {interface:?}", .entry + 1)]
    Interface {
        /// Which one, from 0.
        entry: usize,
        /// What it asks for.
        interface: String,
    },
    /// Two entries are for one interface.
    #[error("entry {}: interface {interface} is another entry's already", .entry + 1)]
    Twice {
        /// The later one, from 0.
        entry: usize,
        /// The interface.
        interface: String,
    },
}

/// One network that a pod asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The definition's namespace, where one is written.
    pub namespace: Option<String>,
    /// The definition's name.
    pub name: String,
    /// The interface in the pod: what is written, else `net1` for the first
    /// entry and so on, as Multus counts.
    pub interface: String,
}

impl Entry {
    /// The namespace and name of the definition that a pod of `namespace`
    /// means.
    pub fn key(&self, namespace: &str) -> (String, String) {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        (namespace.to_owned(), self.name.clone())
    }
}

/// What an entry of ours becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The definition's namespace; none for the pod's own.
    pub namespace: Option<String>,
    /// The definition's name.
    pub name: String,
}

/// The annotation, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    form: Form,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Items as they stand between the commas.
    Text(Vec<String>),
    Json(Vec<Map<String, Value>>),
}

impl Annotation {
    /// Reads it. A blank one asks for nothing.
    pub fn parse(text: &str) -> Result<Self, AnnotationError> {
        // What Multus looks at to tell the forms apart.
        let parsed = if text.contains(['[', '{', '"']) {
            Self::json(text)?
        } else if text.trim().is_empty() {
            Self { form: Form::Text(Vec::new()), entries: Vec::new() }
        } else {
            Self::text(text)?
        };
        for (entry, Entry { interface, .. }) in parsed.entries.iter().enumerate() {
            if !is_interface(interface) {
                let interface = interface.clone();
                return Err(AnnotationError::Interface { entry, interface });
            }
            if parsed.entries[..entry].iter().any(|other| other.interface == *interface) {
                return Err(AnnotationError::Twice { entry, interface: interface.clone() });
            }
        }
        Ok(parsed)
    }

    fn text(text: &str) -> Result<Self, AnnotationError> {
        let items: Vec<String> = text.split(',').map(str::to_owned).collect();
        let read = |(entry, item): (usize, &String)| {
            let item = item.trim();
            let (named, interface) = match item.split_once('@') {
                Some((named, interface)) => (named, Some(interface)),
                None => (item, None),
            };
            let (namespace, name) = match named.split_once('/') {
                Some((namespace, name)) => (Some(namespace), name),
                None => (None, named),
            };
            checked(entry, namespace, name, interface)
                .ok_or_else(|| AnnotationError::Entry { entry, text: item.to_owned() })
        };
        let entries = items.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { form: Form::Text(items), entries })
    }

    fn json(text: &str) -> Result<Self, AnnotationError> {
        let objects: Vec<Map<String, Value>> =
            serde_json::from_str(text).map_err(|error| AnnotationError::Json(error.to_string()))?;
        let read = |(entry, object): (usize, &Map<String, Value>)| {
            let text = |key: &str| match object.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) if text.is_empty() => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(_) => {
                    Err(AnnotationError::Json(format!("entry {}: {key:?} is not text", entry + 1)))
                }
            };
            let Some(name) = text("name")? else {
                let why = format!("entry {}: no \"name\"", entry + 1);
                return Err(AnnotationError::Json(why));
            };
            checked(entry, text("namespace")?, name, text("interface")?).ok_or_else(|| {
                AnnotationError::Entry { entry, text: Value::Object(object.clone()).to_string() }
            })
        };
        let entries = objects.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { form: Form::Json(objects), entries })
    }

    /// What it asks for, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The annotation with some entries turned into others; `target` says for
    /// each entry what it becomes, if it changes.
    pub fn rewrite(&self, target: impl Fn(usize) -> Option<Target>) -> String {
        match &self.form {
            Form::Text(items) => {
                let items = items.iter().enumerate().map(|(n, item)| match target(n) {
                    Some(target) => {
                        let old = item.trim();
                        item.replacen(old, &text_of(&target, old.split_once('@')), 1)
                    }
                    None => item.clone(),
                });
                items.collect::<Vec<_>>().join(",")
            }
            Form::Json(objects) => {
                let objects = objects.iter().enumerate().map(|(n, object)| {
                    let mut object = object.clone();
                    if let Some(Target { namespace, name }) = target(n) {
                        object.insert("name".to_owned(), name.into());
                        match namespace {
                            Some(namespace) => {
                                object.insert("namespace".to_owned(), namespace.into());
                            }
                            None => {
                                object.remove("namespace");
                            }
                        }
                    }
                    Value::Object(object)
                });
                Value::Array(objects.collect()).to_string()
            }
        }
    }
}

fn text_of(target: &Target, old: Option<(&str, &str)>) -> String {
    let mut text = String::new();
    if let Some(namespace) = &target.namespace {
        text.push_str(namespace);
        text.push('/');
    }
    text.push_str(&target.name);
    if let Some((_, interface)) = old {
        text.push('@');
        text.push_str(interface);
    }
    text
}

/// The entry, if the parts are names. The interface is judged later, so that
/// what is wrong with it can be said.
fn checked(
    entry: usize,
    namespace: Option<&str>,
    name: &str,
    interface: Option<&str>,
) -> Option<Entry> {
    let good = is_name(name)
        && namespace.is_none_or(|namespace| is_name(namespace) && !namespace.contains('.'));
    good.then(|| Entry {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        interface: interface.map_or_else(|| format!("net{}", entry + 1), str::to_owned),
    })
}

/// An object's name in Kubernetes (RFC 1123).
fn is_name(text: &str) -> bool {
    let end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    end(bytes.first())
        && end(bytes.last())
        && text.len() <= 253
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

/// What Linux takes for an interface's name, and the annotation can carry.
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'@' | b','))
        && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(namespace: Option<&str>, name: &str, interface: &str) -> Entry {
        Entry {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            interface: interface.to_owned(),
        }
    }

    /// Every entry named `mine…` becomes `default/vpod<its place>`.
    fn rewritten(text: &str) -> String {
        let annotation = Annotation::parse(text).unwrap();
        annotation.rewrite(|n| {
            annotation.entries()[n].name.starts_with("mine").then(|| Target {
                namespace: Some("default".to_owned()),
                name: format!("vpod{}", n + 1),
            })
        })
    }

    #[test]
    fn all_forms_say_the_same() {
        let want =
            [entry(None, "a", "net1"), entry(Some("ns"), "b", "eth9"), entry(None, "a", "net3")];
        let cases = [
            "a,ns/b@eth9,a",
            " a , ns/b@eth9,\ta\n",
            r#"[{"name":"a"},{"name":"b","namespace":"ns","interface":"eth9"},{"name":"a","namespace":"","interface":""}]"#,
        ];
        for text in cases {
            assert_eq!(Annotation::parse(text).unwrap().entries(), want, "{text}");
        }
        assert_eq!(Annotation::parse("  ").unwrap().entries(), []);
        assert_eq!(Annotation::parse("[]").unwrap().entries(), []);
    }

    #[test]
    fn ours_change_and_all_else_stays() {
        let cases = [
            ("mine", "default/vpod1"),
            ("other,mine@net7", "other,default/vpod2@net7"),
            (" mine , ns/other@x , ns/mine2@y", " default/vpod1 , ns/other@x , default/vpod3@y"),
            ("mine,mine", "default/vpod1,default/vpod2"),
            ("other", "other"),
            (
                r#"[{"name":"mine","ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01","cni-args":{"x":[1]}},{"name":"o"}]"#,
                r#"[{"cni-args":{"x":[1]},"ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01","name":"vpod1","namespace":"default"},{"name":"o"}]"#,
            ),
            (
                r#"[{"name":"mine","namespace":"shop","interface":"eth1"}]"#,
                r#"[{"interface":"eth1","name":"vpod1","namespace":"default"}]"#,
            ),
        ];
        for (text, want) in cases {
            assert_eq!(rewritten(text), want, "{text}");
        }
    }

    #[test]
    fn a_definition_of_the_pods_own_namespace_is_named_without_it() {
        let own = || Target { namespace: None, name: "vpod3".to_owned() };
        let cases = [
            ("ns/mine@e", "vpod3@e"),
            (r#"[{"name":"mine","namespace":"ns"}]"#, r#"[{"name":"vpod3"}]"#),
        ];
        for (text, want) in cases {
            assert_eq!(Annotation::parse(text).unwrap().rewrite(|_| Some(own())), want, "{text}");
        }
    }

    #[test]
    fn what_multus_refuses_is_refused_with_the_reason() {
        let long = format!("a@{}", "x".repeat(16));
        let cases = [
            (",", "entry 1: \"\" is not [namespace/]name[@interface]"),
            ("a,", "entry 2"),
            ("A", "entry 1"),
            ("a b", "entry 1"),
            ("a/b/c", "entry 1"),
            ("a.b/c", "entry 1"),
            ("/a", "entry 1"),
            ("-a", "entry 1"),
            ("a@", "entry 1: an interface can't be called \"\""),
            ("a@b/c", "an interface"),
            ("a@b@c", "an interface"),
            (&long, "an interface"),
            ("a@net2,b", "entry 2: interface net2 is another entry's already"),
            ("[", "not a JSON list"),
            ("{\"name\":\"a\"}", "not a JSON list"),
            ("[1]", "not a JSON list"),
            ("[{}]", "entry 1: no \"name\""),
            ("[{\"name\":7}]", "entry 1: \"name\" is not text"),
            ("[{\"name\":\"a\",\"interface\":[]}]", "\"interface\" is not text"),
            ("[{\"name\":\"a\"}]x", "not a JSON list"),
            ("\"a\"", "not a JSON list"),
        ];
        for (text, want) in cases {
            let error = Annotation::parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-a-z0-9@/,. \\[\\]{}\":A]{0,40}") {
            if let Ok(annotation) = Annotation::parse(&text) {
                let same = Annotation::parse(&annotation.rewrite(|_| None)).unwrap();
                prop_assert_eq!(same.entries(), annotation.entries());
                let all = annotation.rewrite(|n| Some(Target {
                    namespace: None, name: format!("vpod{}", n + 1)
                }));
                let after = Annotation::parse(&all).unwrap();
                prop_assert_eq!(after.entries().len(), annotation.entries().len());
                for (n, (new, old)) in after.entries().iter().zip(annotation.entries()).enumerate() {
                    prop_assert_eq!(&new.name, &format!("vpod{}", n + 1));
                    prop_assert_eq!(&new.interface, &old.interface);
                }
            }
        }
    }
}
