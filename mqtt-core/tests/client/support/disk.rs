//! A store in memory that outlives the client, and loses what it was about when its future is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mqtt_core::outbox::{AppendError, RecordNumber, Store};

use super::executor::yield_now;

/// Clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
pub struct DiskState {
    pub records: Vec<Vec<u8>>,
    /// Records that fit; 0 for no limit.
    pub capacity: usize,
    /// Everything fails.
    pub broken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

impl Disk {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn of(capacity: usize) -> Self {
        let disk = Self::new();
        disk.lock().capacity = capacity;
        disk
    }

    pub fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    fn check(&self) -> Result<(), Broken> {
        if self.lock().broken {
            Err(Broken)
        } else {
            Ok(())
        }
    }
}

impl Store for Disk {
    type Error = Broken;

    async fn append(&mut self, record: &[u8]) -> Result<(), AppendError<Broken>> {
        yield_now().await;
        self.check().map_err(AppendError::Store)?;
        {
            let mut disk = self.lock();
            if disk.capacity != 0 && disk.records.len() == disk.capacity {
                return Err(AppendError::Full);
            }
            disk.records.push(record.to_vec());
        }
        yield_now().await;
        Ok(())
    }

    async fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Broken> {
        yield_now().await;
        self.check()?;
        let disk = self.lock();
        let found = disk.records.iter().find(|record| wanted(record));
        Ok(found.map(|record| {
            buffer[..record.len()].copy_from_slice(record);
            record.len()
        }))
    }

    async fn remove(&mut self, number: RecordNumber, _: &mut [u8]) -> Result<(), Broken> {
        yield_now().await;
        self.check()?;
        let is_other = |record: &Vec<u8>| RecordNumber::of(record) != Some(number);
        self.lock().records.retain(is_other);
        yield_now().await;
        Ok(())
    }
}
