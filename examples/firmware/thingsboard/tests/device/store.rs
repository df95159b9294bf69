//! Flash and a boot loader, as far as the device sees them.

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use firmware_thingsboard::Trial;
use mqtt_core::platform::update::UpdateStore;

/// What a board keeps over a restart.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) image: Vec<u8>,
    record: Vec<u8>,
    /// What was done with it, in order, without repetitions.
    pub(crate) log: Vec<&'static str>,
    /// The boot loader waits for the word of the firmware.
    pub(crate) is_on_trial: bool,
}

/// Lends it to the store and the trial.
#[derive(Clone, Default)]
pub(crate) struct Flash(pub(crate) Rc<RefCell<Memory>>);

impl Flash {
    pub(crate) fn log(&self) -> Vec<&'static str> {
        self.0.borrow().log.clone()
    }
}

impl Memory {
    fn note(&mut self, what: &'static str) {
        if self.log.last() != Some(&what) {
            self.log.push(what);
        }
    }
}

impl UpdateStore for Flash {
    type Error = Infallible;

    fn capacity(&self) -> u32 {
        100_000
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let mut memory = self.0.borrow_mut();
        memory.image.truncate(offset as usize);
        assert_eq!(memory.image.len(), offset as usize, "a gap");
        memory.image.extend_from_slice(bytes);
        memory.note("write");
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let at = offset as usize;
        bytes.copy_from_slice(&self.0.borrow().image[at..at + bytes.len()]);
        Ok(())
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().record = record.to_vec();
        Ok(())
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Infallible> {
        let saved = &self.0.borrow().record;
        record[..saved.len()].copy_from_slice(saved);
        Ok(saved.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Infallible> {
        let mut memory = self.0.borrow_mut();
        assert_eq!(memory.image.len(), len as usize);
        memory.note("activate");
        Ok(())
    }
}

impl Trial for Flash {
    fn is_on_trial(&self) -> bool {
        self.0.borrow().is_on_trial
    }

    async fn pass(&mut self) -> bool {
        self.0.borrow_mut().note("pass");
        true
    }
}
