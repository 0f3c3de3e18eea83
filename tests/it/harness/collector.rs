//! A collector of traces: OTLP by gRPC and by HTTP, read by the numbers of the standard's `trace.proto`. It shares no code with the
//! connector.

use crate::harness::airship::RUNTIME;
use crate::harness::wait;
use axum::body::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The method of gRPC.
const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A span, as far as it is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    /// Trace and span.
    pub(crate) ids: (Vec<u8>, Vec<u8>),
    pub(crate) parent: Vec<u8>,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Code and message of its status.
    pub(crate) status: Option<(u64, String)>,
    pub(crate) flags: u64,
}

/// What was sent.
#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    resource: Vec<(String, String)>,
    /// The headers `x-key`.
    keys: Vec<String>,
    bytes: Vec<u8>,
}

/// Listens for as long as the test process lives.
pub(crate) struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

/// What a field of a message holds.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, by their numbers.
struct Message<'a>(Vec<(u64, Field<'a>)>);

impl<'a> Message<'a> {
    /// `None` where it is none.
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let field = match tag & 7 {
                0 => Field::Number(varint(&mut bytes)?),
                1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    Field::Bytes(take(&mut bytes, length)?)
                }
                5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?).into()),
                _ => return None,
            };
            fields.push((tag >> 3, field));
        }
        Some(Self(fields))
    }

    fn number(&self, wanted: u64) -> Option<u64> {
        self.0.iter().find_map(|(number, field)| match field {
            Field::Number(value) if *number == wanted => Some(*value),
            _ => None,
        })
    }

    fn all(&self, wanted: u64) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |(number, field)| match field {
            Field::Bytes(bytes) if *number == wanted => Some(*bytes),
            _ => None,
        })
    }

    fn bytes(&self, wanted: u64) -> Vec<u8> {
        self.all(wanted).next().unwrap_or_default().to_vec()
    }

    fn text(&self, wanted: u64) -> Option<String> {
        String::from_utf8(self.bytes(wanted)).ok()
    }

    fn messages(&self, wanted: u64) -> Option<Vec<Self>> {
        self.all(wanted).map(Message::read).collect()
    }

    /// `KeyValue`s.
    fn attributes(&self, wanted: u64) -> Option<Vec<(String, String)>> {
        let pair = |pair: &Self| {
            let value = pair.messages(2)?.pop()?;
            let said = match (value.all(1).next(), value.number(3)) {
                (Some(_), None) => value.text(1)?,
                (None, Some(number)) => number.to_string(),
                _ => return None,
            };
            Some((pair.text(1)?, said))
        };
        self.messages(wanted)?.iter().map(pair).collect()
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

impl Taken {
    /// Reads an `ExportTraceServiceRequest`.
    fn take(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.extend(bytes);
        for of_resource in Message::read(bytes)?.messages(1)? {
            self.resource = of_resource.messages(1)?.pop()?.attributes(1)?;
            for of_scope in of_resource.messages(2)? {
                let spans: Option<Vec<Span>> = of_scope.messages(2)?.iter().map(span).collect();
                self.spans.extend(spans?);
            }
        }
        Some(())
    }
}

fn span(span: &Message<'_>) -> Option<Span> {
    let ids = |message: &Message<'_>| (message.bytes(1), message.bytes(2));
    Some(Span {
        ids: ids(span),
        parent: span.bytes(4),
        name: span.text(5)?,
        kind: span.number(6)?,
        start_ns: span.number(7)?,
        end_ns: span.number(8)?,
        attributes: span.attributes(9)?,
        links: span.messages(13)?.iter().map(ids).collect(),
        // One without a code is the same as none: zero, which means that nothing was said, is not written.
        status: match span.messages(15)?.pop().filter(|status| status.number(3).is_some()) {
            Some(status) => Some((status.number(3)?, status.text(2)?)),
            None => None,
        },
        flags: span.number(16)?,
    })
}

impl Collector {
    pub(crate) fn http() -> Self {
        Self::start(false)
    }

    pub(crate) fn grpc() -> Self {
        Self::start(true)
    }

    fn start(is_grpc: bool) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::<Mutex<Taken>>::default();
        let all = Arc::clone(&taken);
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                let answer = service_fn(move |request| answer(request, is_grpc, Arc::clone(&all)));
                let stream = TokioIo::new(stream);
                RUNTIME.spawn(async move {
                    // Who asked may be gone.
                    if is_grpc {
                        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        http2.serve_connection(stream, answer).await.ok();
                    } else {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(stream, answer)
                            .await
                            .ok();
                    }
                });
            }
        });
        Self { address, taken }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The headers `x-key` of all requests.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.taken.lock().unwrap().keys.clone()
    }

    /// All that was sent, to look for what must not be in it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap().bytes).into_owned()
    }

    /// What the process says of itself.
    pub(crate) fn resource(&self) -> Vec<(String, String)> {
        self.taken.lock().unwrap().resource.clone()
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap().spans.clone()
    }

    /// The spans of a name.
    pub(crate) fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// Waits for spans of which this holds.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, holds: impl Fn(&[Span]) -> bool) {
        wait::wait_until(wait::GENEROUS, what, || holds(&self.spans()));
    }
}

impl Span {
    /// What an attribute says.
    #[track_caller]
    pub(crate) fn said(&self, key: &str) -> &str {
        let found = self.attributes.iter().find(|(name, _)| name == key);
        &found.unwrap_or_else(|| panic!("no {key}: {self:?}")).1
    }
}

type Answer = Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>;

async fn answer(
    request: Request<Incoming>,
    is_grpc: bool,
    taken: Arc<Mutex<Taken>>,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, kind) =
        if is_grpc { (METHOD, "application/grpc") } else { ("/v1/traces", "application/x-protobuf") };
    let is_right = head.uri.path() == path
        && head.method == "POST"
        && head.headers.get("content-type").is_some_and(|found| found == kind)
        && (!is_grpc || head.headers.get("te").is_some_and(|found| found == "trailers"));
    let message = match is_grpc {
        // Not compressed, and as long as it says.
        true => {
            body.strip_prefix(b"\0").and_then(|rest| rest.split_at_checked(4)).and_then(|(length, rest)| {
                (u32::from_be_bytes(length.try_into().unwrap()) as usize == rest.len()).then_some(rest)
            })
        }
        false => Some(&body[..]),
    };
    let is_read = message.is_some_and(|message| {
        let mut taken = taken.lock().unwrap();
        taken.keys.extend(head.headers.get("x-key").map(|key| key.to_str().unwrap().to_owned()));
        taken.take(message).is_some()
    });
    let is_good = is_right && is_read;
    if !is_grpc {
        let status = if is_good { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let mut response = Response::new(Full::new(Bytes::new()).boxed());
        *response.status_mut() = status;
        return Ok(response);
    }
    // INVALID_ARGUMENT
    let status = HeaderValue::from_static(if is_good { "0" } else { "3" });
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)]);
    // An empty message.
    let body = Full::new(Bytes::from_static(b"\0\0\0\0\0")).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
