//! The private key of a client certificate.

use p256::ecdsa::SigningKey;

use super::der::{INTEGER, OCTET_STRING, Reader, SEQUENCE};

/// The P-256 key in `der`: in SEC 1 (`EC PRIVATE KEY` in PEM) or PKCS #8 (`PRIVATE KEY`).
pub(super) fn signing_key(der: &[u8]) -> Option<SigningKey> {
    let mut key = Reader::new(der).inside(SEQUENCE)?;
    if key.expect(INTEGER)? == [0] {
        // PKCS #8: the algorithm, then SEC 1 in an OCTET STRING.
        key.expect(SEQUENCE)?;
        key = key.inside(OCTET_STRING)?.inside(SEQUENCE)?;
        key.expect(INTEGER)?;
    }
    SigningKey::from_slice(key.expect(OCTET_STRING)?).ok()
}
