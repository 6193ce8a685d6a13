//! Where an OpenFlow controller is, on the command line and for Open vSwitch.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// OpenFlow's port.
const PORT: u16 = 6653;

/// A controller, by address or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    secure: bool,
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not one; write tcp:HOST:PORT or ssl:HOST:PORT");
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let secure = match scheme {
            "tcp" => false,
            "ssl" => true,
            _ => return Err(wrong()),
        };
        // An IPv6 address stands in brackets, so that its colons aren't the port's.
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, Some("")),
            },
        };
        let port = match port.ok_or_else(wrong)? {
            "" if !rest.ends_with(':') => PORT,
            port => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
        };
        let bad =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '/' | '@' | '[');
        if host.is_empty() || host.contains(bad) {
            return Err(wrong());
        }
        Ok(Self { secure, host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "ssl" } else { "tcp" };
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => write!(f, "{scheme}:[{ip}]:{}", self.port),
            _ => write!(f, "{scheme}:{}:{}", self.host, self.port),
        }
    }
}

impl Target {
    /// The same with an address instead of a name: Open vSwitch may have been built without DNS.
    ///
    /// # Errors
    /// Why the name has no address now.
    pub async fn resolved(&self) -> Result<Self, String> {
        if self.host.parse::<IpAddr>().is_ok() {
            return Ok(self.clone());
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut addresses: Vec<SocketAddr> =
            found.map_err(|error| format!("{}: {error}", self.host))?.collect();
        // The same one each time, as long as it is there: a change of target is a new connection.
        addresses.sort();
        let first = addresses.first().ok_or_else(|| format!("{}: has no address", self.host))?;
        Ok(Self { host: first.ip().to_string(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_as_open_vswitch_does() {
        let cases = [
            ("tcp:10.0.0.1:6653", Some("tcp:10.0.0.1:6653")),
            ("tcp:10.0.0.1", Some("tcp:10.0.0.1:6653")),
            ("ssl:controller.isolane:7000", Some("ssl:controller.isolane:7000")),
            ("tcp:[fd00::1]:6653", Some("tcp:[fd00::1]:6653")),
            ("tcp:[fd00::1]", Some("tcp:[fd00::1]:6653")),
            ("tcp:", None),
            ("tcp::6653", None),
            ("tcp:a:", None),
            ("tcp:a:0", None),
            ("tcp:a:b", None),
            ("tcp:[fd00::1", None),
            ("tcp:[a]:1", None),
            ("udp:a:1", None),
            ("10.0.0.1:6653", None),
        ];
        for (text, want) in cases {
            let read = text.parse::<Target>().map(|it| it.to_string());
            assert_eq!(read.ok().as_deref(), want, "{text}");
        }
    }
}
