//! Power state of the disk, and operations that wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::DiskOperation;
use crate::directory_entries::Node;
use crate::image::{Image, Refusal};

/// The disk, shared by its users.
#[derive(Debug)]
pub(crate) struct Power {
    state: Mutex<State>,
    /// The disk was frozen, or resumed.
    state_changed: Condvar,
}

#[derive(Debug)]
struct State {
    image: Image,
    /// Number of further changes until it freezes.
    changes_left: Option<u64>,
    /// The operation at which it freezes, on a file with this suffix.
    trap: Option<(DiskOperation, String)>,
    is_frozen: bool,
    /// Number of power cuts: an operation that began before the last one fails.
    generation: u64,
}

// === impl Power ===

impl Power {
    pub(crate) fn new(image: Image) -> Self {
        let state = State { image, changes_left: None, trap: None, is_frozen: false, generation: 0 };
        Self { state: Mutex::new(state), state_changed: Condvar::new() }
    }

    /// Reads from the disk.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut Image) -> Result<T, Refusal>) -> Result<T, Refusal> {
        read(&mut self.powered(self.lock())?.image)
    }

    /// Changes the disk, unless it freezes at this change.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Image) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.powered(self.lock())?;
        match &mut state.changes_left {
            Some(0) => {
                state.is_frozen = true;
                self.state_changed.notify_all();
            }
            Some(left) => *left -= 1,
            None => {}
        }
        change(&mut self.powered(state)?.image)
    }

    /// Changes a file, unless the disk freezes at this operation.
    pub(crate) fn change_file<T>(
        &self,
        operation: DiskOperation,
        node: Node,
        change: impl FnOnce(&mut Image) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.freeze_if_trapped(operation, node);
        self.change(change)
    }

    /// Inspects or configures the disk, frozen or not.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&mut Image) -> T) -> T {
        look(&mut self.lock().image)
    }

    pub(crate) fn cut(&self, seed: u64) {
        let mut state = self.lock();
        state.image.cut(seed);
        self.begin_generation(state);
    }

    /// Fails pending operations, so that none hangs on a disk that is unmounted.
    pub(crate) fn end(&self) {
        self.begin_generation(self.lock());
    }

    pub(crate) fn freeze_after(&self, changes: u64) {
        self.lock().changes_left = Some(changes);
    }

    pub(crate) fn freeze_at(&self, operation: DiskOperation, ending: &str) {
        self.lock().trap = Some((operation, ending.to_owned()));
    }

    /// Completes pending operations normally.
    pub(crate) fn resume(&self) {
        let mut state = self.lock();
        state.is_frozen = false;
        state.changes_left = None;
        state.trap = None;
        self.state_changed.notify_all();
    }

    pub(crate) fn wait_until_frozen(&self, timeout: Duration) -> bool {
        let waited = self.state_changed.wait_timeout_while(self.lock(), timeout, |state| !state.is_frozen);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_frozen
    }

    fn begin_generation(&self, mut state: MutexGuard<'_, State>) {
        state.generation += 1;
        state.is_frozen = false;
        state.changes_left = None;
        state.trap = None;
        self.state_changed.notify_all();
    }

    fn freeze_if_trapped(&self, operation: DiskOperation, node: Node) {
        let mut state = self.lock();
        let is_it =
            |(at, ending): &(DiskOperation, String)| *at == operation && state.image.has_suffix(node, ending);
        if state.trap.as_ref().is_some_and(is_it) {
            state.trap = None;
            state.is_frozen = true;
            self.state_changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the disk is frozen.
    fn powered<'a>(&self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Refusal> {
        let generation = state.generation;
        let state =
            self.state_changed.wait_while(state, |state| state.is_frozen && state.generation == generation);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation { Ok(state) } else { Err(Refusal::Broken) }
    }
}
