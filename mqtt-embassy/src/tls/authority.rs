//! Whether a certificate may sign others (RFC 5280 §4.2.1.3 and §4.2.1.9), which embedded-tls does not ask.

use super::der::{BIT_STRING, BOOLEAN, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE};

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// Bit 5 of the first byte, counted from the left.
const KEY_CERT_SIGN: u8 = 0x04;

const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// Whether `certificate`, in DER, is that of an authority which may stand above `intermediates` further ones, not
/// counting the one at the end of the chain.
pub(super) fn may_sign(certificate: &[u8], intermediates: usize) -> bool {
    permission(certificate).is_some_and(|deepest| intermediates <= deepest)
}

/// How many intermediate certificates may stand below; `None` if it may not sign at all.
fn permission(certificate: &[u8]) -> Option<usize> {
    let mut extensions = extensions(certificate)?;
    let mut deepest = None;
    while !extensions.is_empty() {
        let mut extension = extensions.inside(SEQUENCE)?;
        let name = extension.expect(OBJECT_IDENTIFIER)?;
        extension.optional(BOOLEAN); // critical or not
        let value = Reader::new(extension.expect(OCTET_STRING)?);
        match name {
            BASIC_CONSTRAINTS => deepest = Some(path_length(value)?),
            KEY_USAGE if !signs_certificates(value)? => return None,
            _ => {}
        }
    }
    deepest
}

fn extensions(certificate: &[u8]) -> Option<Reader<'_>> {
    let mut body = Reader::new(certificate)
        .inside(SEQUENCE)?
        .inside(SEQUENCE)?;
    body.optional(VERSION);
    body.expect(INTEGER)?; // serial number
    body.expect(SEQUENCE)?; // algorithm
    body.expect(SEQUENCE)?; // issuer
    body.expect(SEQUENCE)?; // validity
    body.expect(SEQUENCE)?; // subject
    body.expect(SEQUENCE)?; // public key
    body.optional(ISSUER_UNIQUE_ID);
    body.optional(SUBJECT_UNIQUE_ID);
    body.inside(EXTENSIONS)?.inside(SEQUENCE)
}

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`
fn path_length(mut value: Reader<'_>) -> Option<usize> {
    let mut constraints = value.inside(SEQUENCE)?;
    if constraints.optional(BOOLEAN) != Some(&[0xff]) {
        return None;
    }
    match constraints.optional(INTEGER) {
        Some(&[len @ 0..=0x7f]) => Some(usize::from(len)),
        // No limit, or one that no chain reaches.
        None | Some(&[0, ..]) => Some(usize::MAX),
        Some(_) => None,
    }
}

fn signs_certificates(mut value: Reader<'_>) -> Option<bool> {
    match value.expect(BIT_STRING)? {
        [_, bits, ..] => Some(bits & KEY_CERT_SIGN != 0),
        _ => Some(false),
    }
}
