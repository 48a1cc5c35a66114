//! Requests against a real server on this machine, with a grant for its range.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use meshhost_core::{grant::EffectiveGrants, limits::Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::imports::testing::Setting;

/// A server that answers every connection with the same bytes and then waits for its end; it
/// notes the heads of the requests.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, noted) = (answer.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    noted.lock().unwrap().push(String::from_utf8(head).unwrap());
                    stream.write_all(&answer).await.unwrap();
                    let _ = stream.read_u8().await;
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn setting(rule: &str, ranges: &[&str]) -> Setting {
    Setting::granted(EffectiveGrants {
        network: vec![rule.parse().unwrap()],
        network_ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        ..EffectiveGrants::default()
    })
}

fn request(method: &str, url: &str) -> Request<WasiBody> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    Request::builder().method(method).uri(url).body(body).unwrap()
}

/// Sends and reads the whole answer.
async fn exchange(
    state: &mut HostState,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<(u16, Bytes), Error> {
    let sent = view(state).hooks.send_request(request, options, Box::new(async { Ok(()) }));
    let (response, carry) = Pin::from(sent).await?;
    let carry = tokio::spawn(Pin::from(carry));
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    carry.abort();
    Ok((status, body))
}

#[tokio::test]
async fn a_granted_request_goes_out_as_it_was_decided() {
    let server = Server::start(answer("200 OK", "", "hello")).await;
    let base = format!("http://localhost:{}", server.address.port());
    let mut state = setting(&base, &["127.0.0.0/8", "::1/128"]).state();
    let answered = exchange(&mut state, request("GET", &format!("{base}/v1?q=1")), None).await;
    assert_eq!(answered.unwrap(), (200, Bytes::from("hello")));
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /v1?q=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: localhost:{}\r\n", server.address.port())), "{head}");
    assert!(state.record().take().denied.is_empty());
}

#[tokio::test]
async fn an_address_that_is_granted_by_itself_needs_no_range() {
    let server = Server::start(answer("204 No Content", "", "")).await;
    let base = format!("http://{}", server.address);
    let mut state = setting(&base, &[]).state();
    assert_eq!(exchange(&mut state, request("GET", &base), None).await.unwrap().0, 204);
}

#[tokio::test]
async fn a_granted_name_that_leads_to_this_machine_is_denied_without_its_range() {
    let server = Server::start(answer("200 OK", "", "private")).await;
    let base = format!("http://localhost:{}", server.address.port());
    let mut state = setting(&base, &["10.0.0.0/8"]).state();
    let error = exchange(&mut state, request("GET", &base), None).await.unwrap_err();
    assert!(matches!(error, Error::DestinationIpProhibited), "{error}");
    assert!(server.heads().is_empty());
    let denied = state.record().take().denied;
    assert_eq!(denied.len(), 1);
    assert!(!denied[0].target.contains("127.0.0.1"), "no address reaches the caller");
}

#[tokio::test]
async fn what_is_not_granted_is_denied_and_recorded_with_its_permission() {
    let mut state = setting("GET https://api.example.org/v1", &[]).state();
    for (method, url) in [
        ("GET", "https://evil.example.org/v1"),
        ("GET", "https://api.example.org.evil.org/v1"),
        ("GET", "http://api.example.org/v1"),
        ("GET", "https://api.example.org:8443/v1"),
        ("GET", "https://api.example.org/v2"),
        ("GET", "https://api.example.org/v1/../v2"),
        ("POST", "https://api.example.org/v1"),
    ] {
        let error = exchange(&mut state, request(method, url), None).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{method} {url}: {error}");
    }
    let denied = state.record().take().denied;
    assert_eq!(denied[0].permission.as_deref(), Some("net=GET https://evil.example.org"));
    assert_eq!(denied[0].function, FUNCTION);
}

#[tokio::test]
async fn the_target_has_one_reading() {
    let mut state = setting("http://localhost", &["127.0.0.0/8"]).state();
    let mut other_host = request("GET", "http://localhost/");
    other_host.headers_mut().insert(header::HOST, http::HeaderValue::from_static("other"));
    let long = format!("http://localhost/{}", "a".repeat(PATH_BYTES_MAX));
    for (sent, name) in [
        (other_host, "a host header"),
        (request("GET", "http://me@localhost/"), "a user"),
        (request("GET", "http://localhost:0/"), "port 0"),
        (request("GET", &long), "a long path"),
    ] {
        let error = exchange(&mut state, sent, None).await.unwrap_err();
        let refused = matches!(error, Error::HttpRequestUriInvalid | Error::HttpRequestUriTooLong);
        assert!(refused, "{name}: {error}");
    }
}

#[test]
fn headers_of_the_connection_are_the_hosts() {
    for name in ["Host", "Connection", "Transfer-Encoding", "TE", "Upgrade", "Proxy-Authorization"]
    {
        assert!(is_forbidden(&name.parse().unwrap()), "{name}");
    }
    for name in ["authorization", "content-length", "accept", "cookie"] {
        assert!(!is_forbidden(&name.parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_comes_back_to_the_guest() {
    let other = "location: http://169.254.169.254/latest\r\n";
    let server = Server::start(answer("302 Found", other, "")).await;
    let base = format!("http://{}", server.address);
    let mut state = setting(&base, &[]).state();
    assert_eq!(exchange(&mut state, request("GET", &base), None).await.unwrap().0, 302);
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_time() {
    let server = Server::start(Vec::new()).await;
    let base = format!("http://{}", server.address);
    let mut state = setting(&base, &[]).state();
    for wait in [Duration::ZERO, Duration::from_millis(1)] {
        let options = RequestOptions { first_byte_timeout: Some(wait), ..Default::default() };
        let sent = request("GET", &base);
        let error = exchange(&mut state, sent, Some(options)).await.unwrap_err();
        assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
    }
    let limits = Limits { deadline_ms: 50, ..Limits::DEFAULT };
    let mut state = Setting { limits, ..setting(&base, &[]) }.state();
    let error = exchange(&mut state, request("GET", &base), None).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
}

#[tokio::test]
async fn a_response_with_too_much_head_is_an_error() {
    let many = "x: y\r\n".repeat(HEADERS_MAX + 1);
    let large = format!("x: {}\r\n", "y".repeat(2 * HEADER_BYTES_MAX));
    for headers in [many, large] {
        let server = Server::start(answer("200 OK", &headers, "")).await;
        let base = format!("http://{}", server.address);
        let mut state = setting(&base, &[]).state();
        assert!(exchange(&mut state, request("GET", &base), None).await.is_err());
    }
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_is_an_error() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()).await;
    let base = format!("http://{}", server.address);
    let mut state = setting(&base, &[]).state();
    let wait = Some(Duration::from_millis(10));
    let options = RequestOptions { between_bytes_timeout: wait, ..Default::default() };
    let error = exchange(&mut state, request("GET", &base), Some(options)).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
}

#[tokio::test]
async fn a_request_that_may_change_something_is_an_effect_while_it_is_in_flight() {
    let server = Server::start(Vec::new()).await;
    let base = format!("http://{}", server.address);
    for (method, effect) in [("GET", false), ("POST", true), ("DELETE", true)] {
        let mut state = setting(&base, &[]).state();
        let before = server.heads().len();
        let sent = request(method, &base);
        let sent = view(&mut state).hooks.send_request(sent, None, Box::new(async { Ok(()) }));
        let mut sent = Pin::from(sent);
        while server.heads().len() == before {
            tokio::select! {
                _ = &mut sent => panic!("the server does not answer"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(sent);
        assert_eq!(state.record().effect_in_flight(), effect, "{method}");
    }
}

/// A server with a certificate of its own for `localhost`, valid from 2020 to 2119; its key is
/// good for nothing but this test.
async fn secure_server() -> SocketAddr {
    use tokio_rustls::{TlsAcceptor, rustls};
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(KEY).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CERTIFICATE.into()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                stream.write_all(&answer("200 OK", "", "secure")).await.unwrap();
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
        }
    });
    address
}

const CERTIFICATE: &[u8] = include_bytes!("testdata/localhost.der");
const KEY: &[u8] = include_bytes!("testdata/localhost.key.der");

#[tokio::test]
async fn a_certificate_must_be_vouched_for_and_fit_the_name() {
    let address = secure_server().await;
    let by_name = format!("https://localhost:{}", address.port());
    let by_address = format!("https://{address}");
    let believed = || Authorities::only(CERTIFICATE.into());
    for (base, authorities, accepted) in [
        (&by_name, believed(), true),
        (&by_name, Authorities::of_the_web(), false),
        (&by_address, believed(), false),
    ] {
        let mut state = setting(base, &["127.0.0.0/8", "::1/128"]).state();
        state.imports.http.hooks.authorities = authorities;
        let answered = exchange(&mut state, request("GET", base), None).await;
        match answered {
            Ok(answered) => assert!(accepted && answered == (200, Bytes::from("secure"))),
            Err(Error::Tls(error)) => {
                assert!(!accepted, "{base}: {error}");
                let told = view(&mut state).hooks.p2_error_from_tls(&error);
                assert!(matches!(told, ErrorCode::TlsCertificateError), "{told:?}");
            }
            Err(error) => panic!("{base}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_for_https() {
    let server = Server::start(answer("200 OK", "", "plain")).await;
    let base = format!("https://{}", server.address);
    let mut state = setting(&base, &[]).state();
    let wait = Some(Duration::from_millis(50));
    let options = RequestOptions { connect_timeout: wait, ..Default::default() };
    let error = exchange(&mut state, request("GET", &base), Some(options)).await.unwrap_err();
    assert!(matches!(error, Error::Tls(_) | Error::ConnectionTimeout), "{error}");
}
