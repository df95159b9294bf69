//! The state of the link as a pattern of light.

use core::convert::Infallible;

use embassy_futures::select::{Either3, select3};
use mqtt_core::client::{Client, ConnectError, Kind, LinkEnd, LinkState};

use crate::{Identify, Light, sleep};

/// Milliseconds of light, of dark, of light and so on, over and over.
type Pattern = &'static [u32];

const CONNECTING: Pattern = &[100, 100];
const CONNECTED: Pattern = &[1_900, 100];
const WAITING: Pattern = &[500, 500];
const REFUSED: Pattern = &[100, 200, 100, 200, 100, 1_300];

/// A device that shows itself flickers so often, for this long each time.
const FLICKERS: u32 = 30;
const FLICKER_MS: u32 = 50;

/// Shows the state of the link for ever.
pub(crate) async fn show<K: Kind, L: Light>(
    client: &Client<K>,
    mut light: L,
    identify: &Identify,
) -> Infallible {
    let mut state = client.state();
    let mut step = 0;
    loop {
        let Some(&length_ms) = pattern(state).get(step) else {
            step = 0;
            continue;
        };
        light.set(step % 2 == 0).await;
        let change = client.state_change(state);
        match select3(sleep::<K>(length_ms), change, identify.wait()).await {
            Either3::First(()) => step += 1,
            Either3::Second(next) => {
                state = next;
                step = 0;
            }
            Either3::Third(()) => {
                flicker::<K, L>(&mut light).await;
                step = 0;
            }
        }
    }
}

async fn flicker<K: Kind, L: Light>(light: &mut L) {
    for _ in 0..FLICKERS {
        light.set(false).await;
        sleep::<K>(FLICKER_MS).await;
        light.set(true).await;
        sleep::<K>(FLICKER_MS).await;
    }
}

const fn pattern(state: LinkState) -> Pattern {
    match state {
        LinkState::Connected { .. } => CONNECTED,
        LinkState::Stopped(_)
        | LinkState::Waiting {
            end: LinkEnd::Connect(ConnectError::Certificate),
            ..
        } => REFUSED,
        LinkState::Waiting { .. } => WAITING,
        _ => CONNECTING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_certificate_looks_like_a_refusal_and_a_closed_port_does_not() {
        let waiting = |error| LinkState::Waiting {
            retry_in_ms: 1,
            end: LinkEnd::Connect(error),
        };
        assert_eq!(pattern(waiting(ConnectError::Certificate)), REFUSED);
        assert_eq!(pattern(waiting(ConnectError::Refused)), WAITING);
    }

    #[test]
    fn every_pattern_ends_in_the_dark() {
        for pattern in [CONNECTING, CONNECTED, WAITING, REFUSED] {
            assert_eq!(pattern.len() % 2, 0);
        }
    }
}
