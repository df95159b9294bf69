//! Every decision of a simulation comes from a tape: drawn by a generator and recorded, or played back.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// Decisions in the order in which they are made.
///
/// A zero is the harmless choice everywhere: no fault, the first of several. What is asked for behind the end of a
/// tape that is played back is zero, so that a tape can be cut short and thinned out.
#[derive(Clone, Debug)]
pub(crate) struct Tape(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    values: RefCell<Vec<u32>>,
    at: Cell<usize>,
    /// State of the generator; absent when the tape is played back.
    generator: Cell<Option<u64>>,
}

impl Tape {
    /// An endless tape that depends on nothing but the seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::new(Vec::new(), Some(seed))
    }

    /// A tape that was recorded before.
    pub(crate) fn recorded(values: Vec<u32>) -> Self {
        Self::new(values, None)
    }

    fn new(values: Vec<u32>, generator: Option<u64>) -> Self {
        Self(Rc::new(Inner {
            values: RefCell::new(values),
            at: Cell::new(0),
            generator: Cell::new(generator),
        }))
    }

    /// What was drawn so far.
    pub(crate) fn values(&self) -> Vec<u32> {
        let mut values = self.0.values.borrow().clone();
        values.truncate(self.0.at.get());
        values
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&self, end: u32) -> u32 {
        if end <= 1 {
            return 0;
        }
        let scaled = u64::from(self.draw()) * u64::from(end);
        (scaled >> 32) as u32
    }

    /// A number from 0 to `most`.
    pub(crate) fn up_to(&self, most: u32) -> u32 {
        self.below(most + 1)
    }

    /// True once in `n` times; never if that is 0.
    pub(crate) fn one_in(&self, n: u32) -> bool {
        n != 0 && self.below(n) == n - 1
    }

    /// One of several; the first is the harmless one.
    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    fn draw(&self) -> u32 {
        let inner = &*self.0;
        let at = inner.at.get();
        inner.at.set(at + 1);
        if let Some(value) = inner.values.borrow().get(at) {
            return *value;
        }
        let Some(state) = inner.generator.get() else {
            return 0;
        };
        // SplitMix64.
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        inner.generator.set(Some(state));
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = ((mixed ^ (mixed >> 31)) >> 32) as u32;
        inner.values.borrow_mut().push(value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::Tape;

    #[test]
    fn a_recorded_tape_gives_the_same_decisions() {
        let first = Tape::seeded(7);
        let drawn: Vec<u32> = (1..50).map(|end| first.below(end)).collect();
        let second = Tape::recorded(first.values());
        let again: Vec<u32> = (1..50).map(|end| second.below(end)).collect();
        assert_eq!(drawn, again);
    }

    #[test]
    fn behind_the_end_of_a_recorded_tape_every_choice_is_harmless() {
        let tape = Tape::recorded(Vec::new());
        assert_eq!(tape.below(1000), 0);
        assert!(!tape.one_in(2));
    }

    #[test]
    fn decisions_are_spread() {
        let tape = Tape::seeded(1);
        let hits = (0..10_000).filter(|_| tape.one_in(10)).count();
        assert!((800..1200).contains(&hits), "{hits}");
    }
}
