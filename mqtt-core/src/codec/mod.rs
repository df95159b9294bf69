//! Bytes to packets and packets to bytes. Knows nothing of sessions or time.
