//! The deadline of a caller (`grpc-timeout`).
//!
//! tonic answers a call past its deadline with CANCELLED, which suggests that the caller cancelled it. This layer
//! enforces the same deadline and answers DEADLINE_EXCEEDED.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

const HEADER: &str = "grpc-timeout";

/// Answers DEADLINE_EXCEEDED when a call exceeds its caller's deadline or the maximum duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineLayer {
    longest: Duration,
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub(crate) struct DeadlineService<S> {
    inner: S,
    longest: Duration,
}

/// The caller's time-out; `None` if absent or invalid.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let valid = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let amount: u64 = if valid { digits.parse().ok()? } else { return None };
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

// === impl DeadlineLayer ===

impl DeadlineLayer {
    pub(crate) fn new(longest: Duration) -> Self {
        Self { longest }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> DeadlineService<S> {
        DeadlineService { inner, longest: self.longest }
    }
}

// === impl DeadlineService ===

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let longest = self.longest;
        let deadline = of_headers(request.headers()).map_or(longest, |deadline| deadline.min(longest));
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(deadline, answer).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    Ok(Status::deadline_exceeded("the deadline passed; what was accepted by then goes on")
                        .into_http())
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, header.parse().unwrap());
        of_headers(&headers)
    }

    #[test]
    fn reads_every_timeout_unit() {
        let table = [
            ("2H", Duration::from_secs(7_200)),
            ("3M", Duration::from_secs(180)),
            ("30S", Duration::from_secs(30)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("1n", Duration::from_nanos(1)),
            ("0S", Duration::ZERO),
        ];
        for (header, expected) in table {
            assert_eq!(read(header), Some(expected), "{header}");
        }
    }

    #[test]
    fn ignores_invalid_timeout_header() {
        for header in ["", "S", "30", "-1S", "1s", "999999999S", "1.5S", " 1S"] {
            assert_eq!(read(header), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn timeout_is_at_most_what_grpc_allows(
            header in prop_oneof![
                "[0-9]{0,10}[HMSmun]".prop_map(String::into_bytes),
                "\\PC{0,12}".prop_map(String::into_bytes),
                vec(any::<u8>(), 0..24),
            ],
        ) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                headers.insert(HEADER, value);
            }
            let max = Duration::from_secs(99_999_999 * 3_600);
            prop_assert!(of_headers(&headers).is_none_or(|timeout| timeout <= max));
        }
    }

    #[tokio::test]
    async fn answers_deadline_exceeded_after_deadline() {
        let mut service = DeadlineLayer::new(Duration::from_secs(300)).layer(Never);
        let request = Request::builder().header(HEADER, "1n").body(()).unwrap();
        let answer = service.call(request).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4");
    }

    #[tokio::test]
    async fn limits_duration_of_every_call() {
        let mut service = DeadlineLayer::new(Duration::from_millis(5)).layer(Never);
        for header in ["99999999H", "nonsense"] {
            let request = Request::builder().header(HEADER, header).body(()).unwrap();
            let answer = service.call(request).await.unwrap();
            assert_eq!(answer.headers()["grpc-status"], "4");
        }
    }

    struct Never;

    impl Service<Request<()>> for Never {
        type Response = Response<Body>;
        type Error = std::convert::Infallible;
        type Future = std::future::Pending<Result<Response<Body>, std::convert::Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::pending()
        }
    }
}
