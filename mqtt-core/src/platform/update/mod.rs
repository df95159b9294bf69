//! What updates of firmware have in common on all platforms: where an image is kept, and its checksum.
