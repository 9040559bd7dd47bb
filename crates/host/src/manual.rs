//! Clocks, a machine and random numbers that a test controls. Only with the feature `manual`.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use ticketing_core::clock::Clock;

use crate::clock::{Machine, ThisMachine};
use crate::entropy::Entropy;

/// This machine with a clock step or a reboot.
#[derive(Debug, Default)]
pub struct ManualMachine(Mutex<Machinery>);

#[derive(Debug, Default)]
struct Machinery {
    wall_behind: Duration,
    up_longer: Duration,
    boots: u32,
}

/// A clock that moves only when it is set.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

/// Deterministic numbers from a seed; not secret.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

// === impl ManualMachine ===

impl ManualMachine {
    /// Makes its wall clock lag behind file timestamps by this much.
    pub fn set_wall_back(&self, by: Duration) {
        self.edit(|machine| machine.wall_behind = by);
    }

    /// Advances the time.
    pub fn advance_uptime(&self, by: Duration) {
        self.edit(|machine| machine.up_longer += by);
    }

    /// Simulates a reboot.
    pub fn boot(&self) {
        self.edit(|machine| machine.boots += 1);
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Machinery) -> T) -> T {
        edit(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Machine for ManualMachine {
    fn wall(&self) -> Timestamp {
        ThisMachine.wall() - self.edit(|machine| machine.wall_behind)
    }

    fn since_boot(&self) -> Duration {
        ThisMachine.since_boot() + self.edit(|machine| machine.up_longer)
    }

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot {}", self.edit(|machine| machine.boots)))
    }
}

// === impl ManualClock ===

impl ManualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, to: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl SeededEntropy ===

impl SeededEntropy {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let (seed, count) = &mut *state;
            *count += 1;
            let block =
                Sha256::new().chain_update(seed.to_le_bytes()).chain_update(count.to_le_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn same_seed_gives_same_bytes() {
        let draw = |entropy: &dyn Entropy| {
            let mut bytes = [0; 40];
            entropy.fill(&mut bytes);
            bytes
        };
        let first = SeededEntropy::new(1);
        let second = SeededEntropy::new(1);
        let bytes = draw(&first);
        assert_eq!(bytes, draw(&second));
        assert_ne!(bytes, draw(&first));
        assert_ne!(bytes, draw(&SeededEntropy::new(2)));
        assert_ne!(draw(&SystemEntropy), draw(&SystemEntropy));
    }

    #[test]
    fn unit_is_at_least_0_and_less_than_1() {
        let entropy = SeededEntropy::new(7);
        assert!((0..1_000).map(|_| entropy.unit()).all(|unit| (0.0..1.0).contains(&unit)));
    }
}
