//! What embedded-tls asks for in a handshake.

use embedded_tls::{
    Aes128GcmSha256, Certificate, CryptoProvider, SignatureScheme, TlsError, TlsVerifier,
};
use p256::ecdsa::{DerSignature, SigningKey, signature::SignerMut};
use rand_core::CryptoRngCore;

use super::{Clock, client_key::signing_key, options::Identity, verifier::Verifier};

pub(super) struct Provider<'p, R, C: Clock> {
    pub(super) random: &'p mut R,
    /// Absent if the server need not show a certificate.
    pub(super) verifier: Option<Verifier<'p, C>>,
    pub(super) identity: Option<Identity<'p>>,
    /// The server has asked for a certificate.
    pub(super) was_asked: bool,
}

impl<R: CryptoRngCore, C: Clock> CryptoProvider for Provider<'_, R, C> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        self.verifier.as_mut().ok_or(TlsError::Unimplemented)
    }

    fn signer(&mut self) -> Result<(impl SignerMut<DerSignature>, SignatureScheme), TlsError> {
        let key: Option<SigningKey> = self.identity.and_then(|identity| signing_key(identity.key));
        let key = key.ok_or(TlsError::InvalidPrivateKey)?;
        Ok((key, SignatureScheme::EcdsaSecp256r1Sha256))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.was_asked = true;
        self.identity
            .map(|identity| Certificate::X509(identity.certificate))
    }
}
