//! The only source of randomness.

use std::fmt;

/// A source of random bytes: the operating system, or a seed in tests.
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

// === impl SystemEntropy ===

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("an operating system without random numbers can run no server");
    }
}
