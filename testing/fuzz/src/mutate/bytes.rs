//! Mutations that know nothing of their input.

use super::{Rng, hostile_text};

pub(super) fn mutate(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let (one, two) = (rng.below(input.len() + 1), rng.below(input.len() + 1));
    let (from, to) = (one.min(two), one.max(two));
    let mut mutated = input.to_vec();
    match rng.below(7) {
        0 if from < input.len() => mutated[from] ^= 1 << rng.below(8),
        1 if from < input.len() => mutated[from] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'{']),
        2 => mutated.truncate(from),
        3 => drop(mutated.drain(from..to)),
        4 => {
            let part = input[from..to].to_vec();
            mutated.splice(from..from, part);
        }
        5 => {
            let cut = rng.below(other.len() + 1);
            mutated.truncate(from);
            mutated.extend_from_slice(&other[cut..]);
        }
        _ => {
            let text = hostile_text::text(rng);
            mutated.splice(from..from, text.into_bytes());
        }
    }
    mutated
}

/// Text stays text.
pub(super) fn mutate_text(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    match std::str::from_utf8(input) {
        Ok(text) => hostile_text::altered(text, rng).into_bytes(),
        Err(_) => mutate(input, other, rng),
    }
}
