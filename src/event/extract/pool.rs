//! Buffers for texts that are longer than what is held in place, used again and again: so long keys and the like allocate nothing
//! for an event, as long as they are given back.

use std::cell::RefCell;

use smallvec::SmallVec;

use crate::model::text::Text;

/// Buffers kept; a line needs one or two.
const KEPT: usize = 4;

/// Buffers that are not in use. Not shared between threads: each shard has an extractor of its own.
#[derive(Debug, Default)]
pub(super) struct Pool(RefCell<Vec<Vec<u8>>>);

impl Pool {
    /// An empty text to append to.
    pub(super) fn text<'a>(&self) -> Text<'a> {
        Text::Made(SmallVec::from_vec(self.0.borrow_mut().pop().unwrap_or_default()))
    }

    /// Takes back what a text was made in.
    pub(super) fn give_back(&self, text: Option<Text<'_>>) {
        let Some(Text::Made(made)) = text else { return };
        let mut kept = self.0.borrow_mut();
        if made.spilled() && kept.len() < KEPT {
            let mut buffer = made.into_vec();
            buffer.clear();
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_used_again_and_holds_nothing() {
        let pool = Pool::default();
        let long = [b'x'; 100];
        let mut first = pool.text();
        first.push(&long);
        let place = first.as_ptr();
        pool.give_back(Some(first));
        let mut second = pool.text();
        assert_eq!(second.len(), 0);
        second.push(&long);
        assert_eq!(second.as_ptr(), place);
        pool.give_back(None);
        pool.give_back(Some(Text::Borrowed(&long)));
        pool.give_back(Some(Text::unsigned(7)));
        assert_eq!(pool.0.borrow().len(), 0, "nothing to keep");
        for _ in 0..2 * KEPT {
            pool.give_back(Some(Text::from(long.to_vec())));
        }
        assert_eq!(pool.0.borrow().len(), KEPT);
    }
}
