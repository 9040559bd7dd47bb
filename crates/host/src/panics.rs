//! Panic handling: the process continues, the caller gets a response, and no data leaks into the log.
//!
//! A panic message may contain any data at hand, for instance the reply in a failed `unwrap`. So the log has only the
//! location, and the message only if it is a string literal of the program.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::pin::pin;
use std::task::Poll;

/// Replaces a message that was formatted at run time.
const HIDDEN_MESSAGE: &str = "message withheld because it may contain secrets";

/// The message of a panic that was caught and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PanicMessage(pub &'static str);

/// Installs a hook that logs panics, with a backtrace if `RUST_BACKTRACE` is set. Without a log, as in commands, it
/// prints them.
#[expect(clippy::print_stderr, reason = "there may be no log to write to")]
pub fn log_panics() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = message(panic.payload());
        let backtrace = Backtrace::capture();
        if !tracing::enabled!(tracing::Level::ERROR) {
            return eprintln!("ticketing: panicked at {place}: {message}");
        }
        match backtrace.status() {
            BacktraceStatus::Captured => tracing::error!(message, %backtrace, "panicked at {place}"),
            _ => tracing::error!(message, "panicked at {place}"),
        }
    }));
}

/// The loggable message of a panic.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(HIDDEN_MESSAGE)
}

/// Runs a future and catches its panics. Shared state must tolerate an incomplete step.
///
/// # Errors
/// If it panicked.
pub async fn catch<F: Future>(future: F) -> Result<F::Output, PanicMessage> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(PanicMessage(message(&*payload)))),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn catches_panic_and_withholds_formatted_message() {
        assert_eq!(catch(async { 1 }).await, Ok(1));
        let secret = "canary".to_owned();
        let caught = catch(async { panic!("{secret}") }).await;
        assert_eq!(caught, Err::<(), _>(PanicMessage(HIDDEN_MESSAGE)));
        let caught = catch(async {
            tokio::task::yield_now().await;
            panic!("it cannot be")
        })
        .await;
        assert_eq!(caught, Err::<(), _>(PanicMessage("it cannot be")));
    }
}
