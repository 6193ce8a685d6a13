//! Who may ask.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::error::{Problem, ProblemKind};
use crate::invalid::Invalid;

/// Who may ask for anything but `/healthz` and `/readyz`, which all may.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever has one of these tokens.
    Tokens(Tokens),
    /// Whoever can connect, as is fit for loopback: requests must name
    /// `localhost` or an IP address as their host, since a web page can make
    /// its own host name lead to loopback, but not choose these.
    Loopback,
    /// Whoever can connect. For listeners that ask for client certificates,
    /// and for those who insist.
    Open,
}

/// Accepted tokens. Only their hashes are kept.
#[derive(Clone, Default)]
pub struct Tokens {
    hashes: Vec<[u8; 32]>,
    weak: usize,
}

impl Tokens {
    /// Tokens of fewer bytes than this can be guessed.
    pub const STRONG: usize = 16;
    /// The longest token, in bytes.
    pub const MAX: usize = 4096;

    /// Reads a token file: one token a line; blank lines and those that start
    /// with `#` are skipped. The error never says what a token is.
    pub fn parse(file: &str) -> Result<Self, Invalid> {
        let mut tokens = Self::default();
        for (at, line) in file.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let why = if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                "has a character that can't be sent; printable ASCII without blanks can"
            } else if token.len() > Self::MAX {
                "is too long; up to 4096 characters are accepted"
            } else {
                tokens.hashes.push(hash(token.as_bytes()));
                tokens.weak += usize::from(token.len() < Self::STRONG);
                continue;
            };
            return Err(Invalid::new("token", format!("the one in line {} {why}", at + 1)));
        }
        if tokens.hashes.is_empty() {
            return Err(Invalid::new("token file", "has no token; write one a line"));
        }
        Ok(tokens)
    }

    /// How many of them are shorter than [`Self::STRONG`]: worth a warning.
    pub fn weak(&self) -> usize {
        self.weak
    }

    /// Whether this is one of them, in a time that doesn't tell how much of it
    /// is right: hashes are compared, whole, with all of them.
    fn accept(&self, token: &[u8]) -> bool {
        let sent = hash(token);
        let mut found = subtle::Choice::from(0);
        for known in &self.hashes {
            found |= known.ct_eq(&sent);
        }
        found.into()
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} token(s)", self.hashes.len())
    }
}

/// Lets a request pass, or answers 401 or 421.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(request.uri().path(), "/healthz" | "/readyz")
        && let Err(problem) = allowed(&access, &request)
    {
        return problem.into_response();
    }
    next.run(request).await
}

fn allowed(access: &Access, request: &Request) -> Result<(), Problem> {
    match access {
        Access::Open => Ok(()),
        Access::Loopback => {
            let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            let host = header.or(request.uri().authority().map(|host| host.as_str()));
            if is_local(host.unwrap_or_default()) {
                return Ok(());
            }
            let detail = "Without tokens this server answers only to localhost and IP addresses.";
            Err(Problem::new(ProblemKind::MisdirectedRequest, detail))
        }
        Access::Tokens(tokens) => {
            let Some(header) = request.headers().get(AUTHORIZATION) else {
                return Err(Problem::new(ProblemKind::Unauthorized, "No token was sent."));
            };
            match bearer(header.as_bytes()) {
                Some(token) if tokens.accept(token) => Ok(()),
                Some(_) => {
                    let detail = "The token that was sent is not accepted.";
                    Err(Problem::new(ProblemKind::Unauthorized, detail))
                }
                None => {
                    let detail = "Authorization was sent, but no Bearer token.";
                    Err(Problem::new(ProblemKind::Unauthorized, detail))
                }
            }
        }
    }
}

/// The token of a Bearer credential (RFC 6750, 2.1; schemes ignore case, RFC
/// 9110, 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_by_lines() {
        let file = "# for the bridge\n\n  0123456789abcdef  \nfedcba9876543210\n";
        let tokens = Tokens::parse(file).unwrap();
        assert!(tokens.accept(b"0123456789abcdef") && tokens.accept(b"fedcba9876543210"));
        for wrong in [&b"0123456789abcdee"[..], b"0123456789abcdef0", b"", b"# for the bridge"] {
            assert!(!tokens.accept(wrong));
        }
        assert_eq!(format!("{tokens:?}"), "2 token(s)");
    }

    #[test]
    fn a_token_that_cannot_work_is_refused_without_being_told() {
        let long = "x".repeat(4097);
        for (file, line) in [(&*long, 1), ("\n0123456789 abcdef", 2), ("0123456789abcdéf", 1)] {
            let error = Tokens::parse(file).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")), "{error}");
            assert!(!error.contains(file.trim()), "{error}");
        }
        assert_eq!(Tokens::parse("secret\n0123456789abcdef").unwrap().weak(), 1);
        assert!(Tokens::parse("# nothing\n").is_err());
    }

    #[test]
    fn only_local_hosts_are_local() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8080", "localhost.evil.example", "[::1"] {
            assert_eq!(is_local(host), host == "[::1", "{host}");
        }
    }
}
