//! Reads the request of a call before it is decoded, within limits of size, time and memory.
//!
//! A request reserves its bytes as they arrive; a compressed one reserves its maximum size. A complete request is
//! decompressed and measured, and from then on reserves its decoded size. An invalid message is refused here with
//! INVALID_ARGUMENT, since prost's own failure would be INTERNAL.

use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use ticketing_ingress::{MemoryBudget, MemoryReservation};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::errors::Refusal;
use super::stream_handle::StreamHandle;
use super::wire::{MethodType, Schema, Unreadable};
use crate::access::Caller;

const ENCODING: &str = "grpc-encoding";
/// A flag and a length before each message.
const PREFIX: usize = 5;
/// Maximum size of one message of a client stream, in bytes.
const MAX_STREAM_MESSAGE: usize = 16 * 1_024;
/// A decoded request exists as message, as parsed value, and as stored form.
const COPIES: usize = 2;

/// A tower layer that reads requests.
#[derive(Debug, Clone)]
pub(crate) struct RequestLayer {
    schema: Arc<Schema>,
    budget: MemoryBudget,
    max_size: usize,
    timeout: Duration,
}

/// See [`RequestLayer`].
#[derive(Debug, Clone)]
pub(crate) struct RequestReader<S> {
    inner: S,
    layer: RequestLayer,
}

/// Why a request was not read.
#[derive(Debug)]
enum ReadError {
    Refused(Refusal),
    TimedOut,
    Broken,
}

/// The compression of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    /// The service itself rejects unsupported ones.
    Unknown,
}

/// The messages of a client stream, each checked before it is passed on.
struct CheckedMessages {
    body: Body,
    arrived: BytesMut,
    layer: RequestLayer,
    method: MethodType,
    stream: Option<StreamHandle>,
    is_over: bool,
}

// === impl RequestLayer ===

impl RequestLayer {
    /// `max_size` in bytes; `timeout` for the whole request to arrive.
    pub(crate) fn new(schema: Arc<Schema>, budget: MemoryBudget, max_size: usize, timeout: Duration) -> Self {
        Self { schema, budget, max_size, timeout }
    }

    /// The single message of a call with its prefix, decompressed and measured.
    async fn read(
        &self,
        method: MethodType,
        headers: &HeaderMap,
        body: &mut Body,
        held: &mut MemoryReservation,
    ) -> Result<Bytes, ReadError> {
        let encoding = Encoding::of(headers);
        let ahead = if encoding == Encoding::Gzip { self.max_size } else { self.declared(headers) };
        held.resize(ahead).map_err(|_| Refusal::Busy)?;
        let reading = self.collect(body, ahead, held);
        let whole = tokio::time::timeout(self.timeout, reading).await;
        let whole = whole.map_err(|_elapsed| ReadError::TimedOut)??;
        let framed = self.unpack(encoding, whole)?;
        let max_decoded = self.budget.max_reservation().saturating_sub(framed.len()) / COPIES;
        let size = self.measure(method, &framed[PREFIX..], max_decoded)?;
        held.resize(framed.len() + COPIES * size).map_err(|_| Refusal::Busy)?;
        Ok(framed)
    }

    /// The body of the call: one message with its prefix.
    async fn collect(
        &self,
        body: &mut Body,
        ahead: usize,
        held: &mut MemoryReservation,
    ) -> Result<Bytes, ReadError> {
        let mut arrived = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ReadError::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            let total = arrived.len() + data.len();
            held.resize(total.max(ahead)).map_err(|_| Refusal::Busy)?;
            arrived.extend_from_slice(&data);
            if let Some(length) = length(&arrived, self.max_size)?
                && arrived.len() > PREFIX + length
            {
                return Err(malformed("there is more than one message").into());
            }
        }
        match length(&arrived, self.max_size)? {
            Some(length) if arrived.len() == PREFIX + length => Ok(arrived.freeze()),
            _ => Err(malformed("the message is missing, or ends before it is complete").into()),
        }
    }

    /// The decoded size of the message.
    fn measure(&self, method: MethodType, message: &[u8], max: usize) -> Result<usize, Refusal> {
        self.schema.measure(method, message, max).map_err(|why| match why {
            Unreadable::TooLarge => Refusal::RequestTooLarge { limit: self.max_size },
            malformed => Refusal::RequestMalformed(malformed.to_string()),
        })
    }

    /// The decompressed message.
    fn unpack(&self, encoding: Encoding, packed: Bytes) -> Result<Bytes, Refusal> {
        if packed[0] == 0 {
            return Ok(packed);
        }
        if encoding == Encoding::Identity {
            return Err(malformed("the message is compressed, and grpc-encoding does not say how"));
        }
        let mut framed = vec![0; PREFIX];
        let most = self.max_size as u64 + 1;
        let unpacked = GzDecoder::new(&packed[PREFIX..]).take(most).read_to_end(&mut framed);
        let length = unpacked.map_err(|_| malformed("the message is not valid gzip"))?;
        let length = u32::try_from(length).ok().filter(|_| length <= self.max_size);
        let length = length.ok_or(Refusal::RequestTooLarge { limit: self.max_size })?;
        framed[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(framed.into())
    }

    /// The declared size. One that is too large is refused when it arrives.
    fn declared(&self, headers: &HeaderMap) -> usize {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length.unwrap_or(0).min(self.max_size)
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestReader<S>;

    fn layer(&self, inner: S) -> RequestReader<S> {
        RequestReader { inner, layer: self.clone() }
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::RequestMalformed(why.to_owned())
}

/// The length of the next message, once its prefix has arrived.
fn length(arrived: &[u8], max_size: usize) -> Result<Option<usize>, Refusal> {
    let Some([flag, length @ ..]) = arrived.first_chunk::<PREFIX>() else { return Ok(None) };
    if *flag > 1 {
        return Err(malformed("the message has an invalid compression flag"));
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length > max_size {
        return Err(Refusal::RequestTooLarge { limit: max_size });
    }
    Ok(Some(length))
}

// === impl RequestReader ===

impl<S> Service<Request<Body>> for RequestReader<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // `self.inner` is ready and takes the call; its clone may not be ready.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        let (head, mut body) = request.into_parts();
        let method = layer.schema.method(head.uri.path());
        // The service refuses unknown methods and encodings without reading the request.
        let Some(method) = method.filter(|_| Encoding::of(&head.headers) != Encoding::Unknown) else {
            return Box::pin(inner.call(Request::from_parts(head, body)));
        };
        if method.is_client_stream {
            let stream = head.extensions.get::<StreamHandle>().cloned();
            let arrived = BytesMut::new();
            let messages = CheckedMessages { body, arrived, layer, method, stream, is_over: false };
            return Box::pin(inner.call(Request::from_parts(head, Body::new(messages))));
        }
        let caller = head.extensions.get::<Caller>().map_or("", |caller| caller.name.as_str());
        let mut held = layer.budget.reserve_for(caller);
        Box::pin(async move {
            let framed = match layer.read(method, &head.headers, &mut body, &mut held).await {
                Ok(framed) => framed,
                Err(error) => return Ok(Status::from(error).into_http()),
            };
            let body = Body::new(Full::new(framed).map_err(|never| match never {}));
            let answer = inner.call(Request::from_parts(head, body)).await;
            drop(held);
            answer
        })
    }
}

// === impl ReadError ===

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReadError> for Status {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::TimedOut => Self::deadline_exceeded("the request did not arrive in time"),
            ReadError::Broken => Self::cancelled("the request was cancelled before it was complete"),
        }
    }
}

// === impl Encoding ===

impl Encoding {
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(ENCODING).map(http::HeaderValue::as_bytes) {
            None | Some(b"identity") => Self::Identity,
            Some(b"gzip") => Self::Gzip,
            Some(_) => Self::Unknown,
        }
    }
}

// === impl CheckedMessages ===

impl CheckedMessages {
    /// The next complete message.
    fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Some(length) = length(&self.arrived, MAX_STREAM_MESSAGE)? else { return Ok(None) };
        if self.arrived.len() < PREFIX + length {
            return Ok(None);
        }
        let framed = self.arrived.split_to(PREFIX + length).freeze();
        let is_compressed = framed[0] == 1;
        if !is_compressed {
            self.layer.measure(self.method, &framed[PREFIX..], usize::MAX)?;
        }
        Ok(Some(framed))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.is_over = true;
        if let Some(stream) = &self.stream {
            stream.end(refusal);
        }
    }
}

impl http_body::Body for CheckedMessages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while !this.is_over {
            match this.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) => {}
                Err(refusal) => {
                    this.refuse(refusal);
                    break;
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.arrived.extend_from_slice(&data),
                    Err(_trailers) => {}
                },
                Some(Err(error)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None if this.arrived.is_empty() => this.is_over = true,
                None => this.refuse(malformed("the message ends before it is complete")),
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use ticketing_contract::FILE_DESCRIPTOR_SET;

    use super::*;

    const MAX: usize = 1_000;

    fn layer(budget: usize) -> RequestLayer {
        let schema = Arc::new(Schema::of(&[FILE_DESCRIPTOR_SET]).unwrap());
        RequestLayer::new(schema, MemoryBudget::new(budget), MAX, Duration::from_secs(30))
    }

    async fn read(budget: usize, headers: &[(&'static str, &str)], body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let layer = layer(budget);
        let method = layer.schema.method("/rhythmx.ticketing.v1.TicketingService/GetDelivery").unwrap();
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        });
        let mut held = layer.budget.reserve_for("one");
        let body = Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {});
        let mut body = Body::new(body);
        match layer.read(method, &headers.collect(), &mut body, &mut held).await {
            Ok(framed) => Ok(framed[PREFIX..].to_vec()),
            Err(ReadError::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0][..], &length, message].concat()
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut packed = vec![];
        flate2::read::GzEncoder::new(message, flate2::Compression::best()).read_to_end(&mut packed).unwrap();
        let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
        [&[1][..], &length, &packed].concat()
    }

    #[tokio::test]
    async fn reads_a_message_whole_and_unpacked() {
        let message = [0x0A, 2, b'i', b'd'];
        assert_eq!(read(100_000, &[], &framed(&message)).await.unwrap(), message);
        assert!(read(100_000, &[], &framed(&[])).await.unwrap().is_empty());
        let packed = read(100_000, &[(ENCODING, "gzip")], &gzip(&message)).await;
        assert_eq!(packed.unwrap(), message);
    }

    #[tokio::test]
    async fn refuses_malformed_message() {
        let broken: [&[u8]; 6] = [
            &[],
            &[0, 0, 0],
            &[0, 0, 0, 0, 2, 0x0A],
            &[7, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 0xFF],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        for body in broken {
            let refused = read(100_000, &[], body).await;
            assert!(matches!(refused, Err(Refusal::RequestMalformed(_))), "{body:?}: {refused:?}");
        }
        let unnamed = read(100_000, &[], &gzip(b"")).await;
        assert!(matches!(unnamed, Err(Refusal::RequestMalformed(_))));
        let not_gzip = read(100_000, &[(ENCODING, "gzip")], &[1, 0, 0, 0, 1, 0]).await;
        assert!(matches!(not_gzip, Err(Refusal::RequestMalformed(_))));
    }

    #[tokio::test]
    async fn refuses_large_request() {
        let text = |length: usize| {
            let length = u16::try_from(length).unwrap();
            let varint = [(length & 0x7F) as u8 | 0x80, (length >> 7) as u8];
            [&[0x0A][..], &varint, &vec![b'x'; length.into()]].concat()
        };
        assert!(read(100_000, &[], &framed(&text(MAX - 3))).await.is_ok());
        let packed = [(ENCODING, "gzip")];
        assert!(read(100_000, &packed, &gzip(&text(MAX - 3))).await.is_ok());
        for refused in [
            read(100_000, &[], &framed(&text(MAX - 2))).await,
            read(100_000, &packed, &gzip(&text(MAX - 2))).await,
            read(100_000, &[], &[0, 0xFF, 0xFF, 0xFF, 0xFF]).await,
        ] {
            assert!(matches!(refused, Err(Refusal::RequestTooLarge { limit: MAX })), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn refuses_request_over_memory_budget() {
        let declared = [("content-length", "900")];
        assert!(matches!(read(1_000, &declared, &framed(&[])).await, Err(Refusal::Busy)));
        assert!(matches!(read(1_000, &[(ENCODING, "gzip")], &gzip(&[])).await, Err(Refusal::Busy)));
        let large = read(600, &[], &framed(&[&[0x0A, 100][..], &[b'x'; 100]].concat())).await;
        assert!(matches!(large, Err(Refusal::RequestTooLarge { .. })), "never fits: {large:?}");
    }
}
