//! Updates of firmware and software.
//!
//! The server offers a package by shared attributes; the device asks for the image chunk by chunk, checks it, installs it,
//! and reports each step. [`Updater`] does all that with an [`UpdateStore`]: over lost links, restarts,
//! and whatever else goes wrong. On a client with an inbox it needs two lines:
//!
//! ```
//! # #[cfg(feature = "client")]
//! # mod application {
//! use mqtt_core::{client::{Client, Inbox, Kind, Stopped}, platform::update::{AnyChecksum, UpdateStore}};
//! use mqtt_core::platform::thingsboard::{Device, update::{Package, UpdateOptions, UpdatePhase, Updater, chunk_len_for}};
//!
//! const DEVICE: Device = Device::new(); // whose options subscribe to `DEVICE.attribute_updates()`
//!
//! async fn application<K: Kind>(client: Client<K>, mut inbox: Inbox<K>, store: impl UpdateStore) -> Result<(), Stopped> {
//!     let mut options = UpdateOptions::new(Package::Firmware, "thermostat", env!("CARGO_PKG_VERSION"));
//!     options.chunk_len = chunk_len_for(1_024); // the length of the receive buffer
//!     let mut updater = Updater::<_, AnyChecksum>::open(DEVICE, options, store).await;
//!     while updater.update().phase() != UpdatePhase::Installed {
//!         let wake = updater.advance(&client).await;
//!         if let Some(mut message) = next_or_at(&mut inbox, wake).await? {
//!             if !updater.receive_from(&mut message).await { /* the application's own messages */ }
//!         }
//!         if let Some((received, size)) = updater.update().progress() { /* show it */ }
//!     }
//!     client.disconnect().await; // sends the last report
//!     Ok(()) // and restart
//! }
//! # use mqtt_core::{Instant, client::Received};
//! # /// A `select` of the message and the time, from the executor's crate.
//! # async fn next_or_at<K: Kind>(inbox: &mut Inbox<K>, _: Instant) -> Result<Option<Received<'_, K>>, Stopped> {
//! #     inbox.next().await.map(Some)
//! # }
//! # }
//! ```
//!
//! On another client: [`Updater::advance_with`], [`Updater::receive`], and [`Update::connected`] and
//! [`Update::link_lost`] when they happen. Without a store of that kind, or without `async`: [`Update`] itself.
//!
//! # What it does
//!
//! | when | then |
//! | --- | --- |
//! | a link is in use | title and version are reported once; what is assigned is asked for, since offers may have been missed, and compared |
//! | the package is another than the installed one | `DOWNLOADING`; chunks are asked for, one at a time |
//! | a chunk is missing, too short, empty or late | it is asked for again, up to [`attempts`](UpdateOptions::attempts) times; then `FAILED` until the next link |
//! | a chunk comes twice, or another one | it is dropped: index, number and length must be right |
//! | the link is lost | it goes on at the very byte, once the package was found to be the same |
//! | the device restarts | it goes on where the record is, at the last full block of the store |
//! | all is there | `DOWNLOADED`; the image is read back from the store and its checksum compared: `VERIFIED`, or `FAILED` |
//! | it is verified | `UPDATING`, and [`activate`](crate::platform::update::UpdateStore::activate): at once, or when [`Update::install`] is called |
//! | the new firmware starts | `UPDATED` |
//! | the old firmware starts again | `FAILED`; it is not tried again |
//! | the package is withdrawn | it is forgotten |
//! | the package is assigned again after `FAILED` | it begins anew |
//!
//! The image that is activated is never another than the one that was offered: the last thing done before is to check
//! what is in the store. The checksum guards against accidents only; an image from an untrusted server needs a signature,
//! which the boot loader checks.
//!
//! # Limits and costs
//!
//! - A chunk takes a round trip. It must fit into the receive buffer, see [`chunk_len_for`], or
//!   [`Oversize::Stream`](crate::session::Oversize::Stream) brings it in pieces. The image is never asked for as a whole: the
//!   server does not always answer that.
//! - [`AnyChecksum`] contains all seven algorithms; if the operators use one, name it and save the flash:
//!   `Updater::<_, Sha256>::open(..)`.
//! - Packages at a URL are not fetched: [`UpdatePhase::Elsewhere`], [`Offer::read`] and
//!   [`package_report`](crate::platform::thingsboard::Device::package_report) leave that to the application.
//! - Firmware and software are two updates, with a store each.
//!
//! [`UpdateStore`]: crate::platform::update::UpdateStore
//! [`AnyChecksum`]: crate::platform::update::AnyChecksum

mod machine;
mod message;
mod options;
mod package;
mod record;
mod updater;

pub use machine::Update;
pub use message::UpdateMessage;
pub use options::{Action, Chunk, UpdateError, UpdateOptions, UpdatePhase, chunk_len_for};
pub use package::{
    ChunkName, ChunkRefusal, Image, Offer, Package, PackageReport, PackageState, Source,
};
pub use record::RecordBytes;
pub use updater::Updater;
