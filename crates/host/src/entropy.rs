//! The only source of randomness.

use std::fmt;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// A source of random bytes: the operating system in the server, a seed in tests.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in [0, 1).
    fn unit(&self) -> f64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        // The precision of this type below 1 is 53 bits.
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The random numbers of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

/// Deterministic numbers from a seed, for tests; not secret.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

// === impl SystemEntropy ===

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("an operating system without random numbers can run no server");
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
