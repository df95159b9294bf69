//! How much of the stack was ever used. It is painted before the first function runs.

use core::{arch::global_asm, ptr};

/// What an untouched word holds.
const PAINT: u32 = 0x5AC3_A53C;

unsafe extern "C" {
    /// The lowest word of the stack, from `memory.x`.
    static _stack_end: u32;
    /// One behind the highest word, from `memory.x` or riscv-rt.
    static _stack_start: u32;
}

// riscv-rt calls this with an empty stack, before statics are initialized. It wants assembly, and s0 to s2 untouched.
global_asm!(
    r#"
    .section .init.pre_init, "ax"
    .global __pre_init
__pre_init:
    la t0, _stack_end
    li t1, {paint}
1:  bgeu t0, sp, 2f
    sw t1, 0(t0)
    addi t0, t0, 4
    j 1b
2:  ret
    "#,
    paint = const PAINT,
);

/// The most bytes of stack that were in use at any time so far. A large array that nobody wrote to may be missing.
///
/// If it equals [`size`] the stack was too small, and statics may be destroyed.
#[must_use]
pub fn high_water() -> usize {
    let start = (&raw const _stack_start).addr();
    let mut word = &raw const _stack_end;
    while word.addr() < start {
        // SAFETY: the word lies in the stack: between both symbols, aligned. It is only compared.
        if unsafe { ptr::read_volatile(word) } != PAINT {
            break;
        }
        word = word.wrapping_add(1);
    }
    start - word.addr()
}

/// Bytes of the whole stack: all RAM that the statics leave.
#[must_use]
pub fn size() -> usize {
    (&raw const _stack_start).addr() - (&raw const _stack_end).addr()
}
