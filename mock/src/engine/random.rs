//! Pseudo-random numbers as a pure function of (seed, lane, index).
//!
//! Invariant: the sequence never changes for given inputs, on any machine; recorded figures and verifiers rely
//! on it, which is why `rand`, whose generators may change between versions, is not used. Knows nothing of events.

/// Separates the sequences that are drawn for one index, so that drawing more in one never moves another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    /// Type, form and owner of an event.
    Shape = 1,
    /// The identifier of an event.
    Id,
    /// The values inside an event.
    Fill,
    /// The clock readings of a position.
    Clock,
    /// Which earlier event a duplicate repeats.
    Duplicate,
    /// Properties of a user, drawn by user number.
    User,
    /// Identifiers of pushes, drawn by push number.
    Push,
    /// Shape, owner and clock readings of an Adobe hit.
    Hit,
    /// Identifiers of Adobe hits.
    HitId,
    /// The values inside an Adobe hit.
    HitFill,
    /// Properties of an Adobe visitor, drawn by visitor number.
    Visitor,
    /// Tokens, drawn by their number.
    Token,
    /// What is done to a request that is sent, drawn by its number.
    Request,
    /// Pauses before a request is sent again, drawn by its number.
    Pause,
}

/// A sequence of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, lane: Lane, index: u64) -> Self {
        Self(mix(mix(seed ^ mix(lane as u64)) ^ index))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..bound`; `bound` 0 counts as 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift: no division, and the bias is far below what a test could see.
        ((u128::from(self.next()) * u128::from(bound.max(1))) >> 64) as u64
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// 2^64 / golden ratio, SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection in which each input bit moves about half of the output bits.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A stable hash of `bytes` (FNV-1a, finalised), for partitions and samples.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_fixed() {
        let mut draw = Draw::new(7, Lane::Id, 3);
        let first = (draw.next(), draw.next());
        let mut again = Draw::new(7, Lane::Id, 3);
        assert_eq!(first, (again.next(), again.next()));
        assert_ne!(first.0, Draw::new(7, Lane::Fill, 3).next());
        assert_ne!(first.0, Draw::new(8, Lane::Id, 3).next());
    }

    #[test]
    fn below_stays_in_range_and_reaches_both_ends() {
        let mut draw = Draw::new(1, Lane::Fill, 0);
        let drawn: Vec<u64> = (0..1000).map(|_| draw.below(3)).collect();
        assert_eq!(drawn.iter().max(), Some(&2));
        assert_eq!(drawn.iter().min(), Some(&0));
        assert_eq!(draw.below(0), 0);
    }
}
