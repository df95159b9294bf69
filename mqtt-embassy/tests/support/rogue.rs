//! A TLS 1.3 server of a few lines (RFC 8446), which sends whatever a test wants it to. `TLS_AES_128_GCM_SHA256` and
//! P-256 only.

use std::io::{Read, Write};

use aes_gcm::{
    Aes128Gcm, KeyInit,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::{PublicKey, ecdh::EphemeralSecret, elliptic_curve::sec1::ToEncodedPoint};
use sha2::{Digest, Sha256};

use super::pipe::Server;

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

pub const SERVER_HELLO: u8 = 2;
pub const ENCRYPTED_EXTENSIONS: u8 = 8;
pub const CERTIFICATE_VERIFY: u8 = 15;
pub const FINISHED: u8 = 20;

const KEY_SHARE: u16 = 51;
const SUPPORTED_VERSIONS: u16 = 43;
const PRE_SHARED_KEY: u16 = 41;
const SECP256R1: u16 = 23;

pub struct Rogue {
    pipe: Server,
    transcript: Vec<u8>,
    /// The secret of the handshake, as the base of what follows.
    handshake: [u8; 32],
    ours: Keys,
    theirs: Keys,
}

/// One direction.
struct Keys {
    secret: [u8; 32],
    cipher: Aes128Gcm,
    iv: [u8; 12],
    count: u64,
}

impl Rogue {
    /// Receives `ClientHello`, and answers `ServerHello`. With a key that both share, or without.
    pub fn accept(mut pipe: Server, shared_key: Option<&[u8]>) -> Self {
        let (_, hello) = record(&mut pipe);
        let theirs = share_of(&hello);
        let secret = EphemeralSecret::random(&mut super::random());
        let ours = secret.public_key().to_encoded_point(false);
        let mut transcript = hello;
        let answer = message(
            SERVER_HELLO,
            &server_hello(ours.as_bytes(), shared_key.is_some()),
        );
        transcript.extend(&answer);
        send(&mut pipe, HANDSHAKE, &answer);

        let early = Hkdf::<Sha256>::extract(Some(&[0; 32]), shared_key.unwrap_or(&[0; 32])).0;
        let derived = derive(&early, "derived", &Sha256::digest([]));
        let shared = secret.diffie_hellman(&theirs);
        let handshake = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes()).0;
        let hash = Sha256::digest(&transcript);
        Self {
            pipe,
            handshake: handshake.into(),
            ours: Keys::new(derive(&handshake, "s hs traffic", &hash)),
            theirs: Keys::new(derive(&handshake, "c hs traffic", &hash)),
            transcript,
        }
    }

    /// Sends a message of the handshake, encrypted.
    pub fn handshake(&mut self, kind: u8, body: &[u8]) {
        let message = message(kind, body);
        self.transcript.extend(&message);
        self.encrypted(HANDSHAKE, &message);
    }

    /// Sends `Finished`.
    pub fn finish(&mut self) {
        let key = expand(&self.ours.secret, "finished", &[], 32);
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
        mac.update(&Sha256::digest(&self.transcript));
        self.handshake(FINISHED, &mac.finalize().into_bytes());
    }

    /// Receives the client's `Finished`; from then on data is encrypted with the keys for data.
    pub fn begin_data(&mut self) {
        let hash = Sha256::digest(&self.transcript);
        self.receive();
        let derived = derive(&self.handshake, "derived", &Sha256::digest([]));
        let master = Hkdf::<Sha256>::extract(Some(&derived), &[0; 32]).0;
        self.ours = Keys::new(derive(&master, "s ap traffic", &hash));
        self.theirs = Keys::new(derive(&master, "c ap traffic", &hash));
    }

    /// Sends data, encrypted.
    pub fn data(&mut self, bytes: &[u8]) {
        self.encrypted(APPLICATION_DATA, bytes);
    }

    /// The next encrypted record, without its type.
    pub fn receive(&mut self) -> Vec<u8> {
        let (kind, content) = record(&mut self.pipe);
        if kind != APPLICATION_DATA {
            return self.receive();
        }
        let mut content = self.theirs.open(&content);
        content.pop();
        content
    }

    /// Sends an encrypted record that has not even a type.
    pub fn nothing(&mut self) {
        let content = self.ours.seal(&[]);
        send(&mut self.pipe, APPLICATION_DATA, &content);
    }

    /// Sends a record in the clear.
    pub fn clear(&mut self, kind: u8, content: &[u8]) {
        send(&mut self.pipe, kind, content);
    }

    /// Waits until the client is gone.
    pub fn wait(mut self) {
        while let Ok(1..) = self.pipe.read(&mut [0; 100]) {}
    }

    fn encrypted(&mut self, kind: u8, content: &[u8]) {
        let content = self.ours.seal(&[content, &[kind]].concat());
        send(&mut self.pipe, APPLICATION_DATA, &content);
    }
}

impl Keys {
    fn new(secret: [u8; 32]) -> Self {
        let key = expand(&secret, "key", &[], 16);
        let iv = expand(&secret, "iv", &[], 12);
        Self {
            secret,
            cipher: Aes128Gcm::new_from_slice(&key).unwrap(),
            iv: iv.try_into().unwrap(),
            count: 0,
        }
    }

    fn seal(&mut self, content: &[u8]) -> Vec<u8> {
        let header = header(APPLICATION_DATA, content.len() + 16);
        let nonce = self.nonce();
        let payload = Payload {
            msg: content,
            aad: &header,
        };
        self.cipher.encrypt(&nonce.into(), payload).unwrap()
    }

    fn open(&mut self, content: &[u8]) -> Vec<u8> {
        let header = header(APPLICATION_DATA, content.len());
        let nonce = self.nonce();
        let payload = Payload {
            msg: content,
            aad: &header,
        };
        self.cipher.decrypt(&nonce.into(), payload).unwrap()
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.count.to_be_bytes()) {
            *byte ^= count;
        }
        self.count += 1;
        nonce
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1).
fn expand(secret: &[u8], label: &str, context: &[u8], len: usize) -> Vec<u8> {
    let mut info = u16::try_from(len).unwrap().to_be_bytes().to_vec();
    info.push(u8::try_from(label.len() + 6).unwrap());
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.push(u8::try_from(context.len()).unwrap());
    info.extend(context);
    let mut key = vec![0; len];
    let hkdf = Hkdf::<Sha256>::from_prk(secret).unwrap();
    hkdf.expand(&info, &mut key).unwrap();
    key
}

fn derive(secret: &[u8], label: &str, hash: &[u8]) -> [u8; 32] {
    expand(secret, label, hash, 32).try_into().unwrap()
}

fn server_hello(share: &[u8], has_shared_key: bool) -> Vec<u8> {
    let mut key_share = SECP256R1.to_be_bytes().to_vec();
    key_share.extend(u16::try_from(share.len()).unwrap().to_be_bytes());
    key_share.extend(share);
    let mut extensions = extension(SUPPORTED_VERSIONS, &[3, 4]);
    extensions.extend(extension(KEY_SHARE, &key_share));
    if has_shared_key {
        extensions.extend(extension(PRE_SHARED_KEY, &[0, 0]));
    }
    // Version, random, no session identifier, cipher suite, no compression.
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0x13, 0x01, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    hello
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut extension = kind.to_be_bytes().to_vec();
    extension.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    extension.extend(content);
    extension
}

/// The public key in a `ClientHello`: an uncompressed point behind its group and length.
fn share_of(hello: &[u8]) -> PublicKey {
    let before = [0, 23, 0, 65, 4];
    let at = hello.windows(5).position(|part| part == before).unwrap() + 4;
    PublicKey::from_sec1_bytes(&hello[at..at + 65]).unwrap()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    message[0] = kind;
    message.extend(body);
    message
}

fn header(kind: u8, len: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    [kind, 3, 3, high, low]
}

fn send(pipe: &mut Server, kind: u8, content: &[u8]) {
    // The client may be gone already.
    let _ = pipe.write_all(&header(kind, content.len()));
    let _ = pipe.write_all(content);
}

fn record(pipe: &mut Server) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    pipe.read_exact(&mut header).unwrap();
    let mut content = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    pipe.read_exact(&mut content).unwrap();
    (header[0], content)
}
