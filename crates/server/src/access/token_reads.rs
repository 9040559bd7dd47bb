//! Reads of bearer tokens, shared by concurrent calls.
//!
//! A token is read for every call and every message of a stream, so that a revoked one is refused at once. A read that
//! begins after a call arrived is new enough for it, even if it was begun for another one. So while one read is in
//! progress, the calls that arrive wait for the next one, together: a thousand streams with one token cost one read an event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticketing_store::{Store, StoreError, StoredToken};
use tokio::sync::oneshot;

/// Maximum number of tokens that are read one by one; for more, the list of all tokens is read.
const MAX_SINGLE_READS: usize = 16;

type Answer = Result<Option<StoredToken>, StoreError>;

/// Reads tokens of a store.
#[derive(Debug)]
pub(super) struct TokenReads {
    store: Store,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    is_reading: bool,
    waiting: Vec<Waiting>,
}

/// A call that waits for the token with an ID.
#[derive(Debug)]
struct Waiting {
    id: String,
    answer: oneshot::Sender<Answer>,
}

/// Reads for all that wait, until none is left.
struct Reading {
    store: Store,
    queue: Arc<Mutex<Queue>>,
}

// === impl TokenReads ===

impl TokenReads {
    pub(super) fn new(store: Store) -> Self {
        Self { store, queue: Arc::default() }
    }

    /// The token with an ID, as it is in the store when this is called, or later.
    pub(super) async fn get(&self, id: &str) -> Answer {
        let (answer, token) = oneshot::channel();
        if self.enqueue(Waiting { id: id.to_owned(), answer }) {
            let reading = Reading { store: self.store.clone(), queue: self.queue.clone() };
            // In its own task, so that it completes even if this call goes away.
            tokio::spawn(reading.run());
        }
        token.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether no read is in progress, so that the caller must begin one.
    fn enqueue(&self, waiting: Waiting) -> bool {
        let mut queue = lock(&self.queue);
        queue.waiting.push(waiting);
        !std::mem::replace(&mut queue.is_reading, true)
    }
}

// The queue is consistent after each step, so a poisoned lock is usable.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Reading ===

impl Reading {
    async fn run(self) {
        loop {
            let waiting = std::mem::take(&mut lock(&self.queue).waiting);
            let mut tokens = HashMap::new();
            for Waiting { id, .. } in &waiting {
                tokens.insert(id.clone(), Ok(None));
            }
            self.read(&mut tokens).await;
            for Waiting { id, answer } in waiting {
                // The caller may be gone.
                let _ = answer.send(tokens.get(&id).cloned().unwrap_or(Ok(None)));
            }
            let mut queue = lock(&self.queue);
            if queue.waiting.is_empty() {
                queue.is_reading = false;
                return;
            }
        }
    }

    async fn read(&self, tokens: &mut HashMap<String, Answer>) {
        if tokens.len() > MAX_SINGLE_READS {
            let list = match self.store.tokens().await {
                Ok(list) => list,
                Err(error) => return tokens.values_mut().for_each(|answer| *answer = Err(error.clone())),
            };
            for token in list {
                if let Some(answer) = tokens.get_mut(&token.id) {
                    *answer = Ok(Some(token));
                }
            }
        } else {
            for (id, answer) in tokens {
                *answer = self.store.token(id).await;
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // After a panic: those that wait are answered with an error, and the next call reads again.
        let mut queue = lock(&self.queue);
        if queue.is_reading && std::thread::panicking() {
            *queue = Queue::default();
        }
    }
}
