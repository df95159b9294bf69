//! Nothing that is printed holds a secret: each credential of each type is a word that nothing else contains, and all that
//! `Debug`, `Display` and `defmt` make of it is searched for that word.

use std::fmt::{Debug, Display};

use mqtt_core::{
    Message, ReceiveBuffer, Version,
    codec::{Connect, Packet, Properties, TopicName, Will, Writer},
    platform::{losant, place_os, thingsboard, watson_iot},
    session::{Options, Session, Slot},
};

/// A part of every secret here.
const SECRET: &str = "sesame";

const TOPIC: TopicName<'static> = match TopicName::new("will/topic") {
    Ok(topic) => topic,
    Err(_) => panic!("not a topic"),
};

const WILL: Will<'static> = Will::new(TOPIC, b"sesame will");

/// The forms in which bytes are printed.
fn forms() -> [String; 4] {
    let list =
        |number: fn(&u8) -> String| -> Vec<_> { SECRET.as_bytes().iter().map(number).collect() };
    [
        SECRET.to_owned(),
        list(|byte| format!("{byte}")).join(", "),
        list(|byte| format!("{byte}")).join(",\n    "),
        list(|byte| format!("{byte:02x}")).join(""),
    ]
}

#[track_caller]
fn hides(text: &str) {
    assert!(!text.is_empty());
    // Lists of `{:#?}` are indented.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for form in forms() {
        assert!(!text.contains(&form), "{form:?} in {text}");
    }
}

#[track_caller]
fn debug_hides(value: &impl Debug) {
    hides(&format!("{value:?}"));
    hides(&format!("{value:#?}"));
}

#[track_caller]
fn error_hides(error: &(impl Debug + Display)) {
    debug_hides(error);
    hides(&format!("{error}"));
}

fn options() -> Options<'static> {
    let mut options = Options::new("device").credentials("sesame user", b"sesame password");
    options.will = Some(WILL);
    options
}

fn connect() -> Connect<'static> {
    Connect {
        user_name: Some("sesame user"),
        password: Some(b"sesame password"),
        will: Some(WILL),
        ..Connect::new("device")
    }
}

#[test]
fn a_search_that_finds_nothing_would_find_it() {
    let found = |text: String| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        forms().iter().any(|form| text.contains(form))
    };
    assert!(found(format!("{:?}", "my sesame")));
    assert!(found(format!("{:?}", b"my sesame")));
    assert!(found(format!("{:#?}", b"my sesame")));
}

#[test]
fn options_and_the_packets_they_make() {
    debug_hides(&options());
    debug_hides(&connect());
    debug_hides(&WILL);
    debug_hides(&Packet::Connect(connect()));
}

#[test]
fn what_holds_packets_in_its_memory() {
    let session = Session::new([0; 512], [Slot::FREE; 8], &options()).unwrap();
    debug_hides(&session);

    let mut bytes = [0; 256];
    let len = connect().encode(Version::V3_1_1, &mut bytes).unwrap();
    let mut received = ReceiveBuffer::new([0; 256]);
    received.space()[..len].copy_from_slice(&bytes[..len]);
    received.filled(len);
    debug_hides(&received);

    debug_hides(&Writer::new(&mut bytes));
    debug_hides(&mqtt_core::codec::Reader::new(&bytes));
}

#[test]
fn errors_of_what_cannot_be_sent() {
    let password_only = Options {
        user_name: None,
        ..options()
    };
    error_hides(&Session::new([0; 512], [Slot::FREE; 8], &password_only).unwrap_err());
    error_hides(&Session::new([0; 16], [Slot::FREE; 8], &options()).unwrap_err());
    let nul = Options::new("device").credentials("sesame\0", b"sesame");
    error_hides(&Session::new([0; 512], [Slot::FREE; 8], &nul).unwrap_err());
}

#[test]
fn helpers_of_losant() {
    let device = losant::Device::new("0123456789abcdef01234567").unwrap();
    debug_hides(&device);
    debug_hides(&device.options("sesame key", "sesame secret"));
}

#[test]
fn helpers_of_thingsboard() {
    use thingsboard::{Claim, Credentials, Device, provisioning};

    for credentials in [
        Credentials::access_token("sesame token"),
        Credentials::basic(Some("id"), Some("sesame user"), Some("sesame password")),
    ] {
        let credentials = credentials.unwrap();
        debug_hides(&credentials);
        debug_hides(&Device::new().options(&credentials));
    }
    error_hides(&Credentials::basic(Some("id"), None, Some(SECRET)).unwrap_err());

    let claim = Claim {
        secret_key: Some("sesame secret"),
        duration_ms: Some(60_000),
    };
    debug_hides(&claim);
    debug_hides(&Device::new().claim(claim));

    for wanted in [
        provisioning::Wanted::Server,
        provisioning::Wanted::AccessToken("sesame token"),
        provisioning::Wanted::Basic {
            client_id: None,
            user_name: Some("sesame user"),
            password: Some("sesame password"),
        },
        provisioning::Wanted::X509 {
            certificate: "sesame certificate",
        },
    ] {
        debug_hides(&wanted);
        let request = provisioning::Provisioning::new("sesame key", "sesame secret", wanted);
        let request = request.unwrap();
        debug_hides(&request);
        debug_hides(&request.request());
    }
    let nothing = provisioning::Wanted::AccessToken("");
    let refused = provisioning::Provisioning::new("sesame key", "sesame secret", nothing);
    error_hides(&refused.unwrap_err());
}

#[test]
fn answers_to_provisioning() {
    use thingsboard::provisioning::response;

    let answer =
        |payload: &'static str| response(Message::new("/provision/response", payload.as_bytes()));
    for payload in [
        r#"{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"sesame"}"#,
        r#"{"status":"SUCCESS","credentialsType":"X509_CERTIFICATE","credentialsValue":"sesame"}"#,
        r#"{"status":"SUCCESS","credentialsType":"MQTT_BASIC","credentialsValue":{"userName":"sesame","password":"sesame"}}"#,
    ] {
        debug_hides(&answer(payload).unwrap());
    }
    for payload in [
        r#"{"status":"SUCCESS","credentialsType":"sesame","credentialsValue":"sesame"}"#,
        r#"{"status":"SUCCESS","credentialsType":"MQTT_BASIC","credentialsValue":"sesame"}"#,
        r#"{"credentialsValue":"sesame"}"#,
        "sesame",
    ] {
        error_hides(&answer(payload).unwrap_err());
    }
}

#[test]
fn helpers_of_watson_iot() {
    let device = watson_iot::Device::new("org123", "type", "id").unwrap();
    debug_hides(&device);
    debug_hides(&device.options("sesame token"));
    let gateway = watson_iot::Gateway::new("org123", "type", "id").unwrap();
    debug_hides(&gateway.options("sesame token"));
    let application = watson_iot::Application::new("org123", "app").unwrap();
    debug_hides(&application.options("sesame key", "sesame token"));
}

#[test]
fn helpers_of_place_os() {
    for token in ["sesame.key", "eyJhbGciOi.sesame.c2ln"] {
        let token = place_os::Token::new(token).unwrap();
        debug_hides(&token);
        debug_hides(&place_os::options("device", token));
    }
    for token in ["sesame\n", "sesame sesame", ""] {
        if let Err(error) = place_os::Token::new(token) {
            error_hides(&error);
        }
    }
}

#[test]
fn empty_lists_of_properties_hold_nothing() {
    debug_hides(&Properties::NONE);
}

#[cfg(feature = "v5")]
mod v5 {
    use mqtt_core::{
        codec::{Auth, ConnAck, EncodeError, Property, ReasonCode},
        session::{Authentication, Event},
    };

    use super::*;

    const AUTHENTICATION: [Property<'static>; 2] = [
        Property::AuthenticationMethod("method"),
        Property::AuthenticationData(b"sesame data"),
    ];

    struct Method;

    impl Authentication for Method {
        fn method(&self) -> &'static str {
            "method"
        }

        fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
            data.bytes(b"sesame data")
        }

        fn respond(&self, _: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
            data.bytes(b"sesame answer")
        }
    }

    #[test]
    fn steps_of_authentication() {
        for property in AUTHENTICATION {
            debug_hides(&property);
        }
        let properties = Properties::from(&AUTHENTICATION);
        debug_hides(&properties);
        let auth = Auth {
            code: ReasonCode::CONTINUE_AUTHENTICATION,
            properties,
        };
        debug_hides(&Packet::Auth(auth));
        debug_hides(&Connect {
            properties,
            ..connect()
        });
        let connack = ConnAck {
            session_present: false,
            code: ReasonCode::SUCCESS,
            properties,
        };
        debug_hides(&Packet::ConnAck(connack));
        debug_hides(&Event::Connected(connack));
        debug_hides(&Event::Authentication {
            data: b"sesame data",
            finished: false,
        });
        // As it comes over the wire.
        let mut bytes = [0; 64];
        let len = auth.encode(Version::V5, &mut bytes).unwrap();
        let mut received = ReceiveBuffer::new([0; 64]);
        let mut options = Options::new("device");
        options.version = Version::V5;
        received.reset(&options);
        received.space()[..len].copy_from_slice(&bytes[..len]);
        received.filled(len);
        debug_hides(&received.next().unwrap().unwrap());
    }

    #[test]
    fn a_session_with_authentication() {
        let mut options = options();
        options.version = Version::V5;
        options.v5.authentication = Some(&Method);
        options.v5.user_properties = &[("name", "sesame")];
        debug_hides(&options);
        let mut session = Session::unconfigured([0; 512], [Slot::FREE; 8]);
        session.enable_authentication();
        session.configure(&options).unwrap();
        debug_hides(&session);
    }

    /// What is not a secret is still there, each property under its name.
    #[test]
    fn all_else_is_shown() {
        let id = |n: u32| n.try_into().unwrap();
        let short = |n: u16| n.try_into().unwrap();
        let shown = [
            (
                Property::PayloadFormatIndicator(true),
                "PayloadFormatIndicator(true)",
            ),
            (
                Property::MessageExpiryInterval(7),
                "MessageExpiryInterval(7)",
            ),
            (Property::ContentType("a"), "ContentType(\"a\")"),
            (
                Property::CorrelationData(&[1, 2]),
                "CorrelationData([1, 2])",
            ),
            (
                Property::SubscriptionIdentifier(id(7)),
                "SubscriptionIdentifier(7)",
            ),
            (Property::ServerKeepAlive(7), "ServerKeepAlive(7)"),
            (Property::ReceiveMaximum(short(7)), "ReceiveMaximum(7)"),
            (
                Property::UserProperty("a", "b"),
                "UserProperty(\"a\", \"b\")",
            ),
            (
                Property::AuthenticationData(b"sesame"),
                "AuthenticationData(6 bytes)",
            ),
        ];
        for (property, text) in shown {
            assert_eq!(format!("{property:?}"), text);
        }
        assert_eq!(
            format!("{:?}", Property::ResponseTopic(TOPIC)),
            format!("ResponseTopic({TOPIC:?})")
        );
    }
}

/// What `defmt` makes of a value, on its way to the host. Text goes there as it is.
#[cfg(feature = "defmt")]
mod to_the_host {
    use std::sync::Mutex;

    use super::*;

    static SENT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    #[defmt::global_logger]
    struct Memory;

    // SAFETY: `acquire` and `release` have nothing to guard: the bytes are behind a lock, and one test logs.
    unsafe impl defmt::Logger for Memory {
        fn acquire() {}
        unsafe fn flush() {}
        unsafe fn release() {}
        unsafe fn write(bytes: &[u8]) {
            SENT.lock().unwrap().extend(bytes);
        }
    }

    defmt::timestamp!("");

    #[defmt::panic_handler]
    fn panic() -> ! {
        panic!("by defmt")
    }

    fn sent() -> Vec<u8> {
        std::mem::take(&mut SENT.lock().unwrap())
    }

    fn has_secret(bytes: &[u8]) -> bool {
        let secret = SECRET.as_bytes();
        bytes.windows(secret.len()).any(|part| part == secret)
    }

    #[test]
    fn what_goes_to_the_host() {
        defmt::error!("{}", "my sesame");
        assert!(has_secret(&sent()), "it would be found");
        defmt::error!("{} {} {}", connect(), WILL, Packet::Connect(connect()));
        #[cfg(feature = "v5")]
        {
            use mqtt_core::codec::{Auth, Property, ReasonCode};
            let properties = [
                Property::AuthenticationMethod("method"),
                Property::AuthenticationData(b"sesame data"),
                Property::ReasonString("reason"),
            ];
            let properties = Properties::from(&properties);
            let auth = Auth {
                code: ReasonCode::SUCCESS,
                properties,
            };
            defmt::error!("{} {}", properties, Packet::Auth(auth));
        }
        let sent = sent();
        assert!(!has_secret(&sent), "{}", String::from_utf8_lossy(&sent));
        assert!(sent.windows(6).any(|part| part == b"device"));
        #[cfg(feature = "v5")]
        assert!(sent.windows(6).any(|part| part == b"reason"));
    }
}
