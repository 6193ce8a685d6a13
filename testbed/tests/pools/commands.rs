//! The same on the command line.

use std::process::{Command, Output};

use serde_json::Value;

use crate::lab::Lab;

struct Cli {
    program: std::path::PathBuf,
    url: String,
}

impl Cli {
    fn of(lab: &Lab) -> Self {
        let program = std::fs::read_link(format!("/proc/{}/exe", lab.controller().pid())).unwrap();
        Self { program, url: format!("http://{}", lab.controller().rest().address()) }
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(&self.program);
        command.args(line.split(' ')).args(["--server", &self.url]);
        command.output().unwrap()
    }

    /// What it prints, each line as its words.
    fn lines(&self, line: &str) -> Vec<Vec<String>> {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    }
}

#[test]
fn an_attachment_is_made_found_and_deleted() {
    let lab = Lab::worker(2);
    lab.network("blue");
    let cli = Cli::of(&lab);
    let made = cli.lines("attachment create blue worker-1 --owner k8s/a");
    assert_eq!(made[0], ["ID", "NETWORK", "SWITCH", "PORT", "NUMBER", "OWNER", "SINCE", "STATE"]);
    let [id, place @ .., since, state] = made[1].as_slice() else { panic!("{made:?}") };
    assert_eq!(place, ["blue", "worker-1", "vhost1", "1", "k8s/a"]);
    assert!(since.ends_with('Z') && state == "installed", "{made:?}");

    let said = cli.lines("switch pool worker-1 vhost2 --ready false");
    assert_eq!(said[1], ["worker-1", "vhost2", "2", "no", "free", "-"]);
    let full = cli.run("attachment create blue worker-1 --owner k8s/b");
    assert_eq!(full.status.code(), Some(1));
    let why = String::from_utf8(full.stderr).unwrap();
    assert!(why.contains("of the 2 in its pool, 1 attached, 1 not ready"), "{why}");
    let shown = cli.lines("switch show worker-1");
    let row =
        |name: &str| shown.iter().find(|row| row.first().is_some_and(|it| it == name)).unwrap();
    assert_eq!(row("vhost1")[3..], ["attached", "blue", "k8s/a"]);
    assert_eq!(row("vhost2")[3..], ["pool,", "not", "ready", "-", "-"]);

    assert_eq!(cli.lines("attachment list --owner-prefix k8s/")[1], made[1]);
    assert_eq!(cli.lines("attachment list --owner k8s").len(), 1);
    assert_eq!(cli.lines(&format!("attachment show {id}"))[1], made[1]);
    let json = cli.run(&format!("attachment show {id} -o json")).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["owner"], "k8s/a");
    for _ in 0..2 {
        let gone = cli.lines(&format!("attachment delete {id}"));
        assert_eq!(gone[0].join(" "), format!("attachment {id}: gone"));
    }
    let unknown = cli.run(&format!("attachment show {id}"));
    assert_eq!(unknown.status.code(), Some(1));
}
