//! Certificate authorities for one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// 2023-12-31, before the dates of [`issue`](Authority::issue).
pub const BEFORE: u64 = 1_703_980_800;
/// 2024-07-01, between the dates of [`issue`](Authority::issue).
pub const DURING: u64 = 1_719_792_000;
/// 2031-01-01, after them.
pub const AFTER: u64 = 1_924_992_000;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Below the one that the user trusts: those above it, the nearest first.
    above: Vec<Vec<u8>>,
}

/// A chain in DER, the owner first, and the key in PKCS #8.
#[derive(Clone)]
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        Self::with(BasicConstraints::Unconstrained)
    }

    pub fn with(constraints: BasicConstraints) -> Self {
        let params = authority_params(constraints);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self {
            issuer,
            above: Vec::new(),
        }
    }

    pub fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// An authority below this one.
    pub fn intermediate(&self, constraints: BasicConstraints) -> Self {
        self.below(authority_params(constraints))
    }

    /// One that is an authority, but whose key is not for signing certificates.
    pub fn intermediate_for(&self, usage: KeyUsagePurpose) -> Self {
        let mut params = authority_params(BasicConstraints::Unconstrained);
        params.key_usages = vec![usage];
        self.below(params)
    }

    /// A device with a certificate from here, which signs as if it were an authority.
    pub fn impostor(&self) -> Self {
        self.below(dated(
            CertificateParams::new(["device.test".to_owned()]).unwrap(),
        ))
    }

    fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        let mut above = vec![issuer.der().to_vec()];
        above.extend(self.above.iter().cloned());
        Self { issuer, above }
    }

    /// A certificate that nobody vouches for.
    pub fn signed_by_itself(name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = dated(CertificateParams::new([name.to_owned()]).unwrap());
        Identity {
            chain: vec![params.self_signed(&key).unwrap().der().to_vec()],
            key: key.serialize_der(),
        }
    }

    /// A certificate that was valid from 2024 to 2030.
    pub fn issue(&self, name: &str) -> Identity {
        let params = dated(CertificateParams::new([name.to_owned()]).unwrap());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![certificate.der().to_vec()];
        chain.extend(self.above.iter().cloned());
        Identity {
            chain,
            key: key.serialize_der(),
        }
    }
}

fn authority_params(constraints: BasicConstraints) -> CertificateParams {
    let mut params = dated(CertificateParams::new(Vec::new()).unwrap());
    let name = "authority for tests";
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(constraints);
    params
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}
