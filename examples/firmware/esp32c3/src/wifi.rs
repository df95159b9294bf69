//! The radio.

use core::convert::Infallible;

use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, WifiController, WifiError,
    sta::StationConfig,
};

/// After a failure to join: the access point may be starting too.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts the radio as a station of the network. A network without a password is open.
pub(crate) fn start(
    wifi: WIFI<'static>,
    name: &str,
    password: &str,
) -> Result<WifiController<'static>, WifiError> {
    let authentication = if password.is_empty() {
        AuthenticationMethodConfig::Open
    } else {
        AuthenticationMethodConfig::Wpa2Personal(password.try_into()?)
    };
    let station = StationConfig::default()
        .with_ssid(name.try_into()?)
        .with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    WifiController::new(wifi, config)
}

/// Joins the network, and again whenever it is lost.
pub(crate) async fn stay_joined(mut controller: WifiController<'static>) -> Infallible {
    loop {
        defmt::info!("wifi: joining");
        match controller.connect_async().await {
            Ok(_) => {
                defmt::info!("wifi: joined");
                let end = controller.wait_for_disconnect_async().await;
                defmt::warn!("wifi: lost: {}", end);
            }
            Err(error) => defmt::warn!("wifi: {}", error),
        }
        Timer::after(PAUSE).await;
    }
}
