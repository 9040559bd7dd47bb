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
    turned: Condvar,
}

#[derive(Debug)]
struct State {
    image: Image,
    /// Number of further changes until it freezes.
    changes_left: Option<u64>,
    /// The operation at which it freezes, on a file with this suffix.
    trap: Option<(DiskOperation, String)>,
    still: bool,
    /// Number of power cuts: an operation that began before the last one fails.
    life: u64,
}

// === impl Power ===

impl Power {
    pub(crate) fn new(image: Image) -> Self {
        let state = State { image, changes_left: None, trap: None, still: false, life: 0 };
        Self { state: Mutex::new(state), turned: Condvar::new() }
    }

    /// Reads from the disk.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Image) -> Result<T, Refusal>) -> Result<T, Refusal> {
        ask(&mut self.powered(self.lock())?.image)
    }

    /// Changes the disk, unless it freezes at this change.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Image) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.powered(self.lock())?;
        match &mut state.changes_left {
            Some(0) => {
                state.still = true;
                self.turned.notify_all();
            }
            Some(left) => *left -= 1,
            None => {}
        }
        change(&mut self.powered(state)?.image)
    }

    /// Changes a file, unless the disk freezes at this operation.
    pub(crate) fn touch<T>(
        &self,
        operation: DiskOperation,
        node: Node,
        change: impl FnOnce(&mut Image) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.spring(operation, node);
        self.change(change)
    }

    /// Inspects or configures the disk, frozen or not.
    pub(crate) fn quietly<T>(&self, look: impl FnOnce(&mut Image) -> T) -> T {
        look(&mut self.lock().image)
    }

    pub(crate) fn cut(&self, seed: u64) {
        let mut state = self.lock();
        state.image.cut(seed);
        self.begin_life(state);
    }

    /// Fails pending operations, so that none hangs on a disk that is unmounted.
    pub(crate) fn end(&self) {
        self.begin_life(self.lock());
    }

    pub(crate) fn stand_still_after(&self, changes: u64) {
        self.lock().changes_left = Some(changes);
    }

    pub(crate) fn stand_still_at(&self, operation: DiskOperation, ending: &str) {
        self.lock().trap = Some((operation, ending.to_owned()));
    }

    /// Completes pending operations normally.
    pub(crate) fn go_on(&self) {
        let mut state = self.lock();
        state.still = false;
        state.changes_left = None;
        state.trap = None;
        self.turned.notify_all();
    }

    pub(crate) fn wait_until_still(&self, patience: Duration) -> bool {
        let waited = self.turned.wait_timeout_while(self.lock(), patience, |state| !state.still);
        waited.unwrap_or_else(PoisonError::into_inner).0.still
    }

    fn begin_life(&self, mut state: MutexGuard<'_, State>) {
        state.life += 1;
        state.still = false;
        state.changes_left = None;
        state.trap = None;
        self.turned.notify_all();
    }

    fn spring(&self, operation: DiskOperation, node: Node) {
        let mut state = self.lock();
        let is_it =
            |(at, ending): &(DiskOperation, String)| *at == operation && state.image.is_called(node, ending);
        if state.trap.as_ref().is_some_and(is_it) {
            state.trap = None;
            state.still = true;
            self.turned.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the disk is frozen.
    fn powered<'a>(&self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Refusal> {
        let life = state.life;
        let state = self.turned.wait_while(state, |state| state.still && state.life == life);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.life == life { Ok(state) } else { Err(Refusal::Broken) }
    }
}
