//! What Open vSwitch says, made comparable.

/// Parts of a dumped flow that change by themselves.
const VOLATILE: [&str; 5] = ["duration=", "n_packets=", "n_bytes=", "idle_age=", "hard_age="];
/// Modules of ovs-vswitchd that handle OpenFlow messages.
const OPENFLOW_MODULES: [&str; 10] = [
    "ofp",
    "ofproto",
    "connmgr",
    "vconn",
    "nx_match",
    "meta_flow",
    "bundles",
    "learn",
    "flow",
    "match",
];
/// Logged by these modules though no message was at fault: a peer that closed or didn't answer.
const NOT_ABOUT_MESSAGES: [&str; 4] = ["connection", "Connection", "connect:", "Broken pipe"];

/// The flows or groups of a dump, one a line, sorted, without counters and times.
pub fn normalise(dump: &str) -> String {
    let mut lines: Vec<String> =
        dump.lines().filter(|line| !is_heading(line)).map(settled).collect();
    lines.sort();
    lines.concat()
}

/// Lines of a log in which the OpenFlow side warns or worse.
pub fn openflow_warnings(log: &str) -> Vec<String> {
    log.lines().filter(|line| is_openflow_warning(line)).map(str::to_owned).collect()
}

fn is_heading(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with("OFPST_") || line.starts_with("NXST_")
}

fn settled(line: &str) -> String {
    let kept: Vec<&str> = line
        .trim()
        .split(", ")
        .filter(|part| !VOLATILE.iter().any(|it| part.starts_with(it)))
        .collect();
    kept.join(", ") + "\n"
}

/// A line is `time|number|module(thread)|LEVEL|text`.
fn is_openflow_warning(line: &str) -> bool {
    let mut parts = line.splitn(5, '|').skip(2);
    let (Some(module), Some(level), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    matches!(level, "WARN" | "ERR" | "EMER")
        && OPENFLOW_MODULES.iter().any(|it| module.starts_with(it))
        && !NOT_ABOUT_MESSAGES.iter().any(|it| text.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_keeps_what_a_controller_wrote_and_nothing_else() {
        let dump = "OFPST_FLOW reply (OF1.3) (xid=0x2):\n \
            cookie=0x7, duration=12.5s, table=1, n_packets=3, n_bytes=180, idle_timeout=300, idle_age=2, priority=5,dl_vlan=9 actions=drop\n \
            cookie=0x1, duration=1s, table=0, n_packets=0, n_bytes=0, priority=9,in_port=1 actions=goto_table:1\n";
        let want = "cookie=0x1, table=0, priority=9,in_port=1 actions=goto_table:1\n\
            cookie=0x7, table=1, idle_timeout=300, priority=5,dl_vlan=9 actions=drop\n";
        assert_eq!(normalise(dump), want);
    }

    #[test]
    fn only_lines_about_messages_are_warnings() {
        let cases = [
            (
                "an odd message",
                "2026-01-01T00:00:00.000Z|00052|ofp_msgs|WARN|invalid type 200",
                true,
            ),
            ("a refused flow", "t|00053|ofproto(handler4)|ERR|s1: bad group", true),
            (
                "no controller yet",
                "t|00046|rconn|WARN|s1<->tcp:127.0.0.1:6653: connection failed (Connection refused)",
                false,
            ),
            (
                "the controller went",
                "t|00047|vconn|WARN|tcp:127.0.0.1:6653: connection dropped",
                false,
            ),
            ("news", "t|00048|connmgr|INFO|s1<->tcp: 12 flow_mods in the last 0 s", false),
            ("not a line of a log", "nothing", false),
        ];
        for (name, line, want) in cases {
            assert_eq!(!openflow_warnings(line).is_empty(), want, "{name}");
        }
    }
}
