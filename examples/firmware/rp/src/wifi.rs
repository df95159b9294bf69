//! The radio of the Pico W and the Pico 2 W, a CYW43439 with a LED at one of its pins.

use core::convert::Infallible;

use cyw43::{Control, JoinOptions, PowerManagementMode, SpiBus};
use cyw43_pio::PioSpi;
use embassy_net::Stack;
use embassy_rp::{gpio::Output, peripherals::PIO0};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embassy_time::{Duration, Timer, with_timeout};
use firmware_app::Light;

/// What moves bytes between chip and radio: run it in a task of its own.
pub type Runner = cyw43::Runner<'static, SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>>;

/// The pin of the radio to which the LED is connected.
const LED_PIN: u8 = 0;

/// After a failure to join: the access point may be starting too.
const PAUSE: Duration = Duration::from_secs(5);

/// The radio, which is told by one task to join a network, and by another to switch the LED.
pub struct Radio {
    control: Mutex<NoopRawMutex, Control<'static>>,
}

impl Radio {
    /// Starts the radio with the country and antenna data `clm`. Its [`Runner`] must be running.
    pub async fn start(mut control: Control<'static>, clm: &[u8]) -> Self {
        control.init(clm).await;
        control
            .set_power_management(PowerManagementMode::PowerSave)
            .await;
        Self {
            control: Mutex::new(control),
        }
    }

    /// Joins the network, and again whenever it is lost. A network without a password is open.
    pub async fn stay_joined(&self, stack: Stack<'_>, name: &str, password: &str) -> Infallible {
        loop {
            defmt::info!("wifi: joining {}", name);
            if let Err(error) = self.join(name, password).await {
                defmt::warn!("wifi: {}", error);
                Timer::after(PAUSE).await;
                continue;
            }
            if with_timeout(PAUSE, stack.wait_link_up()).await.is_ok() {
                defmt::info!("wifi: joined");
                stack.wait_link_down().await;
                defmt::warn!("wifi: lost");
            }
        }
    }

    async fn join(&self, name: &str, password: &str) -> Result<(), cyw43::JoinError> {
        let options = if password.is_empty() {
            JoinOptions::new_open()
        } else {
            JoinOptions::new(password.as_bytes())
        };
        self.control.lock().await.join(name, options).await
    }
}

impl core::fmt::Debug for Radio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Radio").finish_non_exhaustive()
    }
}

/// The LED. It stays as it is while the radio joins a network, for that takes all of the radio.
#[derive(Clone, Copy, Debug)]
pub struct Led(pub &'static Radio);

impl Light for Led {
    async fn set(&mut self, on: bool) {
        if let Ok(mut control) = self.0.control.try_lock() {
            control.gpio_set(LED_PIN, on).await;
        }
    }
}
