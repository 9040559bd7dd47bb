//! The HTTP loop: reads requests, asks the weather, lets the site answer, and ends connections as scripted.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::message::{Answer, Request};
use crate::simulator::Shared;
use crate::state::RecordedRequest;
use crate::{control, play, site};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Response = http::Response<Body>;

/// How a connection is to end, told by a request on it.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    reset: AtomicBool,
    at_next_request: AtomicBool,
}

impl Ending {
    pub(crate) fn close_at_next_request(&self) {
        self.at_next_request.store(true, Ordering::SeqCst);
    }
}

/// What a scripted call comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Response),
    Close,
    Reset,
}

/// Accepts connections until told to stop; then every connection is cut.
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
                    tasks.spawn(connection(shared.clone(), stream, stop.clone()));
                }
                // Out of file descriptors, most likely: give the clients a moment to close some.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, stop: CancellationToken) {
    // Small answers must not wait for the client's delayed acknowledgement; failing to set it costs only time.
    let _ = stream.set_nodelay(true);
    let ending = Arc::new(Ending::default());
    let service = {
        let ending = ending.clone();
        service_fn(move |request| {
            let (shared, ending) = (shared.clone(), ending.clone());
            // hyper hands the stream back only from a service whose futures can be moved.
            Box::pin(async move { exchange(&shared, &ending, request).await })
        })
    };
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => return,
        // The result only repeats how the connection ended, which is the client's to judge.
        _ = poll_fn(|context| connection.poll_without_shutdown(context)) => {}
    }
    if ending.reset.load(Ordering::SeqCst) {
        let stream = connection.into_parts().io.into_inner();
        // Lingering for zero seconds makes the close a reset.
        let _ = stream.set_zero_linger();
    }
}

async fn exchange(
    shared: &Arc<Shared>,
    ending: &Ending,
    request: http::Request<Incoming>,
) -> Result<Response, io::Error> {
    let request = read(request).await?;
    if request.path.starts_with("/_simulator") {
        return Ok(plain(&control::respond(shared, &request)));
    }
    let number = shared.state().record(RecordedRequest::arrived(&request, shared.clock.now()));
    if ending.at_next_request.load(Ordering::SeqCst) {
        return Err(closed());
    }
    let struck = shared.weather.strike(site::classify(shared.vendor, &request));
    let outcome = match struck {
        Some(effect) => play::play(shared, ending, number, &request, effect).await,
        None => Outcome::Reply(plain(&apply(shared, number, &request))),
    };
    match outcome {
        Outcome::Reply(response) => {
            let status = response.status().as_u16();
            shared.state().note(number, |entry| entry.status = Some(status));
            Ok(response)
        }
        Outcome::Close => Err(closed()),
        Outcome::Reset => {
            ending.reset.store(true, Ordering::SeqCst);
            Err(closed())
        }
    }
}

/// Lets the site carry out a request and notes whether it did.
pub(crate) fn apply(shared: &Shared, number: usize, request: &Request) -> Answer {
    apply_bent(shared, number, request, site::Bend::None)
}

pub(crate) fn apply_bent(shared: &Shared, number: usize, request: &Request, bend: site::Bend) -> Answer {
    let answer = shared.apply(request, bend);
    shared.state().note(number, |entry| entry.applied |= answer.applied);
    answer
}

/// An answer as it goes out when nothing is scripted.
pub(crate) fn plain(answer: &Answer) -> Response {
    let body = Full::new(answer.body.clone()).map_err(|never: Infallible| match never {}).boxed_unsync();
    with_body(answer, body)
}

/// The answer's status and headers with another body.
pub(crate) fn with_body(answer: &Answer, body: Body) -> Response {
    let mut builder = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).unwrap_or_else(|error| {
        let text = format!("the scripted answer is not HTTP: {error}");
        let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync();
        let mut response = http::Response::new(body);
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

async fn read(request: http::Request<Incoming>) -> Result<Request, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        raw_query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    })
}

/// Handed to hyper instead of an answer, it makes it close the connection without one.
fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "scripted")
}
