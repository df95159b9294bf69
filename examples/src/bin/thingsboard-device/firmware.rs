//! The firmware update: how far it is, and what is to be done about it.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use examples::terminal;
use indicatif::ProgressBar;
use mqtt_std::platform::json::RawJson;
use mqtt_std::platform::thingsboard::update::{
    Offer, Package, UpdateOptions, UpdatePhase, Updater,
};
use mqtt_std::platform::thingsboard::{AttributeUpdate, Device};
use mqtt_std::{Client, Instant, Received, UpdateFile, now};

use crate::state::{State, Version};

/// How much may have to be fetched again after a loss of power.
const SAVE_EVERY: u32 = 256 * 1024;

/// Lines in percent, where there is no terminal for a bar.
const LINE_EVERY: u32 = 10;

/// An update that may be going on.
pub(crate) struct Firmware<'a> {
    state: &'a State,
    running: &'a Version,
    updater: Updater<'a, UpdateFile>,
    /// What the server offers.
    offered: Option<Version>,
    phase: UpdatePhase,
    bar: Option<ProgressBar>,
    /// The last line in percent.
    told: u32,
}

impl<'a> Firmware<'a> {
    /// Goes on with what the state folder remembers.
    pub(crate) async fn open(
        state: &'a State,
        running: &'a Version,
        chunk_len: u32,
    ) -> anyhow::Result<Self> {
        let options = UpdateOptions {
            chunk_len,
            save_every: SAVE_EVERY,
            // What will run is written down before the image is activated.
            automatic: false,
            ..UpdateOptions::new(Package::Firmware, &running.title, &running.version)
        };
        Ok(Self {
            state,
            running,
            updater: Box::pin(Updater::open(Device::new(), options, state.store()?)).await,
            offered: None,
            phase: UpdatePhase::Idle,
            bar: None,
            told: 0,
        })
    }

    /// Does what is due, and tells when to call it again.
    pub(crate) async fn advance(&mut self, client: &Client) -> anyhow::Result<Instant> {
        let next = Box::pin(self.updater.advance(client)).await;
        if let Some(error) = self.updater.take_store_error() {
            terminal::print_with_time(&format!("update: {error}"))?;
        }
        self.show_progress()?;
        let phase = self.updater.update().phase();
        if phase == self.phase {
            return Ok(next);
        }
        self.phase = phase;
        self.enter(phase)?;
        Ok(now())
    }

    /// Takes a message; true if it is about nothing but the update.
    pub(crate) async fn receive(&mut self, received: &mut Received<'_>) -> io::Result<bool> {
        self.note_offer(received)?;
        Ok(Box::pin(self.updater.receive_from(received)).await)
    }

    /// Says how far it is, at the end of the program.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.phase != UpdatePhase::Downloading {
            return Ok(());
        }
        let (received, size) = self.updater.update().progress().unwrap_or_default();
        let text = format!("update: {received} of {size} bytes are here, the next start goes on");
        terminal::print_with_time(&text)
    }

    /// Whether it is time to restart with the new firmware.
    pub(crate) fn is_installed(&self) -> bool {
        self.phase == UpdatePhase::Installed
    }

    fn enter(&mut self, phase: UpdatePhase) -> anyhow::Result<()> {
        if phase != UpdatePhase::Downloading
            && let Some(bar) = self.bar.take()
        {
            bar.finish_and_clear();
        }
        let text = match phase {
            UpdatePhase::Downloading => return self.begin(),
            UpdatePhase::Elsewhere => "lies at a URL, which this program does not fetch".to_owned(),
            UpdatePhase::Verifying => "downloaded, checking it".to_owned(),
            UpdatePhase::Verified => {
                self.announce()?;
                "verified".to_owned()
            }
            UpdatePhase::Installing => "installing".to_owned(),
            UpdatePhase::Installed => "installed, restarting".to_owned(),
            UpdatePhase::Failed(error) => format!("failed: {error}"),
            _ => return Ok(()),
        };
        Ok(terminal::print_with_time(&format!("update: {text}"))?)
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let (received, size) = self.updater.update().progress().unwrap_or_default();
        let what = match &self.offered {
            Some(offered) => format!("{} {}", offered.title, offered.version),
            None => "firmware".to_owned(),
        };
        let start = match received {
            0 => String::new(),
            _ => format!(", going on after {received}"),
        };
        terminal::print_with_time(&format!("update: {what}, {size} bytes{start}"))?;
        self.told = percent(received, size) / LINE_EVERY * LINE_EVERY;
        self.bar = terminal::progress_bar(size.into());
        if let Some(bar) = &self.bar {
            bar.set_message(what);
            bar.set_position(received.into());
            // The rate is that of this download, not of what was there before.
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Ok(())
    }

    fn show_progress(&mut self) -> anyhow::Result<()> {
        let Some((received, size)) = self.updater.update().progress() else {
            return Ok(());
        };
        if let Some(bar) = &self.bar {
            bar.set_position(received.into());
            return Ok(());
        }
        let percent = percent(received, size);
        if self.phase == UpdatePhase::Downloading && percent >= self.told + LINE_EVERY {
            self.told = percent / LINE_EVERY * LINE_EVERY;
            terminal::print_with_time(&format!("update: {percent} %, {received} of {size} bytes"))?;
        }
        Ok(())
    }

    /// Writes down what will run, and lets it be installed.
    fn announce(&mut self) -> anyhow::Result<()> {
        let next = self
            .offered
            .as_ref()
            .context("an update without an offer")?;
        self.state.announce(next)?;
        self.updater.update().install();
        Ok(())
    }

    /// Remembers title and version of what is offered; the rest is the updater's business.
    fn note_offer(&mut self, received: &Received<'_>) -> io::Result<()> {
        let device = Device::new();
        let attributes = match device.attribute_update(received) {
            Ok(Some(AttributeUpdate::Changed(changed))) => Some(changed),
            Ok(None) => match device.attribute_response(received) {
                Ok(Some(response)) => response.shared,
                _ => None,
            },
            _ => None,
        };
        let Some(version) = attributes.and_then(offered) else {
            return Ok(());
        };
        if version == *self.running && self.offered.as_ref() != Some(&version) {
            terminal::print_with_time("update: what is offered runs already")?;
        }
        self.offered = Some(version);
        Ok(())
    }
}

fn offered(attributes: RawJson<'_>) -> Option<Version> {
    let offer = Offer::read(Package::Firmware, attributes).ok()??;
    Some(Version {
        title: offer.title.chars().collect(),
        version: offer.version.chars().collect(),
    })
}

fn percent(received: u32, size: u32) -> u32 {
    let percent = u64::from(received) * 100 / u64::from(size.max(1));
    u32::try_from(percent).unwrap_or(100)
}
