//! The device on embassy-net: one function for each way to the server, with the same arguments.
//!
//! Each has its memory in statics of its own, so a firmware pays for the one that it calls. Call it once.

use core::fmt;

use embassy_net::Stack;
use firmware_app::{
    Sensor,
    network::{Broker, tcp, tls},
};
use mqtt_core::{
    client::Connect,
    platform::{
        thingsboard::{
            CredentialsError,
            update::{UpdateOptions, chunk_len_for},
        },
        update::UpdateStore,
    },
};
use mqtt_embassy::{PublishError, Storage, rand_core::CryptoRngCore};
use static_cell::ConstStaticCell;

use crate::{Settings, Trial};

/// What the board brings.
pub struct Board<S, R, U, T> {
    /// The network, configured or soon to be.
    pub stack: Stack<'static>,
    /// What is reported.
    pub sensor: S,
    /// A generator fit for keys.
    pub random: R,
    /// Where new firmware goes.
    pub store: U,
    /// What the boot loader knows of this firmware.
    pub trial: T,
}

impl<S, R, U, T> fmt::Debug for Board<S, R, U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

/// The settings cannot work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// The access token is empty or reserved.
    Token(CredentialsError),
    /// It does not fit into the memory.
    Options(PublishError),
}

/// Bytes of a received message, at most: a chunk of 4,096 bytes, which is one block of most flash chips.
const RECEIVE: usize = 4_096 + 72;
/// Bytes of telemetry that waits for the server.
const TRANSMIT: usize = 2_048;

/// Runs the device over TCP, unencrypted, until it is to restart. The length of chunks in `settings` is set to what fits.
///
/// # Errors
///
/// The settings cannot work.
pub async fn run_tcp<S: Sensor, R, U: UpdateStore, T: Trial>(
    board: Board<S, R, U, T>,
    broker: &Broker<'static>,
    token: &str,
    settings: &Settings<'_>,
) -> Result<(), SetupError> {
    let mut connector = tcp(board.stack, broker);
    run(&mut connector, token, settings, board).await
}

/// Runs the device over TLS 1.3 until it is to restart. The server is verified. Otherwise as [`run_tcp`].
///
/// # Errors
///
/// As [`run_tcp`].
pub async fn run_tls<S: Sensor, R: CryptoRngCore, U: UpdateStore, T: Trial>(
    board: Board<S, R, U, T>,
    broker: &Broker<'static>,
    token: &str,
    settings: &Settings<'_>,
) -> Result<(), SetupError> {
    let Board {
        stack,
        sensor,
        random,
        store,
        trial,
    } = board;
    let mut connector = tls(stack, broker, random);
    let board = Board {
        stack,
        sensor,
        random: (),
        store,
        trial,
    };
    run(&mut connector, token, settings, board).await
}

async fn run<C: Connect, S: Sensor, R, U: UpdateStore, T: Trial>(
    connector: &mut C,
    token: &str,
    settings: &Settings<'_>,
    board: Board<S, R, U, T>,
) -> Result<(), SetupError> {
    static STORAGE: ConstStaticCell<Storage<RECEIVE, TRANSMIT>> =
        ConstStaticCell::new(Storage::new());
    let options = crate::options(token)?;
    let handles = mqtt_embassy::new(STORAGE.take(), &options)?;
    let settings = Settings {
        update: UpdateOptions {
            chunk_len: chunk_len_for(RECEIVE),
            ..settings.update
        },
        ..*settings
    };
    let Board {
        sensor,
        store,
        trial,
        ..
    } = board;
    crate::run(
        handles, connector, &options, &settings, sensor, store, trial,
    )
    .await;
    Ok(())
}

impl From<CredentialsError> for SetupError {
    fn from(error: CredentialsError) -> Self {
        Self::Token(error)
    }
}

impl From<PublishError> for SetupError {
    fn from(error: PublishError) -> Self {
        Self::Options(error)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Options(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetupError {}
