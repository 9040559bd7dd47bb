//! The HTTP server: reads requests, applies the fault script, and replies or ends connections as scripted.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::Call;
use crate::effect::Effect;
use crate::ending::{Ending, Last, Outcome};
use crate::message::Request;
use crate::play_effect::{self, Exchange};
use crate::points::Point;
use crate::raw::Raw;
use crate::response::{Response, plain};
use crate::shared::Shared;
use crate::transport::Stream;
use crate::{control, site};

/// Accepts connections until stopped, and then aborts all of them.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = shared.clone();
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = connection(&shared, stream) => {}
                        }
                    });
                }
                // Probably out of file descriptors: wait for clients to close connections.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn connection(shared: &Arc<Shared>, stream: TcpStream) {
    // Without TCP_NODELAY, small replies wait for the client's delayed ACK. An error only costs time.
    let _ = stream.set_nodelay(true);
    shared.points.reach(Call::Connection, Point::Accepted);
    let Some(stream) = with_faults(shared, stream).await else { return };
    // The client has an error if the handshake fails.
    let Ok(wire) = shared.security.accept(stream).await else { return };
    let ending = Arc::new(Ending::default());
    let service = {
        let shared = shared.clone();
        let ending = ending.clone();
        service_fn(move |request| {
            let shared = shared.clone();
            let ending = ending.clone();
            // hyper returns the stream only if the futures of the service are `Send`.
            Box::pin(async move { exchange(&shared, &ending, request).await })
        })
    };
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(wire), service);
    // The client observes how the connection ended, so the result is not needed.
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let wire = connection.into_parts().io.into_inner();
    let last = ending.last().take();
    match last {
        Some(Last::Reset) => reset(wire.tcp()),
        Some(Last::Raw(call, raw)) => raw.play(shared, call, wire).await,
        None => {}
    }
}

/// Applies the effect on a new connection.
async fn with_faults(shared: &Shared, stream: TcpStream) -> Option<TcpStream> {
    match shared.faults.trigger(Call::Connection) {
        None => return Some(stream),
        Some(Effect::Delay(pause)) => {
            tokio::time::sleep(pause).await;
            return Some(stream);
        }
        Some(Effect::ResetBefore) => reset(&stream),
        Some(Effect::NeverRead) => {
            Raw::silence(None).play(shared, Call::Connection, Stream::Plain(stream)).await;
        }
        Some(Effect::Banner(text)) => {
            Raw::banner(text).play(shared, Call::Connection, Stream::Plain(stream)).await;
        }
        Some(_) => {}
    }
    None
}

/// With a linger time of zero, closing sends a reset.
fn reset(stream: &TcpStream) {
    // Fails if the client disconnected first.
    let _ = stream.set_zero_linger();
}

async fn exchange(
    shared: &Arc<Shared>,
    ending: &Ending,
    request: http::Request<Incoming>,
) -> Result<Response, io::Error> {
    let (mut request, body) = split(request);
    if request.path.starts_with("/_simulator") {
        request.body = read_all(body).await?;
        return Ok(plain(&control::respond(shared, &request)));
    }
    let call = site::classify(shared.vendor, &request);
    shared.points.reach(call, Point::HeadRead);
    let ends_here = ending.at_next_request.load(Ordering::SeqCst);
    let effect = if ends_here { None } else { shared.faults.trigger(call) };
    request.body = match &effect {
        Some(Effect::StopReading) => read_half(body).await?,
        Some(Effect::SlowRead { bytes, every }) => read_slowly(body, *bytes, *every).await?,
        _ => read_all(body).await?,
    };
    let effect = match effect {
        None if !ends_here => shared.faults.generate(call, &request),
        effect => effect,
    };
    let now = shared.clock.now();
    let number = shared.state().record.arrived(&request, call, effect.as_ref(), now);
    let exchange = Exchange { shared, ending, call, number, request };
    let outcome = match effect {
        _ if ends_here => Outcome::Close,
        Some(Effect::StopReading) => Outcome::Raw(Raw::silence(Some(Point::HalfRead))),
        effect => {
            shared.points.reach(call, Point::Read);
            match effect {
                Some(effect) => play_effect::play(&exchange, effect).await,
                None => Outcome::Reply(plain(&exchange.apply())),
            }
        }
    };
    finish(&exchange, outcome)
}

/// Records the outcome of a call, and returns the reply.
fn finish(exchange: &Exchange<'_>, outcome: Outcome) -> Result<Response, io::Error> {
    let Exchange { shared, ending, call, number, .. } = exchange;
    match outcome {
        Outcome::Reply(response) => {
            shared.state().record.answered(*number, response.status().as_u16());
            shared.points.reach(*call, Point::Answered);
            return Ok(response);
        }
        Outcome::Raw(raw) => {
            if let Some(status) = raw.status() {
                shared.state().record.answered(*number, status);
            }
            *ending.last() = Some(Last::Raw(*call, raw));
        }
        Outcome::Close => {}
        Outcome::Reset => *ending.last() = Some(Last::Reset),
    }
    // hyper closes the connection without a reply on an error.
    Err(io::Error::new(io::ErrorKind::ConnectionAborted, "scripted"))
}

fn split(request: http::Request<Incoming>) -> (Request, Incoming) {
    let (head, body) = request.into_parts();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        raw_query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::new(),
    };
    (request, body)
}

async fn read_all(body: Incoming) -> io::Result<Bytes> {
    Ok(body.collect().await.map_err(io::Error::other)?.to_bytes())
}

/// Reads half of the body by its announced length, plus the rest of the frame that reaches it.
async fn read_half(mut body: Incoming) -> io::Result<Bytes> {
    let half = usize::try_from(body.size_hint().lower() / 2).unwrap_or(usize::MAX);
    let mut read = BytesMut::new();
    while read.len() < half
        && let Some(chunk) = body.frame().await
    {
        read.extend(chunk.map_err(io::Error::other)?.into_data());
    }
    read.truncate(half);
    Ok(read.freeze())
}

/// Reads the whole body slowly.
async fn read_slowly(mut body: Incoming, bytes: usize, every: Duration) -> io::Result<Bytes> {
    let mut read = BytesMut::new();
    while let Some(chunk) = body.frame().await {
        let Ok(chunk) = chunk.map_err(io::Error::other)?.into_data() else { continue };
        for part in chunk.chunks(bytes.max(1)) {
            read.extend_from_slice(part);
            tokio::time::sleep(every).await;
        }
    }
    Ok(read.freeze())
}
