//! May this process build labs on real devices? Probes that try it, and a loud way to skip.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::host::Tap;
use crate::netns::NetNs;

/// Set (to anything) where a lab that can't run must fail a test instead of skipping it: in CI.
pub const REQUIRE_OVS: &str = "ISOLANE_REQUIRE_OVS";

/// Why namespaces and devices can't be made here, or `None` if they can. Found by making one of each.
pub fn missing_rights() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let try_it =
                || NetNs::new("probe").and_then(|namespace| Tap::create("probe", &namespace));
            try_it()
                .err()
                .map(|error| format!("needs root, network namespaces and /dev/net/tun ({error})"))
        })
        .as_deref()
}

/// Why real Open vSwitch labs can't run here, or `None` if they can.
pub fn missing_ovs() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            missing_rights().map(str::to_owned).or_else(|| {
                let absent = [
                    "ovs-vswitchd",
                    "ovsdb-server",
                    "ovs-vsctl",
                    "ovs-ofctl",
                    "ovsdb-tool",
                    "ethtool",
                ]
                .into_iter()
                .find(|program| !starts(program));
                absent.map(|program| format!("{program} is not installed (run `make setup`)"))
            })
        })
        .as_deref()
}

/// Whether namespaces and devices can be made here.
pub fn have_rights() -> bool {
    missing_rights().is_none()
}

/// Whether real Open vSwitch labs can run here.
pub fn have_ovs() -> bool {
    missing_ovs().is_none()
}

/// For the head of a test that needs namespaces: `false`, and a loud line, if they can't be made.
///
/// # Panics
/// Instead of skipping, where [`REQUIRE_OVS`] is set.
#[must_use]
pub fn needs_rights(test: &str) -> bool {
    proceed(test, missing_rights(), REQUIRE_OVS)
}

/// For the head of a test that needs real Open vSwitch: `false`, and a loud line, if it can't run.
///
/// # Panics
/// Instead of skipping, where [`REQUIRE_OVS`] is set.
#[must_use]
pub fn needs_ovs(test: &str) -> bool {
    proceed(test, missing_ovs(), REQUIRE_OVS)
}

/// Whether nothing is missing; else a loud line, or a panic where the variable `required` is set.
pub(crate) fn proceed(test: &str, missing: Option<&str>, required: &str) -> bool {
    let Some(reason) = missing else { return true };
    assert!(std::env::var_os(required).is_none(), "{test}: {reason}, and {required} is set");
    // Written past the test harness, which swallows what a passing test prints. If even that fails, so be it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
    false
}

fn starts(program: &str) -> bool {
    let quiet = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}
