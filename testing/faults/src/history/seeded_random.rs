//! A random generator that is stable across machines and versions: a seed that found a bug must reproduce it in years.

/// A deterministic random sequence (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct SeededRandom(u64);

// === impl SeededRandom ===

impl SeededRandom {
    /// The sequence of this combination of numbers.
    pub(super) fn of(names: &[u64]) -> Self {
        let mut chance = Self(0x243f_6a88_85a3_08d3);
        for name in names {
            chance.0 = chance.next() ^ name;
        }
        chance
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, inclusive.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True with this probability per thousand.
    pub(super) fn in_a_thousand(&mut self, times: u64) -> bool {
        self.next() % 1_000 < times
    }

    /// One of these, with these weights.
    pub(super) fn weighed<'a, T>(&mut self, choices: &'a [(u64, T)]) -> &'a T {
        let mut left = self.next() % choices.iter().map(|(weight, _)| weight).sum::<u64>();
        for (weight, choice) in choices {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        &choices[choices.len() - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_gives_the_same_numbers() {
        let mut chance = SeededRandom::of(&[42, 1]);
        assert_eq!([chance.next(), chance.next()], SEED_42_1);
        assert_ne!(SeededRandom::of(&[1, 42]).next(), SeededRandom::of(&[42, 1]).next());
    }

    #[test]
    fn choices_follow_their_weights() {
        let mut chance = SeededRandom::of(&[7]);
        let often = (0..10_000).filter(|_| *chance.weighed(&[(9, true), (1, false)])).count();
        assert!((8_800..9_200).contains(&often), "{often}");
    }

    const SEED_42_1: [u64; 2] = [2_591_390_759_434_323_002, 18_332_685_084_930_383_608];
}
