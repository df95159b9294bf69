//! The verifier of embedded-tls, with its gaps closed.

use core::marker::PhantomData;

use embedded_tls::{
    Aes128GcmSha256, Certificate, CertificateEntryRef, CertificateRef, CertificateVerifyRef,
    Sha256, TlsClock, TlsError, TlsVerifier, pki::CertVerifier,
};

use super::{
    Clock,
    authority::may_sign,
    fault::{CertificateFault, is_in_date, mentions},
};

/// Bytes of all certificates that the server sends, at most.
const CHAIN_MAX: usize = 4096;

/// Verifies the server's certificate against the user's authority.
///
/// embedded-tls 0.19 accepts a chain in which any certificate signs another; a handshake in which the server shows no
/// certificate at all; and it panics when the server proves to own a certificate that it has not shown. So here is
/// checked that those who sign may do so, and noted what was shown, in which order.
pub(super) struct Verifier<'a, C: Clock> {
    inner: CertVerifier<'a, Aes128GcmSha256, ClockOf<C>, CHAIN_MAX>,
    authority: &'a [u8],
    server_name: &'a str,
    state: State,
    /// What would be the reason if the certificates were not accepted.
    fault: CertificateFault,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was shown.
    Nothing,
    /// A certificate that is good.
    Shown,
    /// The server has proved to own it.
    Proven,
    /// Something was wrong.
    Refused,
}

impl<'a, C: Clock> Verifier<'a, C> {
    pub(super) fn new(authority: &'a [u8], server_name: &'a str) -> Self {
        Self {
            inner: CertVerifier::new(Certificate::X509(authority)),
            authority,
            server_name,
            state: State::Nothing,
            fault: CertificateFault::NotProven,
        }
    }

    /// Whether the server is the one it should be. To be asked after the handshake.
    pub(super) fn is_proven(&self) -> bool {
        self.state == State::Proven
    }

    /// Whether the handshake ended because of the certificate.
    pub(super) fn has_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Why the certificates were not accepted, if they were not.
    pub(super) fn fault(&self) -> CertificateFault {
        self.fault
    }

    /// Goes from one state to the next if all is well.
    fn step(&mut self, next: State, result: Result<(), TlsError>) -> Result<(), TlsError> {
        self.state = if result.is_ok() { next } else { State::Refused };
        result
    }

    /// The first certificate is the server's, each other one signs the one before it.
    fn check_signers(&self, chain: &[CertificateEntryRef<'_>]) -> Result<(), TlsError> {
        for (intermediates, signer) in chain.iter().skip(1).enumerate() {
            let CertificateEntryRef::X509(signer) = signer else {
                return Err(TlsError::InvalidCertificate);
            };
            // What the user trusts needs no further permission.
            if *signer != self.authority && !may_sign(signer, intermediates) {
                return Err(TlsError::InvalidCertificate);
            }
        }
        Ok(())
    }

    /// What is the matter with a chain whose signers are all authorities, if something is.
    fn likely_fault(&self, chain: &[CertificateEntryRef<'_>]) -> CertificateFault {
        let now = C::unix_time_s();
        for (depth, entry) in chain.iter().enumerate() {
            let CertificateEntryRef::X509(certificate) = entry else {
                continue;
            };
            if now.is_some_and(|now| !is_in_date(certificate, now)) {
                return CertificateFault::OutOfDate;
            }
            if depth == 0 && !mentions(certificate, self.server_name) {
                return CertificateFault::WrongName;
            }
        }
        CertificateFault::UnknownAuthority
    }
}

impl<C: Clock> TlsVerifier<Aes128GcmSha256> for Verifier<'_, C> {
    fn set_hostname_verification(&mut self, name: &str) -> Result<(), TlsError> {
        self.inner.set_hostname_verification(name)
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        chain: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        if self.state != State::Nothing || chain.entries.is_empty() {
            return self.step(State::Refused, Err(TlsError::InvalidCertificate));
        }
        self.fault = CertificateFault::NotAnAuthority;
        if let Err(error) = self.check_signers(&chain.entries) {
            return self.step(State::Refused, Err(error));
        }
        self.fault = self.likely_fault(&chain.entries);
        let result = self.inner.verify_certificate(transcript, chain);
        if result.is_ok() {
            self.fault = CertificateFault::NotProven;
        }
        self.step(State::Shown, result)
    }

    fn verify_signature(&mut self, proof: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        if self.state != State::Shown {
            return self.step(State::Refused, Err(TlsError::InvalidSignature));
        }
        let result = self.inner.verify_signature(proof);
        self.step(State::Proven, result)
    }
}

/// The clock in the form that embedded-tls wants.
struct ClockOf<C>(PhantomData<C>);

impl<C: Clock> TlsClock for ClockOf<C> {
    fn now() -> Option<u64> {
        C::unix_time_s()
    }
}
