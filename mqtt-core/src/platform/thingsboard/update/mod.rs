//! Updates of firmware and software.

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
