//! Feature `flash`: a copy of the session in NOR flash.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use mqtt_core::client::SessionStore;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

use crate::{FlashFault, FlashQueueError, UnsuitableFlash, flash_queue::CarefulFlash};

/// The only key in the map.
const KEY: u8 = 0;

/// Keeps the copy of a [`SessionKeeper`](crate::SessionKeeper) in a region of NOR flash, for nothing else.
///
/// Copies lie one behind the other, each with a checksum (crate `sequential-storage`), and blocks are used in turn. One that
/// a loss of power cut off is not seen, and the one before it holds. The region has two erase blocks at least; each holds
/// the longest copy and some 30 bytes. How much it wears: see [`SessionKeeper`](crate::SessionKeeper).
///
/// The buffer holds the longest copy and a word, in whole words of 8 bytes or of what the flash is written by. Some drivers
/// write from aligned memory only.
///
/// ```no_run
/// # async fn example<F: embedded_storage_async::nor_flash::NorFlash>(
/// #     client: mqtt_embassy::Client, mut runner: mqtt_embassy::Runner, partition: F,
/// #     connector: mqtt_embassy::TcpConnector<'static>, options: &mqtt_embassy::Options<'_>,
/// # ) -> Result<(), Box<dyn core::error::Error>> {
/// use mqtt_embassy::{FlashSession, SessionKeeper};
/// use static_cell::ConstStaticCell;
///
/// static COPY: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
/// static SCRATCH: ConstStaticCell<[u8; 1056]> = ConstStaticCell::new([0; 1056]);
///
/// let store = FlashSession::new(partition, SCRATCH.take())?;
/// // Before anything is published.
/// let mut keeper = SessionKeeper::open(client, store, &mut COPY.take()[..]).await?;
/// runner.run(&mut keeper.around(connector), options).await;
/// # Ok(())
/// # }
/// ```
pub struct FlashSession<F: NorFlash, B> {
    map: MapStorage<u8, CarefulFlash<F>, Cache<Uncached, Uncached, Uncached, u8>>,
    scratch: B,
}

impl<F: NorFlash, B: AsMut<[u8]>> FlashSession<F, B> {
    /// A store in `flash`, with what is in it already.
    ///
    /// # Errors
    ///
    /// [`UnsuitableFlash`].
    pub fn new(flash: F, scratch: B) -> Result<Self, UnsuitableFlash> {
        let len = u32::try_from(flash.capacity()).map_err(|_| UnsuitableFlash)?;
        let config = MapConfig::try_new(0..len).map_err(|_| UnsuitableFlash)?;
        if !CarefulFlash::<F>::IS_SUITABLE {
            return Err(UnsuitableFlash);
        }
        Ok(Self {
            map: MapStorage::new(CarefulFlash(flash), config, Cache::new_uncached()),
            scratch,
        })
    }
}

impl<F: NorFlash, B: AsMut<[u8]>> SessionStore for FlashSession<F, B> {
    type Error = FlashQueueError;

    async fn save(&mut self, copy: &[u8]) -> Result<(), FlashQueueError> {
        let scratch = self.scratch.as_mut();
        let saved = self.map.store_item(scratch, &KEY, &copy).await;
        saved.map_err(|error| failure(&error))
    }

    async fn load(&mut self, buffer: &mut [u8]) -> Result<usize, FlashQueueError> {
        let scratch = self.scratch.as_mut();
        let saved = match self.map.fetch_item::<&[u8]>(scratch, &KEY).await {
            Ok(saved) => saved.unwrap_or_default(),
            Err(error @ Error::Storage { .. }) => return Err(failure(&error)),
            // What lies there is none of ours: flash that was used for something else before.
            Err(_) => {
                let erased = self.map.erase_all().await;
                erased.map_err(|error| failure(&error))?;
                &[]
            }
        };
        let Some(place) = buffer.get_mut(..saved.len()) else {
            return Ok(0);
        };
        place.copy_from_slice(saved);
        Ok(saved.len())
    }
}

impl<F: NorFlash, B> fmt::Debug for FlashSession<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashSession").finish_non_exhaustive()
    }
}

fn failure<E: embedded_storage_async::nor_flash::NorFlashError>(
    error: &Error<E>,
) -> FlashQueueError {
    match error {
        Error::Storage { value, .. } => FlashQueueError::Flash(FlashFault::of(value)),
        Error::BufferTooSmall(_) | Error::SerializationError(_) => FlashQueueError::BufferTooSmall,
        _ => FlashQueueError::Corrupted,
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use mqtt_core::client::SessionStore;

    use super::FlashSession;
    use crate::flash_queue::tests::{BLOCK, Cut, Erased, Flash, poll};

    fn copy(number: u8) -> Vec<u8> {
        vec![number; 10 + usize::from(number) * 7 % 40]
    }

    /// Whether power was lost before twenty copies were saved.
    fn holds_the_last_copy(left: usize, erased: Erased) -> bool {
        let mut bytes = vec![0xff; 3 * BLOCK];
        let mut left = left;
        let cut = Cut::PowerLost(erased);
        let mut last = 0;
        let mut was_cut = false;
        {
            let flash = Flash::<4>::new(&mut bytes, &mut left, cut);
            let mut store = FlashSession::new(flash, [0; 128]).unwrap();
            for number in 1..=20 {
                if poll(store.save(&copy(number))) != Some(Ok(())) {
                    was_cut = true;
                    break;
                }
                last = number;
            }
        }
        left = usize::MAX;
        let flash = Flash::<4>::new(&mut bytes, &mut left, cut);
        let mut store = FlashSession::new(flash, [0; 128]).unwrap();
        let mut found = [0; 128];
        let len = poll(store.load(&mut found)).unwrap().unwrap();
        let number = found[..len].first().copied().unwrap_or(0);
        assert!(
            number == last || number == last + 1,
            "{number} after {last}, {erased:?}"
        );
        assert_eq!(
            found[..len],
            copy(number)[..if number == 0 { 0 } else { len }]
        );
        assert_eq!(poll(store.save(&copy(30))), Some(Ok(())));
        let len = poll(store.load(&mut found)).unwrap().unwrap();
        assert_eq!(found[..len], copy(30));
        was_cut
    }

    #[test]
    fn power_lost_at_any_word_or_erasure_leaves_the_old_copy_or_the_new_one() {
        for erased in [Erased::Nothing, Erased::FirstHalf] {
            let mut left = 1;
            while holds_the_last_copy(left, erased) {
                left += 1;
            }
            assert!(left > 100, "{left}");
        }
    }

    #[test]
    fn a_longer_copy_than_the_buffer_is_none() {
        let mut bytes = vec![0xff; 3 * BLOCK];
        let mut left = usize::MAX;
        let flash = Flash::<4>::new(&mut bytes, &mut left, Cut::Waits);
        let mut store = FlashSession::new(flash, [0; 128]).unwrap();
        poll(store.save(&[7; 50])).unwrap().unwrap();
        assert_eq!(poll(store.load(&mut [0; 49])), Some(Ok(0)));
        assert_eq!(poll(store.load(&mut [0; 50])), Some(Ok(50)));
    }
}
