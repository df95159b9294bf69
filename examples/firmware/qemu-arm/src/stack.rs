//! How much of the stack was used.
//!
//! The stack takes all memory that statics leave. The start-up code painted it before `main`.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// Lowest word of the stack, from the linker script.
    static _stack_end: u32;
    /// One past the highest word, where the stack begins.
    static _stack_start: u32;
}

/// The largest number of bytes that were ever in use, interrupts included.
///
/// Looks for the lowest word that is not painted any more, so it takes a while: call it at the end.
#[must_use]
pub fn high_water() -> usize {
    let mut unused = 0;
    while unused < size() && word_at(unused) == STACK_PAINT_VALUE {
        unused += size_of::<u32>();
    }
    size() - unused
}

/// The room there is for the stack, in bytes.
#[must_use]
pub fn size() -> usize {
    top() - bottom()
}

fn word_at(offset: usize) -> u32 {
    // SAFETY: callers stay below `size`, and all words there are memory of this machine, initialized by the start-up
    // code. Volatile: what lies below the stack pointer is nobody's, and above it changes by interrupts.
    unsafe { (&raw const _stack_end).byte_add(offset).read_volatile() }
}

fn bottom() -> usize {
    (&raw const _stack_end).addr()
}

fn top() -> usize {
    (&raw const _stack_start).addr()
}
