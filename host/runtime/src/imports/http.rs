//! `wasi:http`, outgoing: requests to what is granted (`net=…`), with the protocol's types from
//! wasmtime-wasi-http and a way out of our own.
//!
//! A request is decided by what its own target says (scheme, host, port, method, path), never by
//! a header. The name is resolved once, every address is decided again, and the connection goes
//! to an address that was decided. Redirects come back to the guest, whose next request is decided
//! like the first. Without a grant the answer is `HTTP-request-denied`.
//!
//! Absent on purpose: HTTP/2, proxies, connection reuse across calls, decompression, and any way
//! to accept a certificate that does not verify.

mod body;
mod connect;

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Request, Response, header, uri::Scheme};
use http_body_util::BodyExt;
use meshhost_core::{decide, limits::MIB, network::NetworkRule};
use tokio_rustls::rustls::Error as TlsError;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks,
    p2::bindings::{
        LinkOptions,
        http::{
            outgoing_handler,
            types::{self, ErrorCode},
        },
    },
};

use self::{
    body::Bounded,
    connect::{Authorities, Connection, Target},
};
use super::Context;
use crate::state::{BufferCharge, HostState};

/// Bytes that the headers of one request or response may take, as the library counts them.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Headers of one response.
const HEADERS_MAX: usize = 256;
/// Longest path and query of a request, in bytes.
const PATH_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one write to a request's body.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one response's body. A body is streamed, so this bounds what is carried, not what is
/// held.
const BODY_BYTES_MAX: u64 = 1024 * MIB;
/// The function's name in records.
const FUNCTION: &str = "wasi:http/outgoing-handler#handle";

/// Links `wasi:http` for outgoing requests.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    outgoing_handler::add_to_linker::<_, WasiHttp>(linker, view)?;
    types::add_to_linker::<_, WasiHttp>(linker, &(&options).into(), view)
}

fn view(state: &mut HostState) -> WasiHttpCtxView<'_> {
    let state = state.enter();
    let http = &mut state.imports.http;
    WasiHttpCtxView { hooks: &mut http.hooks, ctx: &mut http.library, table: &mut state.table }
}

/// What is kept for one call.
#[derive(Debug)]
pub(super) struct HttpState {
    library: WasiHttpCtx,
    hooks: Outgoing,
}

impl HttpState {
    /// The state at the start of a call.
    pub(super) fn new(context: &Context) -> Self {
        let mut library = WasiHttpCtx::new();
        library.set_field_size_limit(HEADER_BYTES_MAX);
        Self {
            library,
            hooks: Outgoing { context: context.clone(), authorities: Authorities::of_the_web() },
        }
    }
}

/// How requests leave.
#[derive(Debug)]
struct Outgoing {
    context: Context,
    authorities: Authorities,
}

/// What a request is answered with: the response, and the work that carries its body.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outgoing {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        if error.is_timeout() {
            ErrorCode::HttpResponseTimeout
        } else if error.is_parse_too_large() {
            ErrorCode::HttpResponseHeaderSectionSize(None)
        } else if error.is_incomplete_message() {
            ErrorCode::HttpResponseIncomplete
        } else {
            ErrorCode::HttpProtocolError
        }
    }

    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
            std::io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            _ => ErrorCode::DestinationUnavailable,
        }
    }

    fn p2_error_from_tls(&mut self, error: &std::io::Error) -> ErrorCode {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
        match cause {
            Some(TlsError::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
            _ => ErrorCode::TlsProtocolError,
        }
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let (context, authorities) = (self.context.clone(), self.authorities.clone());
        let allowed = context.decide_request(&request);
        Box::new(async move {
            let (rule, target) = allowed?;
            let times = Times::of(options, context.remaining());
            let held = context.record.charge_buffer(HEADER_BYTES_MAX as u64);
            let held = held.map_err(|_| Error::ConnectionLimitReached)?;
            let stream = connect::open(&context, &rule, &target, &authorities);
            let stream = tokio::time::timeout(times.connect, stream).await;
            let stream = stream.map_err(|_| Error::ConnectionTimeout)??;
            send(&context, stream, &target, request, times, held).await
        })
    }
}

/// Headers that belong to the connection or say where a request goes: the host sets them, from
/// the decided target (RFC 9110, section 7.6.1).
const FORBIDDEN_HEADERS: &[&str] = &[
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN_HEADERS.contains(&name.as_str())
}

/// How long each step may take; never longer than the call.
#[derive(Debug, Clone, Copy)]
struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Times {
    fn of(options: Option<RequestOptions>, remaining: Duration) -> Self {
        let options = options.unwrap_or_default();
        let bounded = |wish: Option<Duration>| wish.unwrap_or(remaining).min(remaining);
        Self {
            connect: bounded(options.connect_timeout),
            first_byte: bounded(options.first_byte_timeout),
            between_bytes: bounded(options.between_bytes_timeout),
        }
    }
}

impl Context {
    /// Decides a request by its own target, and records it when it is not granted.
    fn decide_request(&self, request: &Request<WasiBody>) -> Result<(NetworkRule, Target), Error> {
        let uri = request.uri();
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        if path.len() > PATH_BYTES_MAX {
            return Err(Error::HttpRequestUriTooLong);
        }
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let has_user = authority.as_str().contains('@');
        let names_path = path.starts_with('/');
        if has_user || !names_path || request.headers().contains_key(header::HOST) {
            return Err(Error::HttpRequestUriInvalid);
        }
        let port = match (authority.port(), authority.port_u16()) {
            (Some(_), None) | (_, Some(0)) => return Err(Error::HttpRequestUriInvalid),
            (_, port) => port,
        };
        let scheme = uri.scheme().unwrap_or(&Scheme::HTTPS).as_str();
        let (host, method) = (authority.host(), request.method().as_str());
        let rules = self.rules();
        match decide::request(&rules.network, scheme, host, port, method, path) {
            Ok(rule) => {
                let target = Target::new(rule.scheme, host, rule.port)?;
                Ok((rule.clone(), target))
            }
            Err(denied) => {
                self.record.deny(denied.permission, FUNCTION, &denied.target);
                Err(Error::HttpRequestDenied)
            }
        }
    }
}

/// Sends a decided request. A method that may change something counts as an effect until the
/// response's head is there.
async fn send(
    context: &Context,
    stream: Connection,
    target: &Target,
    mut request: Request<WasiBody>,
    times: Times,
    held: BufferCharge,
) -> Result<Sent, Error> {
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(stream).await?;
    let worker = async move { connection.await.map_err(Error::from) };
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(http::Uri::default, http::Uri::from);
    request.headers_mut().insert(header::HOST, target.host_header()?);
    let effect = (!request.method().is_safe()).then(|| context.record.begin_effect());
    let answer = async {
        tokio::time::timeout(times.first_byte, sender.send_request(request))
            .await
            .map_err(|_| Error::HttpResponseTimeout)?
            .map_err(Error::from)
    };
    let worker = wasmtime_wasi::runtime::spawn(worker);
    let answer = answer.await;
    if let Some(effect) = effect {
        effect.complete();
    }
    let response = answer?.map(|body| {
        let body = body.map_err(Error::from).boxed_unsync();
        Bounded::new(body, BODY_BYTES_MAX, times.between_bytes).boxed_unsync()
    });
    let carry = async move {
        let result = worker.await;
        drop((held, sender));
        result
    };
    Ok((response, Box::new(carry)))
}

#[cfg(test)]
mod tests;
