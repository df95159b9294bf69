//! The access token, which belongs to the board and not to the image: one image can be assigned to many devices.

use embassy_embedded_hal::flash::partition::Error;
use embassy_rp::flash;
use embedded_storage_async::nor_flash::{NorFlash as _, ReadNorFlash as _};
use static_cell::ConstStaticCell;

use crate::boot::Region;

/// Bytes of the longest token that is kept.
const MAX_LEN: usize = 64;

/// The token that the board has kept. A board without one keeps `configured`, that of the first image. To be called once.
pub(crate) async fn of_board(mut board: Region, configured: &'static str) -> &'static str {
    static KEPT: ConstStaticCell<[u8; 1 + MAX_LEN]> = ConstStaticCell::new([0; 1 + MAX_LEN]);
    let kept = KEPT.take();
    if board.read(0, kept).await.is_ok()
        && let [len, bytes @ ..] = kept
        && let Some(token) = bytes.get(..usize::from(*len))
        && let Ok(token) = str::from_utf8(token)
        && !token.is_empty()
    {
        return token;
    }
    if keep(&mut board, configured).await.is_err() {
        defmt::warn!("token: too long, or the flash has failed; not kept");
    }
    configured
}

/// The length comes last: without it there is no token.
async fn keep(board: &mut Region, token: &str) -> Result<(), Error<flash::Error>> {
    let len = u8::try_from(token.len()).ok();
    let len = len.filter(|len| usize::from(*len) <= MAX_LEN);
    let len = len.ok_or(Error::OutOfBounds)?;
    board.erase(0, board.size()).await?;
    board.write(1, token.as_bytes()).await?;
    board.write(0, &[len]).await
}
