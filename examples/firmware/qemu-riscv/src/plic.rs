//! The interrupt controller for devices, PLIC. Hart 0 in machine mode is its first target.

use riscv::interrupt::Interrupt;

use crate::{mmio::Register, virtio_net};

const BASE: usize = 0x0C00_0000;
/// One word for each interrupt; 0 is never.
const PRIORITY: usize = BASE;
/// One bit for each interrupt.
const ENABLE: usize = BASE + 0x2000;
/// Interrupts of this priority and below are held back.
const THRESHOLD: usize = BASE + 0x20_0000;
/// Read: the interrupt to be handled, 0 if there is none. Written: it was handled.
const CLAIM: usize = BASE + 0x20_0004;

/// Lets an interrupt through. Interrupts 1 to 31 only, which all of `virt`'s virtio devices are.
pub(crate) fn enable(interrupt: u32) {
    let enabled = register(ENABLE);
    register(PRIORITY + 4 * interrupt as usize).write(1);
    enabled.write(enabled.read() | 1 << interrupt);
    register(THRESHOLD).write(0);
}

#[riscv_rt::core_interrupt(Interrupt::MachineExternal)]
fn on_external_interrupt() {
    let claim = register(CLAIM);
    loop {
        let interrupt = claim.read();
        if interrupt == 0 {
            return;
        }
        virtio_net::on_interrupt(interrupt);
        claim.write(interrupt);
    }
}

fn register(address: usize) -> Register {
    // SAFETY: the constants above are registers of the PLIC, which knows no memory.
    unsafe { Register::new(address) }
}
