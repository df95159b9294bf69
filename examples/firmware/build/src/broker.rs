//! The URL of the broker.

/// Where the broker is and how it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broker {
    pub(crate) transport: Transport,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Of a WebSocket; `/mqtt` if the URL has none.
    pub(crate) path: String,
}

/// The scheme of the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    WebSocket,
    SecureWebSocket,
}

impl Transport {
    fn parse(scheme: &str) -> Option<Self> {
        match scheme {
            "mqtt" => Some(Self::Tcp),
            "mqtts" => Some(Self::Tls),
            "ws" => Some(Self::WebSocket),
            "wss" => Some(Self::SecureWebSocket),
            _ => None,
        }
    }

    pub(crate) const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket)
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::WebSocket => 80,
            Self::SecureWebSocket => 443,
        }
    }

    /// The function of the app that connects so.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Tcp => "run_tcp",
            Self::Tls => "run_tls",
            Self::WebSocket => "run_web_socket",
            Self::SecureWebSocket => "run_secure_web_socket",
        }
    }
}

impl Broker {
    /// What a WebSocket asks for: the port only if it is not the usual one.
    pub(crate) fn host_header(&self) -> String {
        if self.port == self.transport.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Reads `scheme://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let transport = Transport::parse(scheme).ok_or_else(|| {
            format!("broker = {url:?}: expected mqtt://, mqtts://, ws:// or wss://")
        })?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/mqtt"),
        };
        if authority.contains('@') {
            return Err("broker: credentials belong into `user_name` and `password`".to_owned());
        }
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, Some(transport.default_port())),
        };
        match port {
            Some(port) if !host.is_empty() && port != 0 => Ok(Self {
                transport,
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            }),
            _ => Err(format!("broker = {url:?}: expected scheme://host[:port]")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(transport: Transport, host: &str, port: u16, path: &str) -> Broker {
        Broker {
            transport,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        }
    }

    #[test]
    fn the_scheme_decides_transport_and_port() {
        let cases = [
            ("mqtt://b", broker(Transport::Tcp, "b", 1883, "/mqtt")),
            (
                "mqtts://b.example",
                broker(Transport::Tls, "b.example", 8883, "/mqtt"),
            ),
            (
                "ws://10.0.0.2:8080",
                broker(Transport::WebSocket, "10.0.0.2", 8080, "/mqtt"),
            ),
            (
                "wss://b/a/b",
                broker(Transport::SecureWebSocket, "b", 443, "/a/b"),
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(Broker::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn the_host_header_names_an_unusual_port() {
        for (url, header) in [
            ("ws://b", "b"),
            ("ws://b:8080", "b:8080"),
            ("wss://b:443/", "b"),
            ("wss://b:80", "b:80"),
        ] {
            assert_eq!(Broker::parse(url).unwrap().host_header(), header, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "b",
            "http://b",
            "mqtt://",
            "mqtt://b:0",
            "mqtt://b:x",
            "mqtt://:1883",
            "mqtt://b:65536",
        ] {
            assert!(Broker::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_in_the_url_are_refused_without_repeating_them() {
        let error = Broker::parse("mqtt://user:secret@b").unwrap_err();
        assert!(error.contains("user_name"));
        assert!(!error.contains("secret"));
    }
}
