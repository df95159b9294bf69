//! What outlives a loss of power: the records of the outbox, and the copy of the session.

use std::{
    cell::RefCell,
    fmt,
    future::{pending, ready},
    rc::Rc,
};

use mqtt_core::{
    client::SessionStore,
    outbox::{AppendError, RecordNumber, Store},
    session::OutboxPolicy,
};

use crate::{
    ledger::number_of,
    link::{Link, Network},
    scene::Scene,
    verdict::Rule,
};

/// A medium on which power may be lost before, in and after each operation. Clones are the same.
#[derive(Clone)]
pub(crate) struct Flash {
    scene: Rc<Scene>,
    links: Rc<RefCell<Vec<Link>>>,
    medium: Rc<RefCell<Medium>>,
}

#[derive(Default)]
struct Medium {
    records: Vec<Vec<u8>>,
    /// The copy of the session; empty for none.
    copy: Vec<u8>,
}

/// The medium failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the medium failed")
    }
}

impl Flash {
    pub(crate) fn new(network: &Network) -> Self {
        Self {
            scene: network.scene.clone(),
            links: network.links.clone(),
            medium: Rc::default(),
        }
    }

    /// Whether no record waits for the server.
    pub(crate) fn is_empty(&self) -> bool {
        self.medium.borrow().records.is_empty()
    }

    fn is_full(&self) -> bool {
        self.medium.borrow().records.len() >= self.scene.setup.flash.room
    }

    /// Messages of the application in the copy of the session.
    pub(crate) fn messages_in_copy(&self) -> u32 {
        let medium = self.medium.borrow();
        let mut rest = medium.copy.get(2..).unwrap_or_default();
        let mut count = 0;
        // What, marks, identifier; and a packet, unless it was released or received. A checksum ends it.
        while let Some(([what, _, _, _], tail)) = rest.split_first_chunk()
            && !tail.is_empty()
        {
            count += u32::from(*what <= 5);
            rest = tail;
            if *what < 5
                && let Some((len, tail)) = tail.split_first_chunk()
            {
                rest = &tail[u32::from_be_bytes(*len) as usize..];
            }
        }
        count
    }

    /// Some time within an operation, in which power may be lost.
    async fn moment(&self) {
        if self.scene.power_fails() {
            pending::<()>().await;
        }
        if self.scene.tape.one_in(6) {
            self.scene.pause(4).await;
        }
    }

    fn fails(&self) -> bool {
        let fails = self.scene.mishap(self.scene.setup.flash.fail_one_in);
        if fails {
            self.scene.note(|| "flash: fails".into());
        }
        fails
    }

    /// The record is durable from now on.
    fn write(&self, record: &[u8]) {
        let records = &mut self.medium.borrow_mut().records;
        let newest = records.last().and_then(|newest| RecordNumber::of(newest));
        let ascends = match (newest, RecordNumber::of(record)) {
            (Some(newest), Some(number)) => number.is_after(newest),
            (_, number) => number.is_some(),
        };
        self.scene.require(ascends, Rule::Durable, || {
            format!("the record behind {newest:?} is {:?}", &record[..4])
        });
        records.push(record.to_vec());
        match message_of(record) {
            Some(number) => self.scene.ledger.borrow_mut().stored(&self.scene, number),
            None => self.scene.violate(Rule::Content, || {
                format!("a record without a message: {record:?}")
            }),
        }
    }

    fn erase(&self, number: RecordNumber) {
        let records = &mut self.medium.borrow_mut().records;
        let at = records
            .iter()
            .position(|record| RecordNumber::of(record) == Some(number));
        let Some(at) = at else {
            return;
        };
        let waiting: Vec<u32> = records.iter().filter_map(|r| message_of(r)).collect();
        self.scene
            .ledger
            .borrow_mut()
            .removed(&self.scene, at, &waiting);
        records.remove(at);
    }
}

/// The message in a record: behind number and head lie topic and properties, each with a length.
fn message_of(record: &[u8]) -> Option<u32> {
    let (_, rest) = record.split_at_checked(RecordNumber::LEN + 1)?;
    let rest = behind(behind(rest)?)?;
    number_of(rest)
}

fn behind(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*len))..)
}

impl Store for Flash {
    type Error = Failed;

    async fn append(&mut self, record: &[u8]) -> Result<(), AppendError<Failed>> {
        self.moment().await;
        if self.is_full() {
            return Err(AppendError::Full);
        }
        if self.fails() {
            // Nobody knows whether it is there.
            if self.scene.tape.one_in(2) {
                self.write(record);
            }
            return Err(AppendError::Store(Failed));
        }
        self.write(record);
        self.moment().await;
        Ok(())
    }

    async fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Failed> {
        self.moment().await;
        if self.fails() {
            return Err(Failed);
        }
        let medium = self.medium.borrow();
        let Some(record) = medium.records.iter().find(|record| wanted(record)) else {
            return Ok(None);
        };
        let into = buffer.get_mut(..record.len()).ok_or(Failed)?;
        into.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    async fn remove(&mut self, number: RecordNumber, _: &mut [u8]) -> Result<(), Failed> {
        self.moment().await;
        let fails = self.fails();
        if !fails || self.scene.tape.one_in(2) {
            self.erase(number);
        }
        if fails {
            return Err(Failed);
        }
        self.moment().await;
        Ok(())
    }
}

impl SessionStore for Flash {
    type Error = Failed;

    async fn save(&mut self, copy: &[u8]) -> Result<(), Failed> {
        // The client has begun to write.
        if let Some(link) = self.links.borrow().last() {
            link.state().audit.writing = true;
        }
        self.moment().await;
        if self.fails() {
            if self.scene.tape.one_in(2) {
                self.medium.borrow_mut().copy.clear();
                self.scene.ledger.borrow_mut().copied = false;
            }
            return Err(Failed);
        }
        self.medium.borrow_mut().copy = copy.to_vec();
        self.scene.ledger.borrow_mut().saves_session();
        self.scene.summary.borrow_mut().saved += 1;
        self.moment().await;
        Ok(())
    }

    fn load(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Failed>> {
        let copy = &self.medium.borrow().copy;
        let into = buffer.get_mut(..copy.len());
        ready(into.map_or(Err(Failed), |into| {
            into.copy_from_slice(copy);
            Ok(copy.len())
        }))
    }
}

/// Whether messages that nobody has seen may be given up.
pub(crate) fn gives_up(policy: OutboxPolicy) -> bool {
    matches!(policy, OutboxPolicy::DropOldest | OutboxPolicy::KeepLatest)
}
