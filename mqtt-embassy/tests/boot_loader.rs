//! A flash store under the real boot loader, in flash that loses power: download, swap, trial and return.

use std::{cell::RefCell, rc::Rc};

use embassy_boot::{BootError, BootLoader, BootLoaderConfig, FirmwareState, State};
use embassy_embedded_hal::{
    adapter::BlockingAsync,
    flash::partition::{BlockingPartition, Partition},
};
use embassy_futures::block_on;
use embassy_sync::{
    blocking_mutex::{Mutex as BlockingMutex, raw::NoopRawMutex},
    mutex::Mutex,
};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use mqtt_core::platform::update::UpdateStore;
use mqtt_embassy::{Activate, FlashStore};

const BLOCK: u32 = 256;
const STATE: (u32, u32) = (0, BLOCK);
const ACTIVE: (u32, u32) = (BLOCK, 8 * BLOCK);
/// A block larger, for the swap.
const DFU: (u32, u32) = (9 * BLOCK, 9 * BLOCK);
const RECORDS: (u32, u32) = (18 * BLOCK, 2 * BLOCK);
const LEN: usize = 20 * BLOCK as usize;

/// The flash of a board: what outlives a loss of power.
#[derive(Clone)]
struct Flash(Rc<RefCell<Cells>>);

struct Cells {
    bytes: Vec<u8>,
    /// Writes and erasures before power is lost, in the middle of one.
    left: usize,
}

#[derive(Debug)]
struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Cells {
    /// Changes a range; when power is lost only its first half, or an erased block to anything.
    fn change(&mut self, at: usize, bytes: &[u8]) -> Result<(), NoPower> {
        self.left = self.left.checked_sub(1).ok_or(NoPower)?;
        let len = if self.left == 0 {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        self.bytes[at..at + len].copy_from_slice(&bytes[..len]);
        if self.left == 0 { Err(NoPower) } else { Ok(()) }
    }
}

impl ErrorType for Flash {
    type Error = NoPower;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        let at = offset as usize;
        bytes.copy_from_slice(&self.0.borrow().bytes[at..at + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = BLOCK as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        let len = (to - from) as usize;
        self.0.borrow_mut().change(from as usize, &vec![0xff; len])
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        let at = offset as usize;
        let mut cells = self.0.borrow_mut();
        // A write can only clear bits.
        let before = &cells.bytes[at..at + bytes.len()];
        let after: Vec<u8> = before
            .iter()
            .zip(bytes)
            .map(|(old, new)| old & new)
            .collect();
        cells.change(at, &after)
    }
}

type Region<'f> = Partition<'f, NoopRawMutex, BlockingAsync<Flash>>;

/// Orders the swap.
struct Swap<'f>(Region<'f>);

impl Activate for Swap<'_> {
    type Error = ();

    async fn activate(&mut self, _len: u32) -> Result<(), ()> {
        let mut buffer = [0];
        let mut state = FirmwareState::new(self.0.clone(), &mut buffer);
        state.mark_updated().await.map_err(drop)
    }
}

impl Flash {
    /// A board that runs `firmware`.
    fn with(firmware: &[u8]) -> Self {
        let mut bytes = vec![0xff; LEN];
        let at = ACTIVE.0 as usize;
        bytes[at..at + firmware.len()].copy_from_slice(firmware);
        let left = usize::MAX;
        Self(Rc::new(RefCell::new(Cells { bytes, left })))
    }

    fn loses_power_after(&self, changes: usize) {
        self.0.borrow_mut().left = changes;
    }

    /// What the firmware does: stores an image as it comes, and activates it.
    fn update(&self, image: &[u8]) -> Result<(), ()> {
        let flash = Mutex::new(BlockingAsync::new(self.clone()));
        let region = |(at, len)| Region::new(&flash, at, len);
        let swap = Swap(region(STATE));
        let mut store = FlashStore::new(region(DFU), region(RECORDS), swap)
            .unwrap()
            .limit(ACTIVE.1);
        block_on(async {
            let mut offset = 0;
            for chunk in image.chunks(100) {
                store.write(offset, chunk).await.map_err(drop)?;
                offset += u32::try_from(chunk.len()).unwrap();
            }
            store.flush().await.map_err(drop)?;
            store.activate(offset).await.map_err(drop)
        })
    }

    /// The firmware confirms itself.
    fn pass(&self) {
        let flash = Mutex::new(BlockingAsync::new(self.clone()));
        let mut buffer = [0];
        let mut state = FirmwareState::new(Region::new(&flash, STATE.0, STATE.1), &mut buffer);
        block_on(state.mark_booted()).unwrap();
    }

    /// A reset.
    fn boot(&self) -> Result<State, BootError> {
        let flash = BlockingMutex::<NoopRawMutex, _>::new(RefCell::new(self.clone()));
        let region = |(at, len)| BlockingPartition::new(&flash, at, len);
        let mut boot_loader = BootLoader::new(BootLoaderConfig {
            active: region(ACTIVE),
            dfu: region(DFU),
            state: region(STATE),
        });
        boot_loader.prepare_boot(&mut [0; BLOCK as usize])
    }

    fn runs(&self, firmware: &[u8]) -> bool {
        let at = ACTIVE.0 as usize;
        self.0.borrow().bytes[at..at + firmware.len()] == *firmware
    }
}

fn image(seed: usize) -> Vec<u8> {
    (0..1_900)
        .map(|at: usize| u8::try_from((at * seed + at / 256) % 256).unwrap())
        .collect()
}

#[test]
fn firmware_that_passes_stays() {
    let flash = Flash::with(&image(3));
    flash.update(&image(5)).unwrap();
    assert!(flash.runs(&image(3)));
    assert_eq!(flash.boot(), Ok(State::Swap));
    assert!(flash.runs(&image(5)));
    flash.pass();
    assert_eq!(flash.boot(), Ok(State::Boot));
    assert!(flash.runs(&image(5)));
}

#[test]
fn firmware_that_does_not_pass_gives_way_to_the_one_before_and_can_be_replaced_again() {
    let flash = Flash::with(&image(3));
    flash.update(&image(5)).unwrap();
    flash.boot().unwrap();
    flash.boot().unwrap();
    assert!(flash.runs(&image(3)));
    assert_eq!(flash.boot(), Ok(State::Revert));
    assert!(flash.runs(&image(3)));
    flash.update(&image(7)).unwrap();
    flash.boot().unwrap();
    flash.pass();
    flash.boot().unwrap();
    assert!(flash.runs(&image(7)));
}

#[test]
fn power_lost_in_an_update_leaves_the_old_firmware_or_starts_the_new_one() {
    let mut is_done = false;
    for cut in 1.. {
        let flash = Flash::with(&image(3));
        flash.loses_power_after(cut);
        is_done = is_done || flash.update(&image(5)).is_ok();
        flash.loses_power_after(usize::MAX);
        flash.boot().unwrap();
        assert!(flash.runs(&image(if is_done { 5 } else { 3 })), "{cut}");
        if is_done {
            return;
        }
    }
}

#[test]
fn power_lost_in_the_swap_or_the_return_costs_no_firmware() {
    for cut in 1.. {
        let flash = Flash::with(&image(3));
        flash.update(&image(5)).unwrap();
        flash.loses_power_after(cut);
        let swapped = flash.boot();
        let returned = swapped.is_ok().then(|| flash.boot());
        flash.loses_power_after(usize::MAX);
        if swapped.is_err() {
            flash.boot().unwrap();
            assert!(flash.runs(&image(5)), "{cut}");
            flash.boot().unwrap();
        } else if returned.as_ref().is_some_and(Result::is_err) {
            flash.boot().unwrap();
        }
        assert!(flash.runs(&image(3)), "{cut}");
        if returned.is_some_and(|returned| returned.is_ok()) {
            return;
        }
    }
}
