//! Open vSwitch's database, by `ovs-vsctl`: what is in it, and changes in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::diff::MAX_BACKOFF;
use super::facts::{Bridge, Controller, Ovs, Port};
use super::plan::{MADE, MARK, NOTE, OvsStep};

/// Names the folder with Open vSwitch's sockets, as for its own tools.
const RUNDIR: &str = "OVS_RUNDIR";
/// Where Debian and most others have it.
const USUAL: &str = "/var/run/openvswitch";
/// For a transaction to be carried out, in seconds.
const TIMEOUT: &str = "--timeout=30";

/// Why Open vSwitch didn't answer, or refused.
#[derive(Debug, thiserror::Error)]
pub enum OvsError {
    /// The program can't be started.
    #[error("ovs-vsctl: {0} (is Open vSwitch installed?)")]
    Start(#[source] std::io::Error),
    /// It failed, and says why.
    #[error("{0}")]
    Failed(String),
    /// Its answer is not understood.
    #[error("ovs-vsctl's answer is not understood: {0}")]
    Answer(String),
    /// The switch daemon has never run on this database.
    #[error("ovs-vswitchd has not started yet")]
    NotStarted,
}

/// One Open vSwitch.
#[derive(Clone, Debug)]
pub struct Vsctl {
    socket: PathBuf,
}

impl Vsctl {
    /// The one whose run folder the environment names, else the one at the usual place.
    pub fn found() -> Self {
        let folder = std::env::var_os(RUNDIR).filter(|it| !it.is_empty());
        let folder = folder.map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
        Self { socket: folder.join("db.sock") }
    }

    /// Reads what there is.
    ///
    /// # Errors
    /// [`OvsError`] when it doesn't answer, or has never run.
    pub async fn read(&self) -> Result<Ovs, OvsError> {
        let list = |table: &str, columns: &str| {
            ["--".to_owned(), format!("--columns={columns}"), "list".to_owned(), table.to_owned()]
        };
        let mut args = vec!["--format=json".to_owned()];
        args.extend(list("Open_vSwitch", "datapath_types"));
        args.extend(list(
            "Bridge",
            "name,datapath_type,protocols,fail_mode,other_config,external_ids,ports,controller",
        ));
        args.extend(list("Port", "_uuid,name,interfaces,external_ids"));
        args.extend(list("Interface", "_uuid,name,type,options,ofport,error"));
        args.extend(list("Controller", "_uuid,target,connection_mode,max_backoff,external_ids"));
        parse(&self.run(&args).await?)
    }

    /// Carries changes out, all or nothing, and waits until the switch daemon has done so.
    ///
    /// # Errors
    /// [`OvsError`] when it refuses, or the switch daemon doesn't run.
    pub async fn apply(&self, steps: &[OvsStep]) -> Result<(), OvsError> {
        let args: Vec<String> = steps.iter().flat_map(args).collect();
        self.run(&args).await.map(drop)
    }

    /// A note on a bridge; empty if there is none.
    ///
    /// # Errors
    /// [`OvsError`] when it doesn't answer.
    pub async fn note(&self, bridge: &str, key: &str) -> Result<String, OvsError> {
        let key = format!("external_ids:{key}");
        let args = ["--", "--if-exists", "get", "Bridge", bridge, &key].map(str::to_owned);
        let said = self.run(&args).await?;
        let said = said.trim();
        // Quoted as JSON is, unless it is a plain word.
        Ok(serde_json::from_str(said).unwrap_or_else(|_| said.to_owned()))
    }

    /// Leaves a note on a bridge.
    ///
    /// # Errors
    /// [`OvsError`] when it refuses.
    pub async fn set_note(&self, bridge: &str, key: &str, value: &str) -> Result<(), OvsError> {
        let value = format!("external_ids:{key}={}", quoted(value));
        self.run(&["--", "set", "Bridge", bridge, &value].map(str::to_owned)).await.map(drop)
    }

    async fn run(&self, args: &[String]) -> Result<String, OvsError> {
        let mut command = Command::new("ovs-vsctl");
        command
            .arg(format!("--db=unix:{}", self.socket.display()))
            .args([TIMEOUT, "-vconsole:off", "-vsyslog:off"])
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(OvsError::Start)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(OvsError::Failed(match said.as_str() {
                "" => format!("ovs-vsctl --db=unix:{}: {}", self.socket.display(), output.status),
                said => said.to_owned(),
            }));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A value as `ovs-vsctl` reads it whatever is in it.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn options(options: &BTreeMap<String, String>) -> Vec<String> {
    options.iter().map(|(key, value)| format!("options:{key}={}", quoted(value))).collect()
}

fn tuned() -> Vec<String> {
    // In band, Open vSwitch would add hidden flows of its own for the connection.
    vec!["connection_mode=out-of-band".to_owned(), format!("max_backoff={MAX_BACKOFF}")]
}

/// One step as commands of `ovs-vsctl`.
fn args(step: &OvsStep) -> Vec<String> {
    let mark = format!("external_ids:{MARK}={MADE}");
    match step {
        OvsStep::AddBridge(bridge) => {
            words(["--", "add-br", bridge, "--", "set", "Bridge", bridge, &mark])
        }
        OvsStep::DeleteBridge(bridge) => words(["--", "--if-exists", "del-br", bridge]),
        OvsStep::SetBridge { bridge, column, value } => {
            words(["--", "set", "Bridge", bridge, &format!("{column}={}", quoted(value))])
        }
        OvsStep::Retarget { uuid, target } => {
            words(["--", "set", "Controller", uuid, &format!("target={}", quoted(target))])
        }
        OvsStep::TuneController { uuid } => {
            let mut all = words(["--", "set", "Controller", uuid]);
            all.extend(tuned());
            all
        }
        OvsStep::SetControllers { bridge, targets } => {
            let mut all = Vec::new();
            let mut ids = Vec::new();
            for (at, target) in targets.iter().enumerate() {
                ids.push(format!("@c{at}"));
                all.extend(words(["--", &format!("--id=@c{at}"), "create", "Controller"]));
                all.push(format!("target={}", quoted(target)));
                all.extend(tuned());
                all.push(mark.clone());
            }
            all.extend(words(["--", "set", "Bridge", bridge]));
            all.push(format!("controller=[{}]", ids.join(",")));
            all
        }
        OvsStep::DropNote(bridge) => {
            words(["--", "remove", "Bridge", bridge, "external_ids", NOTE])
        }
        OvsStep::DeleteControllers(bridge) => words(["--", "del-controller", bridge]),
        OvsStep::AddPort { bridge, port, tunnel } => {
            let mut all = words(["--", "add-port", bridge, port, "--", "set", "Port", port, &mark]);
            if let Some(tunnel) = tunnel {
                all.extend(words(["--", "set", "Interface", port, "type=vxlan"]));
                all.extend(options(tunnel));
            }
            all
        }
        OvsStep::SetOptions { port, options: settings } => {
            let mut all = words(["--", "clear", "Interface", port, "options"]);
            all.extend(words(["--", "set", "Interface", port]));
            all.extend(options(settings));
            all
        }
        OvsStep::DeletePort { bridge, port } => {
            words(["--", "--if-exists", "del-port", bridge, port])
        }
    }
}

type Row = BTreeMap<String, Value>;

/// The five tables as `ovs-vsctl --format=json` prints them, one a line.
fn parse(text: &str) -> Result<Ovs, OvsError> {
    let tables: Vec<Vec<Row>> = text.lines().map(table).collect::<Result<_, _>>()?;
    let [roots, bridges, ports, interfaces, controllers] = tables.as_slice() else {
        return Err(OvsError::Answer(format!("{} tables", tables.len())));
    };
    let datapath_types: BTreeSet<String> =
        roots.iter().flat_map(|row| texts(row.get("datapath_types"))).collect();
    if datapath_types.is_empty() {
        return Err(OvsError::NotStarted);
    }
    let interfaces = by_uuid(interfaces);
    let controllers = by_uuid(controllers);
    let ports = by_uuid(ports);
    let bridge = |row: &Row| {
        let name = text_of(row, "name");
        let mut bridge = Bridge {
            datapath_type: text_of(row, "datapath_type"),
            protocols: texts(row.get("protocols")).into_iter().collect(),
            fail_mode: text_of(row, "fail_mode"),
            other_config: map(row.get("other_config")),
            external_ids: map(row.get("external_ids")),
            ..Bridge::default()
        };
        for uuid in texts(row.get("controller")) {
            let Some(row) = controllers.get(&uuid) else { continue };
            bridge.controllers.push(Controller {
                target: text_of(row, "target"),
                connection_mode: text_of(row, "connection_mode"),
                max_backoff: number(row.get("max_backoff")),
                external_ids: map(row.get("external_ids")),
                uuid,
            });
        }
        for uuid in texts(row.get("ports")) {
            let Some(row) = ports.get(&uuid) else { continue };
            let port = text_of(row, "name");
            if port == name {
                continue; // the bridge's own
            }
            let first = texts(row.get("interfaces"))
                .into_iter()
                .find_map(|it| interfaces.get(&it).copied());
            let nothing = Row::new();
            let interface = first.unwrap_or(&nothing);
            let facts = Port {
                kind: text_of(interface, "type"),
                options: map(interface.get("options")),
                external_ids: map(row.get("external_ids")),
                number: number(interface.get("ofport")),
                error: text_of(interface, "error"),
            };
            bridge.ports.insert(port, facts);
        }
        (name, bridge)
    };
    Ok(Ovs { datapath_types, bridges: bridges.iter().map(bridge).collect() })
}

fn by_uuid(rows: &[Row]) -> BTreeMap<String, &Row> {
    rows.iter().map(|row| (text_of(row, "_uuid"), row)).collect()
}

fn table(line: &str) -> Result<Vec<Row>, OvsError> {
    #[derive(serde::Deserialize)]
    struct Table {
        headings: Vec<String>,
        data: Vec<Vec<Value>>,
    }
    let table: Table =
        serde_json::from_str(line).map_err(|error| OvsError::Answer(error.to_string()))?;
    let row = |values: Vec<Value>| table.headings.iter().cloned().zip(values).collect();
    Ok(table.data.into_iter().map(row).collect())
}

/// The atoms of a value: OVSDB writes a set of one as the atom itself (RFC 7047, 5.1).
fn atoms(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(pair)) => match pair.as_slice() {
            [Value::String(kind), Value::Array(all)] if kind == "set" => all.iter().collect(),
            _ => value.into_iter().collect(),
        },
        other => other.into_iter().collect(),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    atoms(value).into_iter().filter_map(atom_text).collect()
}

fn atom_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(kind), Value::String(uuid)] if kind == "uuid" => Some(uuid.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text_of(row: &Row, column: &str) -> String {
    texts(row.get(column)).into_iter().next().unwrap_or_default()
}

fn number(value: Option<&Value>) -> Option<i64> {
    atoms(value).first().and_then(|it| it.as_i64())
}

fn map(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Array(pair)) = value else { return BTreeMap::new() };
    let [Value::String(kind), Value::Array(pairs)] = pair.as_slice() else {
        return BTreeMap::new();
    };
    if kind != "map" {
        return BTreeMap::new();
    }
    let entry = |pair: &Value| match pair.as_array()?.as_slice() {
        [Value::String(key), Value::String(value)] => Some((key.clone(), value.clone())),
        _ => None,
    };
    pairs.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Open vSwitch 3.1 prints it.
    const PRINTED: &str = r#"{"data":[[["set",["netdev","system"]]]],"headings":["datapath_types"]}
{"data":[["brtun","netdev","OpenFlow13","secure",["map",[["datapath-id","00000000000000aa"]]],["map",[["isolane","made"]]],["set",[["uuid","p0"],["uuid","p1"]]],["uuid","c0"]]],"headings":["name","datapath_type","protocols","fail_mode","other_config","external_ids","ports","controller"]}
{"data":[[["uuid","p0"],"brtun",["uuid","i0"],["map",[]]],[["uuid","p1"],"vxlan1",["uuid","i1"],["map",[["isolane","made"]]]]],"headings":["_uuid","name","interfaces","external_ids"]}
{"data":[[["uuid","i0"],"brtun","internal",["map",[]],65534,["set",[]]],[["uuid","i1"],"vxlan1","vxlan",["map",[["key","flow"]]],3,["set",[]]]],"headings":["_uuid","name","type","options","ofport","error"]}
{"data":[[["uuid","c0"],"tcp:127.0.0.1:6653","out-of-band",1000,["map",[]]]],"headings":["_uuid","target","connection_mode","max_backoff","external_ids"]}
"#;

    #[test]
    fn the_database_is_read() {
        let ovs = parse(PRINTED).unwrap();
        let bridge = &ovs.bridges["brtun"];
        assert_eq!(bridge.datapath_type, "netdev");
        assert_eq!(bridge.protocols.iter().collect::<Vec<_>>(), ["OpenFlow13"]);
        assert_eq!(bridge.other_config["datapath-id"], "00000000000000aa");
        assert_eq!(bridge.controllers[0].target, "tcp:127.0.0.1:6653");
        assert_eq!(bridge.controllers[0].max_backoff, Some(1000));
        assert_eq!(bridge.ports.keys().collect::<Vec<_>>(), ["vxlan1"]);
        let port = &bridge.ports["vxlan1"];
        assert_eq!(
            (port.kind.as_str(), port.options["key"].as_str(), port.number),
            ("vxlan", "flow", Some(3))
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert!(matches!(parse("x"), Err(OvsError::Answer(_))));
        assert!(matches!(parse(""), Err(OvsError::Answer(_))));
        let never = PRINTED.replace(r#"["set",["netdev","system"]]"#, r#"["set",[]]"#);
        assert!(matches!(parse(&never), Err(OvsError::NotStarted)));
    }

    #[test]
    fn values_are_quoted_whatever_is_in_them() {
        let value = "a\"b; -- del-br brtun".to_owned();
        let step = OvsStep::SetBridge {
            bridge: "brtun".into(),
            column: "other_config:dp-desc".into(),
            value,
        };
        assert_eq!(args(&step).last().unwrap(), r#"other_config:dp-desc="a\"b; -- del-br brtun""#);
    }
}
