//! JSON read where it lies: strict, borrowed, without allocation.
