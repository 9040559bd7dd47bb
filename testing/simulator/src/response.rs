//! Replies as responses of the HTTP server.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use crate::message::Answer;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Response = http::Response<Body>;

/// A reply without an effect.
pub(crate) fn plain(answer: &Answer) -> Response {
    let body = Full::new(answer.body.clone()).map_err(|never: Infallible| match never {}).boxed_unsync();
    with_body(answer, body)
}

/// A response with the status and headers of the reply and another body.
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
