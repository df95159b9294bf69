//! A device that Watson IoT Platform manages: it can be rebooted, reset and updated, and its firmware is observed.

use mqtt_core::platform::watson_iot::management::{Action, ManagedDevice, Profile, Target};
use mqtt_core::{Instant, codec::Publish, session::Event};

use crate::buffer;
use crate::job::JobSession;
use crate::stubs::{now_ms, write};

static PROFILE: Profile<'static> = {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.device_info.firmware_version = Some("1.0");
    profile
};

/// The state of the device.
#[derive(Debug)]
pub struct Companion(ManagedDevice<'static>);

impl Companion {
    /// To be called once.
    pub fn new() -> Option<Self> {
        let device = ManagedDevice::new(Target::Own, &PROFILE, buffer!(), now_ms());
        device.ok().map(Self)
    }

    /// Sees what has happened.
    pub fn see(&mut self, event: &Event<'_>) {
        if let Event::Connected(_) = event {
            self.0.manage();
        }
    }

    /// Does what is due.
    pub fn upkeep(&mut self, session: &mut JobSession) {
        let time = Instant::from_millis(now_ms());
        while self.0.tick(time).is_some() {}
        while let Some(publication) = self.0.next_publication() {
            if session.publish(&publication, false, time).is_err() {
                break;
            }
            self.0.published(&publication, time);
        }
        if let Some(record) = self.0.unsaved() {
            write(record);
            self.0.saved();
        }
    }

    /// Takes a message.
    pub fn take(&mut self, session: &mut JobSession, publish: &Publish<'_>) {
        let time = Instant::from_millis(now_ms());
        let response = match self.0.handle(publish, time) {
            Ok(Some(
                Action::Update(_, Some(response))
                | Action::Cancelled(_, response)
                | Action::Refused(_, response),
            )) => response,
            Ok(Some(Action::Observe(observe))) => self.0.observe(&observe, &[]),
            Ok(Some(Action::Requested(requested))) => self.0.accept(requested),
            _ => return,
        };
        // Without room the server asks again.
        let _ = session.publish(&response, false, time);
    }
}
