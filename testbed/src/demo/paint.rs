//! Colours on a terminal, plain text elsewhere.

use std::io::{IsTerminal, stdout};

/// How to write things.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colours: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const BLUE: &str = "34";

impl Paint {
    /// Colours where standard output is a terminal, unless `NO_COLOR` is set.
    pub fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        Self { colours: stdout().is_terminal() && !refused }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.paint(DIM, text)
    }

    /// Something is done.
    pub fn tick(self) -> String {
        self.paint(GREEN, "✓")
    }

    /// A network's name, in its colour.
    pub fn network(self, name: &str) -> String {
        self.paint(colour(name), name)
    }

    /// The three switches.
    pub fn ring(self) -> String {
        let lines = [
            "",
            "         s1m1  s1m2",
            "           \\   /",
            "            s1",
            "           /  \\",
            "  s2m1 ─ s2 ── s3 ─ s3m1",
            "  s2m2 ─┘       └─ s3m2",
        ];
        self.dim(&lines.join("\n"))
    }

    /// Who gets an answer from whom: a row for each host that asks.
    pub fn matrix(
        self,
        names: &[&str],
        networks: &[Option<&str>],
        answers: &[Vec<bool>],
    ) -> String {
        let mut text = format!("    {:<12}", "from \\ to");
        names.iter().for_each(|name| text += &format!("{name:>6}"));
        for (from, (name, network)) in names.iter().zip(networks).enumerate() {
            let label = format!("{:<5}", network.unwrap_or("-"));
            let label = network
                .map_or_else(|| self.dim(&label), |network| self.paint(colour(network), &label));
            text += &format!("\n    {name:<6} {label}");
            for (to, heard) in answers[from].iter().enumerate() {
                text += "     ";
                text += &match (from == to, heard) {
                    (true, _) => self.dim("\\"),
                    (false, true) => self.paint(network.map_or(GREEN, colour), "●"),
                    (false, false) => self.dim("·"),
                };
            }
        }
        text
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn colour(network: &str) -> &'static str {
    if network == super::RED { RED } else { BLUE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["s1m1", "s1m2", "s2m1"];
    const NETWORKS: [Option<&str>; 3] = [Some("red"), None, Some("red")];

    fn answers() -> Vec<Vec<bool>> {
        vec![vec![false, false, true], vec![false; 3], vec![true, false, false]]
    }

    #[test]
    fn a_matrix_stands_in_columns() {
        let want = [
            "    from \\ to     s1m1  s1m2  s2m1",
            "    s1m1   red       \\     ·     ●",
            "    s1m2   -         ·     \\     ·",
            "    s2m1   red       ●     ·     \\",
        ];
        let got = Paint { colours: false }.matrix(&NAMES, &NETWORKS, &answers());
        assert_eq!(got, want.join("\n"));
    }

    #[test]
    fn colours_add_nothing_that_is_seen() {
        let plain = Paint { colours: false }.matrix(&NAMES, &NETWORKS, &answers());
        let mut coloured = Paint { colours: true }.matrix(&NAMES, &NETWORKS, &answers());
        assert_ne!(coloured, plain);
        for code in [BOLD, DIM, RED, GREEN, BLUE, "0"] {
            coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(coloured, plain);
    }
}
