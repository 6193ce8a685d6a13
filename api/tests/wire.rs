//! Client and router over real TCP and TLS, and what bounds a connection.

// All of this file is test code, its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::serve::Bounds;
use api::types::*;
use api::{Access, Client, ClientError, Options, ProblemKind, ServerTls, Tokens, router, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No test waits longer for anything.
const BOUND: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Server {
    async fn start(access: Access, tls: Option<ServerTls>, bounds: Bounds) -> Self {
        Self::of(router(Arc::new(Memory::default()), Options::new(access)), tls, bounds).await
    }

    async fn of(router: axum::Router, tls: Option<ServerTls>, bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let done = tokio::spawn(serve(listener, router, tls, bounds, shutdown));
        Self { address, stop, done }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    async fn stop(self) {
        drop(self.stop);
        timeout(BOUND, self.done).await.expect("the server stops").unwrap();
    }
}

/// A CA, and what it signed for one name.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn all_calls_pass_from_client_to_controller_and_back() {
    let server = Server::start(Access::Loopback, None, Bounds::default()).await;
    let client = Client::builder(server.url("http")).build().unwrap();
    let wait = Wait::default();
    let blue: api::values::NetworkName = "blue".parse().unwrap();
    let (s1, away) = ("s1".parse().unwrap(), "away".parse().unwrap());
    let odd = api::name::PortRef::Name(api::name::Name::new(*b"a/\xff ..%").unwrap());

    client.ready().await.unwrap();
    let spec = NetworkSpec::new(blue.clone());
    assert_eq!(client.create_network(&spec, wait).await.unwrap().status, 201);
    assert_eq!(client.put_network(&spec, wait).await.unwrap().status, 200);
    assert_eq!(client.network(&blue).await.unwrap().spec(), spec);
    assert_eq!(client.networks().await.unwrap().len(), 1);

    let mac = PortSpec { mac: vec!["02:00:00:00:00:01".parse().unwrap()], ..Default::default() };
    let put = client.put_port(&blue, &s1, &odd, &mac, wait).await.unwrap();
    assert_eq!((put.status, put.body.spec(), &put.body.port), (201, mac, &odd));
    let put = client.put_port(&blue, &away, &odd, &PortSpec::default(), wait).await.unwrap();
    assert!(put.is_pending() && put.body.state == State::Pending);
    assert_eq!(client.port(&blue, &s1, &odd).await.unwrap().switch, s1);
    assert_eq!(client.ports(&blue).await.unwrap().len(), 2);
    assert_eq!(client.delete_port(&blue, &s1, &odd, wait).await.unwrap(), None);
    let waiting = client.delete_port(&blue, &away, &odd, wait).await.unwrap().unwrap();
    assert_eq!(waiting.reasons[0].switch, away);

    let document = Document { networks: vec![spec], ..Default::default() };
    assert_eq!(client.apply(&document, false, wait).await.unwrap().body.unchanged, 1);

    assert_eq!(client.switches().await.unwrap(), [client.switch(&s1).await.unwrap()]);
    let patch = SwitchPatch { pool: Some(Some("p*".parse().unwrap())), ..Default::default() };
    let patched = client.patch_switch(&s1, &patch, Wait::Stored).await.unwrap();
    assert_eq!(patched.body.pool.as_str(), "p*");
    assert_eq!(client.delete_switch(&away).await.unwrap(), None);
    for refused in [client.adopt_switch(&s1, wait).await, client.reset_switch(&s1, wait).await] {
        assert_eq!(refused.unwrap_err().problem().unwrap().kind(), ProblemKind::NotImplemented);
    }
    let flows = client.flows(&s1, FlowView::Diff).await.unwrap();
    assert_eq!((flows.items.len(), flows.groups.len()), (3, 1));

    let (a, b) = (End { switch: s1.clone(), port: odd.clone() }, "2".parse().unwrap());
    let b = End { switch: s1.clone(), port: b };
    let encap = LinkBody { encap: Encap::TunId };
    let link = client.put_link(&a, &b, &encap, wait).await.unwrap();
    assert_eq!((link.status, &link.body.a, link.body.encap), (201, &a, Encap::TunId));
    assert_eq!(client.links().await.unwrap().len(), 1);
    assert_eq!(client.delete_link(&b, &a, wait).await.unwrap(), None);

    let of_red = HostFilter { network: Some("red".parse().unwrap()), switch: Some(s1.clone()) };
    assert_eq!(client.hosts(&of_red).await.unwrap().len(), 1);

    let ask = |owner: &str| AttachmentSpec { switch: s1.clone(), owner: owner.parse().unwrap() };
    let one = client.create_attachment(&blue, &ask("pod/1 & more"), wait).await.unwrap();
    let two = [ask("pod/1 & more"), ask("pod/2")];
    let two = client.create_attachments(&blue, &two, wait).await.unwrap();
    assert_eq!((two.status, two.body.len(), &two.body[0]), (201, 2, &one.body));
    let of = AttachmentFilter { owner: Some(one.body.owner.clone()), owner_prefix: None };
    assert_eq!(client.attachments(&of).await.unwrap(), std::slice::from_ref(&one.body));
    assert_eq!(client.attachment(&one.body.id).await.unwrap(), one.body);
    assert_eq!(client.delete_attachment(&one.body.id, wait).await.unwrap(), None);
    let ready = PoolPortBody { ready: true };
    assert!(client.put_pool_port(&s1, &odd, ready).await.unwrap().body.ready);

    assert!(client.metrics().await.unwrap().contains("isolane_up 1"));
    assert_eq!(client.delete_network(&blue, true, wait).await.unwrap(), None);
    let gone = client.network(&blue).await.unwrap_err();
    assert_eq!(gone.problem().unwrap().kind(), ProblemKind::NetworkNotFound);
    assert_eq!(gone.problem().unwrap().member("network").unwrap(), "blue");
    server.stop().await;
}

#[tokio::test]
async fn a_list_longer_than_a_page_comes_whole() {
    let server = Server::start(Access::Open, None, Bounds::default()).await;
    let client = Client::builder(server.url("http")).build().unwrap();
    let names = (0..2_345).map(|n| NetworkSpec::new(format!("n{n}").parse().unwrap()));
    let document = Document { networks: names.collect(), ..Default::default() };
    assert_eq!(client.apply(&document, false, Wait::Stored).await.unwrap().body.created, 2_345);
    let all = client.networks().await.unwrap();
    assert_eq!(all.len(), 2_345);
    assert!(all.is_sorted_by(|a, b| a.name < b.name));
    server.stop().await;
}

#[tokio::test]
async fn tls_and_a_token_keep_others_out() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let (certificate, key) = ca.sign("127.0.0.1");
    let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    let access = Access::Tokens(Tokens::parse("0123456789abcdef").unwrap());
    let server = Server::start(access, Some(tls), Bounds::default()).await;
    let client = |ca: &Ca, token: &str| {
        Client::builder(server.url("https")).ca_pem(ca.pem()).token(token).build().unwrap()
    };

    assert!(client(&ca, "0123456789abcdef").networks().await.unwrap().is_empty());
    let refused = client(&ca, "0123456789abcdee").networks().await.unwrap_err();
    assert_eq!(refused.problem().unwrap().kind(), ProblemKind::Unauthorized);
    let unknown = client(&stranger, "0123456789abcdef").networks().await.unwrap_err();
    assert!(matches!(&unknown, ClientError::Unreachable { .. }), "{unknown}");
    assert!(unknown.to_string().contains("certificate"), "{unknown}");
    let plain = Client::builder(server.url("http")).build().unwrap();
    assert!(plain.networks().await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_client_certificate_stands_for_a_token() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let (certificate, key) = ca.sign("127.0.0.1");
    let client_ca = ca.pem();
    let tls =
        ServerTls::from_pem(certificate.as_bytes(), key.as_bytes(), Some(client_ca.as_bytes()));
    let server = Server::start(Access::Open, Some(tls.unwrap()), Bounds::default()).await;
    let builder = || Client::builder(server.url("https")).ca_pem(ca.pem());

    let (certificate, key) = ca.sign("bridge");
    let known = builder().identity_pem(certificate, key).build().unwrap();
    assert!(known.networks().await.unwrap().is_empty());
    let (certificate, key) = stranger.sign("bridge");
    let unknown = builder().identity_pem(certificate, key).build().unwrap();
    assert!(matches!(unknown.networks().await, Err(ClientError::Unreachable { .. })));
    let nobody = builder().build().unwrap();
    assert!(matches!(nobody.networks().await, Err(ClientError::Unreachable { .. })));
    server.stop().await;
}

#[test]
fn certificates_that_cannot_work_are_refused() {
    let ca = Ca::new();
    let (certificate, key) = ca.sign("a");
    let (_, other_key) = ca.sign("b");
    let cases = [
        ("no certificate", "", &*key, None),
        ("no key", &*certificate, "", None),
        ("a key of another", &*certificate, &*other_key, None),
        ("no client CA", &*certificate, &*key, Some("")),
        ("half a block", "-----BEGIN CERTIFICATE-----\nAAAA\n", &*key, None),
    ];
    for (name, certificate, key, client_ca) in cases {
        let client_ca = client_ca.map(str::as_bytes);
        let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes(), client_ca);
        assert!(tls.is_err(), "{name}");
    }
}

#[test]
fn a_server_that_cannot_be_one_is_refused() {
    for url in ["", "127.0.0.1:8080", "ftp://a", "http://", "http://a?b", "http://me:pw@a"] {
        assert!(Client::builder(url).build().is_err(), "{url}");
    }
    assert!(Client::builder("http://a").token("a\nb").build().is_err());
}

#[tokio::test]
async fn an_unreachable_server_is_said_to_be_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let slow = Client::builder(&url).timeout(Duration::from_millis(50)).build().unwrap();
    assert!(matches!(slow.networks().await, Err(ClientError::TimedOut { .. })));
    drop(listener);
    let error = Client::builder(&url).build().unwrap().networks().await.unwrap_err();
    assert!(error.to_string().starts_with(&url), "{error}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

/// Everything that the server sends until it closes.
async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset is a close, too.
    let _ = timeout(BOUND, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_client_that_dawdles_is_closed() {
    let short = Duration::from_millis(100);
    let bounds = Bounds { head: short, handshake: short, ..Default::default() };
    let plain = Server::start(Access::Open, None, bounds).await;
    let (certificate, key) = Ca::new().sign("127.0.0.1");
    let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    let secure = Server::start(Access::Open, Some(tls), bounds).await;

    let mut silent = TcpStream::connect(plain.address).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, "");
    let mut half = TcpStream::connect(plain.address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    until_closed(&mut half).await;
    let mut idle = TcpStream::connect(plain.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut no_hello = TcpStream::connect(secure.address).await.unwrap();
    assert_eq!(until_closed(&mut no_hello).await, "");
    plain.stop().await;
    secure.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_closed() {
    let large = "x".repeat(64 << 20);
    let router = axum::Router::new().route("/", axum::routing::get(|| async move { large }));
    let bounds =
        Bounds { stall: Duration::from_millis(100), drain: BOUND * 9, ..Default::default() };
    let server = Server::of(router, None, bounds).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 1];
    client.read_exact(&mut first).await.unwrap();
    // The end waits for answers under way, and so until the server gives up.
    server.stop().await;
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served() {
    let bounds = Bounds { connections: 1, ..Default::default() };
    let server = Server::start(Access::Open, None, bounds).await;
    let ask = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(ask).await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(ask).await.unwrap();
    let refused = until_closed(&mut second).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("problems/too-many-connections"), "{refused}");
    drop(first);
    // Its place is free once the server has noticed.
    let served = async {
        loop {
            let mut third = TcpStream::connect(server.address).await.unwrap();
            third.write_all(ask).await.unwrap();
            let mut status = [0; 12];
            third.read_exact(&mut status).await.unwrap();
            if status == *b"HTTP/1.1 200" {
                break;
            }
        }
    };
    timeout(BOUND, served).await.expect("now it is served");
    server.stop().await;
}

#[tokio::test]
async fn what_was_asked_is_answered_before_the_end() {
    let (arrived, has_arrived) = oneshot::channel::<()>();
    let (go, went) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((arrived, went))));
    let handler = move || async move {
        let (arrived, went) = once.lock().unwrap().take().unwrap();
        arrived.send(()).unwrap();
        went.await.unwrap();
        "done"
    };
    let router = axum::Router::new().route("/", axum::routing::get(handler));
    let bounds = Bounds { drain: BOUND, ..Default::default() };
    let server = Server::of(router, None, bounds).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    has_arrived.await.unwrap();

    let Server { stop, done, address } = server;
    drop(stop);
    assert_eq!(until_closed(&mut idle).await, "", "an idle connection is closed at once");
    let late = TcpStream::connect(address).await;
    assert!(late.is_err(), "nothing more is accepted");
    go.send(()).unwrap();
    assert!(until_closed(&mut busy).await.ends_with("done"));
    timeout(BOUND, done).await.expect("the server stops").unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let router = axum::Router::new()
        .route("/", axum::routing::get(|| async { std::future::pending::<()>().await }));
    let bounds = Bounds { drain: Duration::from_millis(50), ..Default::default() };
    let server = Server::of(router, None, bounds).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let client = tokio::spawn(async move { until_closed(&mut stuck).await });
    server.stop().await;
    assert_eq!(client.await.unwrap(), "");
}
