//! Fetches an image: from a file, or by HTTP from this machine.
//!
//! Plain HTTP from anywhere else is refused: nothing would protect the image on its way, and the verifier is optional. A
//! product brings an HTTPS client and a signature here.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mqtt_std::UpdateFile;
use mqtt_std::platform::update::{Algorithm, Checksum as _, Digest, Sha256, UpdateStore as _};
use mqtt_std::platform::watson_iot::management::DownloadFailure;
use tokio::fs::File;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;

/// The longest head of an HTTP response.
const MAX_HEAD: u64 = 16 * 1024;

/// Why there is no image.
#[derive(Debug)]
pub(crate) struct Failure {
    /// As the platform is told.
    pub(crate) kind: DownloadFailure,
    /// As the log is told.
    pub(crate) why: String,
}

/// Where an image is.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    File(&'a str),
    Http { authority: &'a str, path: &'a str },
}

/// Fetches the image at `uri` into `store`, and checks it: `verifier` is its SHA-256 in hexadecimal digits, or empty.
/// Returns its length.
pub(crate) async fn fetch(
    uri: String,
    verifier: String,
    mut store: UpdateFile,
) -> Result<u32, Failure> {
    let wanted = expected(&verifier)?;
    let place = place(&uri).ok_or_else(|| {
        let why = format!("{uri:?} is neither file:///path nor http://127.0.0.1:port/path");
        failure(DownloadFailure::InvalidUri, why)
    })?;
    let (len, found) = match place {
        Place::File(path) => {
            let file = File::open(path).await.map_err(|error| {
                failure(DownloadFailure::InvalidUri, format!("{path}: {error}"))
            })?;
            copy(BufReader::new(file), None, &mut store).await?
        }
        Place::Http { authority, path } => {
            let (body, len) = get(authority, path).await?;
            copy(body, len, &mut store).await?
        }
    };
    if wanted.is_some_and(|wanted| wanted != found) {
        let why = "the image has another SHA-256".to_owned();
        return Err(failure(DownloadFailure::VerificationFailed, why));
    }
    Ok(len)
}

fn failure(kind: DownloadFailure, why: String) -> Failure {
    Failure { kind, why }
}

fn lost(error: &io::Error) -> Failure {
    failure(DownloadFailure::ConnectionLost, error.to_string())
}

fn expected(verifier: &str) -> Result<Option<Digest>, Failure> {
    if verifier.is_empty() {
        return Ok(None);
    }
    Digest::from_hexadecimal(verifier.as_bytes())
        .filter(|digest| digest.as_bytes().len() == Algorithm::Sha256.digest_len())
        .map(Some)
        .ok_or_else(|| {
            let why = "the verifier is no SHA-256 in hexadecimal digits".to_owned();
            failure(DownloadFailure::VerificationFailed, why)
        })
}

fn place(uri: &str) -> Option<Place<'_>> {
    if let Some(path) = uri.strip_prefix("file://") {
        return path.starts_with('/').then_some(Place::File(path));
    }
    let rest = uri.strip_prefix("http://")?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let path = if path.is_empty() { "/" } else { path };
    // What is written into the request must not be able to end its first line.
    let is_clean = !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    (is_clean && address(authority).is_some()).then_some(Place::Http { authority, path })
}

/// The address in `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`, with or without a port; `None` for other machines.
fn address(authority: &str) -> Option<SocketAddr> {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback().then_some(address);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let host = if host == "localhost" {
        "127.0.0.1"
    } else {
        host
    };
    let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    ip.is_loopback().then(|| SocketAddr::new(ip, port))
}

/// Asks in HTTP/1.0, so that the body comes as it is and ends with its length or the connection.
async fn get(authority: &str, path: &str) -> Result<(BufReader<TcpStream>, Option<u64>), Failure> {
    let address = address(authority)
        .ok_or_else(|| failure(DownloadFailure::InvalidUri, "not this machine".to_owned()))?;
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| lost(&error))?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| lost(&error))?;
    let mut stream = BufReader::new(stream);
    let head = head(&mut stream).await.map_err(|error| lost(&error))?;
    let (status, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    if status.split(' ').nth(1) != Some("200") {
        let why = format!("the HTTP server answers {:?}", status.trim());
        return Err(failure(DownloadFailure::InvalidUri, why));
    }
    let len = fields.lines().find_map(|field| {
        let (name, value) = field.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok((stream, len))
}

/// Reads up to the empty line.
async fn head(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut stream = stream.take(MAX_HEAD);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Err(io::Error::other("the HTTP response has no end of its head"));
        }
    }
    Ok(head)
}

async fn copy(
    mut from: impl AsyncBufRead + Unpin,
    len: Option<u64>,
    store: &mut UpdateFile,
) -> Result<(u32, Digest), Failure> {
    let cannot_write = |error: io::Error| failure(DownloadFailure::OutOfMemory, error.to_string());
    let too_large = || {
        failure(
            DownloadFailure::OutOfMemory,
            "the image is too large".to_owned(),
        )
    };
    let mut checksum = Sha256::begin(Algorithm::Sha256).ok_or_else(too_large)?;
    let mut at = 0_u32;
    loop {
        let piece = from.fill_buf().await.map_err(|error| lost(&error))?;
        if piece.is_empty() {
            break;
        }
        let piece_len = u32::try_from(piece.len()).map_err(|_| too_large())?;
        let end = at.checked_add(piece_len).ok_or_else(too_large)?;
        if end > store.capacity() {
            return Err(too_large());
        }
        checksum.update(piece);
        store.write(at, piece).await.map_err(cannot_write)?;
        from.consume(piece_len as usize);
        at = end;
    }
    if len.is_some_and(|len| len != u64::from(at)) {
        let why = "the image is shorter or longer than announced".to_owned();
        return Err(failure(DownloadFailure::ConnectionLost, why));
    }
    if at == 0 {
        return Err(failure(
            DownloadFailure::InvalidUri,
            "the image is empty".to_owned(),
        ));
    }
    store.flush().await.map_err(cannot_write)?;
    Ok((at, checksum.finish()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const TEXT: &[u8] = b"firmware";
    const SHA256: &str = "9e8a7d8d3be0e8d4a1c4f0a8e2b6b2f6c0a4b6c6d6e6f60718293a4b5c6d7e8f";

    async fn fetched(uri: &str, verifier: &str) -> Result<Vec<u8>, DownloadFailure> {
        let folder = tempfile::tempdir().unwrap();
        let store = UpdateFile::open(folder.path().join("image"), 1_000).unwrap();
        match fetch(uri.to_owned(), verifier.to_owned(), store).await {
            Ok(_) => Ok(std::fs::read(folder.path().join("image.part")).unwrap()),
            Err(failure) => Err(failure.kind),
        }
    }

    /// Answers one request.
    async fn server(response: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/image.bin", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let request = head(&mut stream).await.unwrap();
            assert!(
                request.starts_with("GET /image.bin HTTP/1.0\r\n"),
                "{request}"
            );
            stream.write_all(response.as_bytes()).await.unwrap();
        });
        uri
    }

    #[tokio::test]
    async fn image_comes_from_a_file_or_from_this_machine() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), TEXT).unwrap();
        let uri = format!("file://{}", file.path().display());
        assert_eq!(fetched(&uri, "").await.unwrap(), TEXT);
        let uri = server("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nfirmware").await;
        assert_eq!(fetched(&uri, "").await.unwrap(), TEXT);
    }

    #[tokio::test]
    async fn what_is_cut_short_or_missing_is_no_image() {
        let short = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirmware").await;
        assert_eq!(
            fetched(&short, "").await,
            Err(DownloadFailure::ConnectionLost)
        );
        let missing = server("HTTP/1.1 404 Not Found\r\n\r\n").await;
        assert_eq!(
            fetched(&missing, "").await,
            Err(DownloadFailure::InvalidUri)
        );
        let refused = fetched("http://127.0.0.1:1/", "").await;
        assert_eq!(refused, Err(DownloadFailure::ConnectionLost));
        let no_file = fetched("file:///no/such/file", "").await;
        assert_eq!(no_file, Err(DownloadFailure::InvalidUri));
    }

    #[tokio::test]
    async fn image_is_checked_if_there_is_a_verifier() {
        let uri = server("HTTP/1.0 200 OK\r\n\r\nfirmware").await;
        let wrong = fetched(&uri, SHA256).await;
        assert_eq!(wrong, Err(DownloadFailure::VerificationFailed));
        let unknown = fetched("file:///bin/true", "abc").await;
        assert_eq!(unknown, Err(DownloadFailure::VerificationFailed));
        let mut checksum = Sha256::begin(Algorithm::Sha256).unwrap();
        checksum.update(TEXT);
        let digits: Vec<_> = checksum
            .finish()
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let uri = server("HTTP/1.0 200 OK\r\n\r\nfirmware").await;
        assert_eq!(fetched(&uri, &digits.concat()).await.unwrap(), TEXT);
    }

    #[test]
    fn other_machines_and_schemes_are_refused() {
        assert!(place("http://localhost:8000/a").is_some());
        assert!(place("http://[::1]:8000/a").is_some());
        assert!(place("http://127.0.0.1/a").is_some());
        for uri in [
            "http://10.0.0.1/a",
            "http://example.com/a",
            "https://127.0.0.1/a",
            "http://user@127.0.0.1/a",
            "http://127.0.0.1/a b",
            "file://relative",
            "",
        ] {
            assert_eq!(place(uri), None, "{uri}");
        }
    }
}
