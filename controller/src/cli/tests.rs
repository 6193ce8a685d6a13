//! The verbs against a running controller, without switches.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use api::router::{Access, Options, Tokens};
use api::serve::Bounds;
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CliError, Command, execute};
use crate::discovery::Timing;
use crate::engine::{Engine, EngineConfig, Inputs};
use crate::lldp::Key;
use crate::rest::Rest;
use crate::southbound::EventSink;
use crate::store::Memory;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// A controller on a free port, until it is dropped.
struct Controller {
    url: String,
    stop: CancellationToken,
}

impl Controller {
    async fn start(access: Access) -> Self {
        let (_sink, events, punts) = EventSink::channel(16, 16);
        let config = EngineConfig {
            timing: Timing::default(),
            store: Box::new(Memory::default()),
            lldp_key: Key::new([7; 32]),
            switch_away: Duration::from_secs(30),
            restart_hold: Duration::from_secs(30),
            audit_interval: Duration::from_secs(60),
        };
        let stop = CancellationToken::new();
        let engine = Engine::new(config, std::time::Instant::now()).unwrap();
        let (engine, _) = engine.spawn(Inputs { events, punts }, stop.clone());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let router = api::router(Arc::new(Rest::new(engine, metrics)), Options::new(access));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(api::serve(listener, router, None, Bounds::default(), stopped));
        Self { url, stop }
    }

    /// Runs `isolane LINE --server …`, words parted by blanks.
    async fn run(&self, line: &str) -> Result<String, CliError> {
        let words = ["isolane"].into_iter().chain(line.split(' '));
        let words = words.chain(["--server", &self.url]);
        let command = Arguments::try_parse_from(words).expect(line).command;
        let mut out = Vec::new();
        execute(command, &mut out).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    async fn json(&self, line: &str) -> Value {
        let text = self.run(&format!("{line} -o json")).await.expect(line);
        serde_json::from_str(&text).expect(line)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn the_definitions_are_sound() {
    use clap::CommandFactory;
    Arguments::command().debug_assert();
}

#[tokio::test]
async fn a_network_is_made_changed_and_removed() {
    let it = Controller::start(Access::Loopback).await;
    let made = it.run("network create blue --mac-limit 5 --label a=b --label c=d").await.unwrap();
    let lines: Vec<Vec<&str>> = made.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NETWORK", "ID", "PORTS", "LEARNT", "LABELS", "STATE"]);
    assert_eq!((lines[1][0], lines[1][3], lines[1][4]), ("blue", "0/5", "a=b,c=d"));

    let set = it.json("network set blue --label e=f --unlabel a").await;
    assert_eq!(
        (&set["mac_limit"], &set["labels"]),
        (&5.into(), &serde_json::json!({"c": "d", "e": "f"}))
    );
    it.run("network create red").await.unwrap();
    let all = it.json("network list").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(it.run("network delete red").await.unwrap(), "network red: gone\n");

    let again = it.run("network create blue").await.unwrap_err();
    assert!(again.to_string().contains("blue"), "{again}");
    assert!(again.help().unwrap().contains("isolane network set"));
    assert_eq!(again.exit_code(), 1);
    let yaml = it.run("network show blue -o yaml").await.unwrap();
    assert!(yaml.contains("name: blue\n"), "{yaml}");
}

#[tokio::test]
async fn a_port_of_a_switch_that_is_not_there_waits_and_says_so() {
    let it = Controller::start(Access::Loopback).await;
    it.run("network create blue").await.unwrap();
    let attach = "port attach blue worker-1 eth0 --mac 02:00:00:00:00:01 --ip 10.0.0.1 --enforce";
    let shown = it.run(&format!("{attach} --owner me")).await.unwrap();
    assert!(shown.contains("pending: ") && shown.contains("not connected"), "{shown}");
    let port = it.json("port show blue worker-1 eth0").await;
    assert_eq!((&port["enforce"], &port["owner"]), (&true.into(), &"me".into()));
    let detached = it.run("port detach blue worker-1 eth0 --wait stored").await.unwrap();
    assert!(detached.starts_with("port worker-1 eth0 in network blue: gone"), "{detached}");
    let gone = it.run("port show blue worker-1 eth0").await.unwrap_err();
    assert!(gone.to_string().contains("eth0"), "{gone}");
}

#[tokio::test]
async fn a_link_is_declared_in_one_order_and_removed_in_the_other() {
    let it = Controller::start(Access::Loopback).await;
    let link = it.json("link declare s1 vx0 s2 vx0 --encap tun_id").await;
    assert_eq!((&link["encap"], &link["up"]), (&"tun_id".into(), &false.into()));
    assert_eq!(it.json("link list").await["items"].as_array().unwrap().len(), 1);
    it.run("link delete s2 vx0 s1 vx0").await.unwrap();
    assert_eq!(it.json("link list").await["items"].as_array().unwrap().len(), 0);
    let same = it.run("link declare s1 1 s1 1").await.unwrap_err();
    assert_eq!(same.exit_code(), 2);
}

#[tokio::test]
async fn lists_are_shown_when_there_is_nothing() {
    let it = Controller::start(Access::Loopback).await;
    assert!(it.run("switch list").await.unwrap().starts_with("SWITCH"));
    assert!(it.run("host list --network blue --switch s1").await.unwrap().starts_with("MAC"));
    let unknown = it.run("switch flows nowhere --diff").await.unwrap_err();
    assert!(unknown.to_string().contains("nowhere"), "{unknown}");
}

#[tokio::test]
async fn a_document_is_applied_and_pruned() {
    let it = Controller::start(Access::Loopback).await;
    let all =
        "set: shop\nnetworks: [{name: a}, {name: b}]\nports:\n- {network: a, switch: s, port: 1}\n";
    let all = file(all);
    let done = it.run(&format!("apply -f {}", all.path().display())).await.unwrap();
    assert!(done.contains("3 created, 0 updated, 0 deleted, 0 unchanged"), "{done}");
    let less = file(r#"{"set":"shop","networks":[{"name":"a","mac_limit":9}]}"#);
    let done = it.json(&format!("apply --prune -f {}", less.path().display())).await;
    assert_eq!((&done["updated"], &done["deleted"]), (&1.into(), &2.into()));
    assert_eq!(it.json("network list").await["items"].as_array().unwrap().len(), 1);

    let broken = file("networks:\n- name: A\n");
    let line = format!("apply -f {}", broken.path().display());
    let error = it.run(&line).await.unwrap_err().to_string();
    assert!(error.starts_with(&broken.path().display().to_string()), "{error}");
    assert!(error.contains("network name") && error.contains("line 2"), "{error}");
    let missing = it.run("apply -f /nowhere/at.all").await.unwrap_err();
    assert!(matches!(missing, CliError::File { .. }), "{missing}");
}

#[tokio::test]
async fn a_token_is_read_from_its_file() {
    let tokens = file("# for people\n0123456789abcdef\n");
    let text = std::fs::read_to_string(tokens.path()).unwrap();
    let it = Controller::start(Access::Tokens(Tokens::parse(&text).unwrap())).await;
    let refused = it.run("network list").await.unwrap_err();
    assert!(refused.help().unwrap().contains("--token-file"));
    let line = format!("network list --token-file {}", tokens.path().display());
    it.run(&line).await.unwrap();
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_said_to_be_so() {
    let it = Controller::start(Access::Loopback).await;
    let url = it.url.clone();
    drop(it);
    let there = async || {
        let words = ["isolane", "network", "list", "--server", &url];
        execute(Arguments::parse_from(words).command, &mut Vec::new()).await
    };
    let bound = tokio::time::Instant::now() + Duration::from_secs(20);
    let error = loop {
        match there().await {
            Err(error) => break error,
            Ok(()) => assert!(tokio::time::Instant::now() < bound, "it still answers"),
        }
        tokio::task::yield_now().await;
    };
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.help().unwrap().contains("isolane serve"));
}

#[test]
fn wrong_usage_is_found_before_anything_is_sent() {
    let wrong = [
        "network create Blue",
        "network create blue --mac-limit 1000001",
        "network create blue --label a",
        "network create blue --timeout 5",
        "network create blue --wait never",
        "network list -o xml",
        "port attach blue s1 0",
        "port attach blue s1 1 --mac x",
        "port attach blue s1 1 --enforce",
        "port attach blue s1",
        "link declare s1 1 s2 2 --encap gre",
        "switch flows s1 --diff --desired",
        "switch pool s1 vhost1",
        "attachment create blue s1",
        "apply",
    ];
    for line in wrong {
        let words = ["isolane"].into_iter().chain(line.split(' '));
        let error = Arguments::try_parse_from(words).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[tokio::test]
async fn names_are_any_bytes() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let it = Controller::start(Access::Loopback).await;
    it.run("network create blue").await.unwrap();
    let words = ["isolane", "port", "attach", "blue", "s1"].map(OsString::from);
    let words = words.into_iter().chain([OsString::from_vec(b"e\xff\x1b".to_vec())]);
    let words = words.chain(["--server".into(), it.url.clone().into()]);
    execute(Arguments::try_parse_from(words).unwrap().command, &mut Vec::new()).await.unwrap();
    assert_eq!(it.json("port show blue s1 pct:e%FF%1B").await["port"], "pct:e%FF%1B");
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    assert_eq!(super::visible("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
}
