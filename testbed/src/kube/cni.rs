//! CNI plugins themselves, called as Multus calls them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::assets::REQUIRE_KUBE;
use crate::error::LabError;
use crate::netns::NetNs;
use crate::rights::proceed;

/// Where Debian, and others, have them.
const FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// What a plugin is called about: a pod's interface.
#[derive(Clone, Copy, Debug)]
pub struct Cni<'a> {
    /// The node: the plugin runs there.
    pub node: &'a NetNs,
    /// The pod's sandbox.
    pub pod: &'a NetNs,
    /// The sandbox's id.
    pub sandbox: &'a str,
    /// The name of the interface inside of the pod: `net1`, …
    pub interface: &'a str,
    /// The name of the NetworkAttachmentDefinition.
    pub name: &'a str,
    /// Its configuration.
    pub config: &'a str,
}

impl Cni<'_> {
    /// Calls ADD and returns the plugin's result.
    ///
    /// # Errors
    /// [`LabError`] with what the plugin said.
    pub fn add(&self) -> Result<Value, LabError> {
        let said = self.call("ADD")?;
        serde_json::from_str(&said).map_err(|error| LabError::Wrong(format!("{error} in {said}")))
    }

    /// Calls DEL.
    ///
    /// # Errors
    /// [`LabError`] with what the plugin said.
    pub fn del(&self) -> Result<(), LabError> {
        self.call("DEL").map(drop)
    }

    fn call(&self, verb: &str) -> Result<String, LabError> {
        let wrong = |what: &str| LabError::Wrong(format!("{what}: {}", self.config));
        let mut config: Value =
            serde_json::from_str(self.config).map_err(|error| wrong(&error.to_string()))?;
        let plugin = config["type"].as_str().ok_or_else(|| wrong("no type"))?.to_owned();
        // Multus gives a configuration without a name its definition's.
        if config["name"].is_null() {
            config["name"] = json!(self.name);
        }
        let program = installed(&plugin)
            .ok_or_else(|| LabError::Wrong(format!("no CNI plugin {plugin} in {FOLDERS:?}")))?;
        // `env` sets what the plugin reads, inside of the node's namespace.
        let arguments = [
            format!("CNI_COMMAND={verb}"),
            format!("CNI_CONTAINERID={}", self.sandbox),
            format!("CNI_NETNS={}", self.pod.path()),
            format!("CNI_IFNAME={}", self.interface),
            format!("CNI_PATH={}", FOLDERS.join(":")),
            program.display().to_string(),
        ];
        let mut command = Command::new("env");
        command.args(arguments);
        let input = config.to_string();
        self.node.inside(move || said(command, &input))?
    }
}

/// Runs a plugin; it says on standard output what went wrong, too.
fn said(mut command: Command, input: &str) -> Result<String, LabError> {
    use std::io::Write;
    use std::process::Stdio;
    let failed = |reason: String| LabError::Command { command: "CNI plugin".to_owned(), reason };
    let run = || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = { run }().map_err(|error: std::io::Error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(failed(format!("{}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr))))
}

/// Why host-device can't be called here, or `None` if it can.
pub fn missing_cni() -> Option<&'static str> {
    match installed("host-device") {
        Some(_) => None,
        None => Some("the CNI plugin host-device is not installed (run `make setup`)"),
    }
}

/// For the head of a story: `false`, and a loud line, if host-device can't be called.
///
/// # Panics
/// Instead of leaving it out, where [`REQUIRE_KUBE`] is set.
#[must_use]
pub fn needs_cni(test: &str) -> bool {
    proceed(test, missing_cni(), REQUIRE_KUBE)
}

fn installed(plugin: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(plugin)).find(|path| path.is_file())
}
