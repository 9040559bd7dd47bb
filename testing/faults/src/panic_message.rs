//! The message of a panic, for reports.

use std::any::Any;

use tokio::task::JoinError;

/// The message of a panic that was caught.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// The message of the panic that ended a task.
pub(crate) fn task_panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => panic_message(&*payload),
        Err(error) => error.to_string(),
    }
}
