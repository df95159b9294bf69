//! The partitions, and what this firmware and the boot loader tell each other.

use embassy_boot_rp::{FirmwareState, FirmwareUpdaterConfig, State};
use embassy_embedded_hal::{adapter::BlockingAsync, flash::partition::Partition};
use embassy_rp::{
    flash::{Blocking, ERASE_SIZE, Flash},
    peripherals::FLASH,
};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use firmware_thingsboard::Trial;
use mqtt_embassy::{Activate, FlashStore, UnsuitableFlash};
use static_cell::{ConstStaticCell, StaticCell};

/// Bytes of the flash on the board.
pub(crate) const FLASH_SIZE: usize = 2 * 1024 * 1024;

/// Bytes that are erased at once.
const BLOCK: u32 = 4 * 1024;
const _: () = assert!(BLOCK as usize == ERASE_SIZE);

/// Bytes of the partition `RECORDS`.
const RECORDS: u32 = 8 * 1024;
/// Bytes of the partition `BOARD`.
const BOARD: u32 = 4 * 1024;

/// The flash, of which the firmware runs too: nothing runs while it is written, so there is nothing to wait for.
pub(crate) type BoardFlash = Flash<'static, FLASH, Blocking, FLASH_SIZE>;

/// A part of the flash.
pub(crate) type Region = Partition<'static, NoopRawMutex, BlockingAsync<BoardFlash>>;

/// Where new firmware goes.
pub(crate) type Store = FlashStore<Region, Region, Swap>;

/// Orders the swap at the next reset.
pub(crate) struct Swap(FirmwareState<'static, Region>);

/// The flash of the partition `STATE` has failed.
pub(crate) struct StateNotWritten;

/// Knows whether this is the first start of this firmware.
pub(crate) struct FirstStart {
    state: FirmwareState<'static, Region>,
    is_on_trial: bool,
}

/// Cuts up the flash: for updates, for the boot loader, and what belongs to the board. To be called once.
pub(crate) async fn partitions(
    flash: BoardFlash,
) -> Result<(Store, FirstStart, Region), UnsuitableFlash> {
    static SHARED: StaticCell<Mutex<NoopRawMutex, BlockingAsync<BoardFlash>>> = StaticCell::new();
    static FOR_SWAP: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0]);
    static FOR_START: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0]);
    let flash = SHARED.init(Mutex::new(BlockingAsync::new(flash)));
    let FirmwareUpdaterConfig { dfu, state } = FirmwareUpdaterConfig::from_linkerfile(flash, flash);
    let records = Region::new(flash, dfu.offset() + dfu.size(), RECORDS);
    let board = Region::new(flash, records.offset() + records.size(), BOARD);
    // The swap needs one block of `DFU` for itself.
    let largest = dfu.size() - BLOCK;
    let swap = Swap(FirmwareState::new(state.clone(), FOR_SWAP.take()));
    let store = FlashStore::new(dfu, records, swap)?.limit(largest);
    let start = FirstStart::new(FirmwareState::new(state, FOR_START.take())).await;
    Ok((store, start, board))
}

impl Activate for Swap {
    type Error = StateNotWritten;

    async fn activate(&mut self, _len: u32) -> Result<(), StateNotWritten> {
        self.0.mark_updated().await.map_err(|_| StateNotWritten)
    }
}

impl FirstStart {
    async fn new(mut state: FirmwareState<'static, Region>) -> Self {
        let found = state.get_state().await;
        match found {
            Ok(State::Swap) => defmt::info!("boot: first start of this firmware, on trial"),
            Ok(State::Revert) => defmt::warn!("boot: back from firmware that did not pass"),
            Ok(_) => {}
            Err(_) => defmt::error!("boot: the state cannot be read"),
        }
        Self {
            // When in doubt nothing is written over what may be the firmware before.
            is_on_trial: !matches!(found, Ok(State::Boot | State::Revert)),
            state,
        }
    }
}

impl Trial for FirstStart {
    fn is_on_trial(&self) -> bool {
        self.is_on_trial
    }

    async fn pass(&mut self) -> bool {
        self.state.mark_booted().await.is_ok()
    }
}
