//! Reading a document for `apply`, in YAML or JSON.

use api::types::Document;

/// The document in these bytes; the error says what is wrong, and where.
///
/// JSON is YAML too, but reading it as what it is takes less time and says what
/// is wrong in JSON's terms.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!("not UTF-8 from byte {} on; write other names as `pct:a%FF`", error.valid_up_to())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("is empty; an empty document is written {}".to_owned());
    }
    if text.trim_start().starts_with('{') {
        match serde_json::from_str(text) {
            Ok(document) => return Ok(document),
            // A flow mapping of YAML may start like that, too.
            Err(error) if error.is_data() => return Err(error.to_string()),
            Err(_) => {}
        }
    }
    // A document is as large as its author wants: the budget against hostile
    // documents stays for aliases, which can multiply a small one.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
set: shop
networks:
  - name: blue
    mac_limit: 5
  - name: red
ports:
  - {network: blue, switch: worker-1, port: 3}
  - network: red
    switch: 0x1
    port: eth0
    mac: [02:00:00:00:00:01]
    ips:
      - 10.0.0.1
    enforce: true
";

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = parse(YAML.as_bytes()).unwrap();
        assert_eq!((yaml.networks.len(), yaml.ports.len()), (2, 2));
        assert_eq!(yaml.ports[0].port.to_string(), "3");
        assert_eq!(yaml.ports[1].switch.to_string(), "of:0000000000000001");
        assert_eq!(yaml.ports[1].mac[0].to_string(), "02:00:00:00:00:01");
        let json = serde_json::to_string_pretty(&yaml).unwrap();
        assert_eq!(parse(json.as_bytes()).unwrap(), yaml);
        let yaml_again = serde_saphyr::to_string(&yaml).unwrap();
        assert_eq!(parse(yaml_again.as_bytes()).unwrap(), yaml);
        let flow = parse(b"{networks: [{name: blue}]}").unwrap();
        assert_eq!(flow.networks[0].name.to_string(), "blue");
    }

    #[test]
    fn an_answer_can_be_applied() {
        let text = "\
ports:
  - {network: a, switch: s, port: p, number: 3, state: pending, reason: null, reasons: [], set: x}
networks:
  - {name: a, id: 7, state: installed, reason: null, reasons: [], ports: 1, learnt: 0}
";
        assert_eq!(parse(text.as_bytes()).unwrap().ports.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("networks:\n  - name: Blue\n", "network name", "line 2"),
            ("networks:\n  - name: a\n    colour: b\n", "colour", "line 3"),
            ("networks:\n  - mac_limit: 5\n", "name", "line 2"),
            ("ports:\n  - {network: a, switch: s, port: 0}\n", "0 is no port", "line 2"),
            ("networks: [\n", "", "line"),
            ("{\"networks\": [{\"name\": \"A\"}]}", "network name", "line 1"),
            ("a: b\n---\nc: d\n", "", ""),
            ("", "empty", ""),
        ];
        for (text, what, place) in cases {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(what) && error.contains(place), "{text:?}: {error}");
        }
        assert!(parse(b"set: \xff").unwrap_err().contains("byte 5"));
    }

    #[test]
    fn a_document_larger_than_the_readers_own_bound_is_read() {
        let mut text = String::from("networks:\n");
        for n in 0..84_000 {
            text.push_str(&format!("- name: n{n}\n"));
        }
        assert_eq!(parse(text.as_bytes()).unwrap().networks.len(), 84_000);
    }
}
