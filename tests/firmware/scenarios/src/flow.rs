//! Numbered messages, a few of them on their way at any time.

use mqtt_embassy::{Client, Delivery};

use crate::Status;
use crate::device::{acknowledged, publish};
use crate::numbers;

/// Messages of which the outcome is not known yet, at most.
const WAITING: usize = 6;

/// Publishes `fw/up/number` and follows what becomes of each.
#[derive(Debug)]
pub(crate) struct Flow<'c> {
    client: &'c Client,
    waiting: [Option<Delivery>; WAITING],
    sent: u32,
}

impl<'c> Flow<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Self {
            client,
            waiting: Default::default(),
            sent: 0,
        }
    }

    /// Sends the next message, when the sixth before it has been acknowledged.
    pub(crate) async fn send(&mut self) -> Result<(), Status> {
        let place = &mut self.waiting[self.sent as usize % WAITING];
        if let Some(delivery) = place {
            acknowledged(delivery).await?;
        }
        let payload = numbers::payload(self.sent);
        let message = numbers::message("fw/up/number", self.sent, &payload);
        *place = Some(publish(self.client, &message).await?);
        self.sent += 1;
        Ok(())
    }

    /// Waits for all acknowledgements. The answer is how many messages have been sent since the beginning.
    pub(crate) async fn settle(&mut self) -> Result<u32, Status> {
        for delivery in self.waiting.iter_mut().flatten() {
            acknowledged(delivery).await?;
        }
        Ok(self.sent)
    }
}
