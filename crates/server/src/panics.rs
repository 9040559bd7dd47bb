//! Panics: the process goes on, whoever asked is answered, and nothing that was in reach is told.
//!
//! What a panic says is made of whatever was at hand, an `unwrap` of somebody's reply for instance. So the log has where it
//! happened and only words that stand in the program as they are.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::pin::pin;
use std::task::Poll;

/// Instead of words that were made when it happened.
const HIDDEN_MESSAGE: &str = "what it said is kept back, for it may hold secrets";

/// Of a panic that was caught, and told of in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PanicMessage(pub &'static str);

/// From now on a panic is a line of the log, with a backtrace if `RUST_BACKTRACE` asks for one; and of what a command says,
/// which has no log.
#[expect(clippy::print_stderr, reason = "there may be no log to write to")]
pub fn log_panics() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let (message, backtrace) = (message(panic.payload()), Backtrace::capture());
        if !tracing::enabled!(tracing::Level::ERROR) {
            return eprintln!("ticketing: panicked at {place}: {message}");
        }
        match backtrace.status() {
            BacktraceStatus::Captured => tracing::error!(message, %backtrace, "panicked at {place}"),
            _ => tracing::error!(message, "panicked at {place}"),
        }
    }));
}

/// What can be told of what a panic said.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(HIDDEN_MESSAGE)
}

/// Runs a future to its end, or to its panic. What it shares with others must bear being left half done.
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
    async fn a_panic_is_caught_and_only_words_of_the_program_are_told() {
        assert_eq!(catch(async { 1 }).await, Ok(1));
        let secret = "canary".to_owned();
        let told = catch(async { panic!("{secret}") }).await;
        assert_eq!(told, Err::<(), _>(PanicMessage(HIDDEN_MESSAGE)));
        let told = catch(async {
            tokio::task::yield_now().await;
            panic!("it can not be")
        })
        .await;
        assert_eq!(told, Err::<(), _>(PanicMessage("it can not be")));
    }
}
