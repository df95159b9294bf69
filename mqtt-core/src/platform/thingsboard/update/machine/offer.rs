//! What is assigned to the device, and what follows from it.

use crate::{
    bytes::fingerprint,
    platform::{
        thingsboard::{AttributeResponse, AttributeUpdate},
        update::Checksum,
    },
};

use super::{
    super::{Offer, Source, record::Stage},
    Ask, State, Target, Update, UpdateError,
    reports::{REPORT_CURRENT, REPORT_DOWNLOADING, REPORT_UPDATED},
};

impl<'a, C: Checksum> Update<'a, C> {
    /// Takes a change or deletion of shared attributes. They may hold other things too, so the application looks at them
    /// as well.
    pub fn attribute_update(&mut self, update: &AttributeUpdate<'_>) {
        let package = self.options.package;
        match update {
            AttributeUpdate::Deleted(keys) => {
                // Stale keys of an old offer are deleted too when a new one is made, in any order.
                let mut names = package.attribute_keys().iter().take(2);
                if names.any(|key| keys.contains(key)) {
                    self.withdrawn();
                }
            }
            AttributeUpdate::Changed(attributes) => match Offer::read(package, *attributes) {
                Ok(None) => {}
                Ok(Some(offer)) => self.offered(&offer, true),
                // Only some of them have changed.
                Err(_) => {
                    self.attribute_attempts = 0;
                    self.ask_attributes();
                }
            },
        }
    }

    /// Takes the answer to a request of attributes; false if the request was not ours.
    pub fn attribute_response(&mut self, response: &AttributeResponse<'_>) -> bool {
        if !matches!(self.attributes, Ask::Waiting { id, .. } if id == response.id) {
            return false;
        }
        self.attributes = Ask::No;
        self.attribute_attempts = 0;
        let offer = response
            .shared
            .map_or(Ok(None), |shared| Offer::read(self.options.package, shared));
        match offer {
            Ok(Some(offer)) => self.offered(&offer, false),
            Ok(None) => self.withdrawn(),
            Err(_) => {
                self.target = None;
                self.fail(UpdateError::Offer);
            }
        }
        true
    }

    /// The activated image is in use without a restart: as software may be. Reports `UPDATED`; the title and version of
    /// what is installed now are those given here.
    pub fn installed(&mut self, title: &'a str, version: &'a str) {
        if matches!(self.state, State::Activated { .. }) {
            self.options.title = title;
            self.options.version = version;
            self.updated();
        }
    }

    pub(super) fn ask_attributes(&mut self) {
        if self.is_connected {
            self.attributes = Ask::Later(None);
        }
    }

    pub(super) fn offered(&mut self, offer: &Offer<'_>, is_new: bool) {
        if offer.title == *self.options.title && offer.version == *self.options.version {
            self.updated();
            return;
        }
        let Source::Chunks(image) = offer.source else {
            self.target = None;
            self.state = State::Elsewhere;
            return;
        };
        let title = fingerprint(0, offer.title.raw());
        let target = Target {
            name: fingerprint(title, offer.version.raw()),
            image,
        };
        if self.target != Some(target) {
            self.target = Some(target);
            self.begin(0);
            return;
        }
        match self.state {
            State::Downloading { .. } => self.go_on(),
            // Nothing was wrong with what is there.
            State::Restored(Stage::Downloading)
            | State::Failed {
                error: UpdateError::NoChunk,
                ..
            } => self.begin(self.received),
            State::Restored(Stage::Verified) => {
                self.received = image.size;
                self.begin_check();
            }
            State::Restored(Stage::Activated) => self.fail(UpdateError::NotStarted),
            State::Restored(Stage::Failed) | State::Failed { .. } if is_new => self.begin(0),
            State::Idle | State::Elsewhere | State::Forgetting => self.begin(0),
            _ => {}
        }
    }

    /// Begins to fetch the target, with what is there of it already.
    pub(super) fn begin(&mut self, received: u32) {
        let Some(Target { image, .. }) = self.target else {
            return;
        };
        self.received = received;
        self.reports &= REPORT_CURRENT;
        self.incoming = None;
        self.chunk = Ask::No;
        if image.size > self.capacity {
            self.fail(UpdateError::TooLarge);
        } else if C::begin(image.algorithm).is_none() {
            self.fail(UpdateError::Algorithm);
        } else {
            self.reports |= REPORT_DOWNLOADING;
            self.state = State::Downloading { begun: false };
            self.new_id();
            self.go_on();
            self.attempts = 0;
        }
    }

    /// The package is no longer assigned.
    pub(super) fn withdrawn(&mut self) {
        self.chunk = Ask::No;
        self.incoming = None;
        match self.state {
            // What is activated cannot be taken back.
            State::Idle | State::Forgetting | State::Activated { .. } => {}
            State::Elsewhere => self.state = State::Idle,
            _ => {
                self.target = None;
                self.reports &= REPORT_CURRENT;
                self.state = State::Forgetting;
            }
        }
    }

    /// What is offered is installed.
    pub(super) fn updated(&mut self) {
        self.chunk = Ask::No;
        self.incoming = None;
        if self.target.take().is_some() || !matches!(self.state, State::Idle) {
            self.state = State::Forgetting;
            self.reports = REPORT_UPDATED;
        }
    }

    pub(super) fn attributes_unanswered(&mut self) {
        self.attributes = Ask::No;
        if self.attribute_attempts < self.options.attempts {
            self.attributes = Ask::Later(None);
        } else if matches!(self.state, State::Downloading { .. }) {
            self.fail(UpdateError::NoChunk);
        }
    }
}
