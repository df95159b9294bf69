use super::*;

/// Scheme, host, port, path, client identifier, user name, password.
type Row = (
    &'static str,
    &'static str,
    u16,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static [u8]>,
);

#[test]
fn urls_say_where_and_who() {
    let cases: &[(&str, Row)] = &[
        (
            "mqtt://broker",
            ("mqtt", "broker", 1883, "/mqtt", "", None, None),
        ),
        (
            "mqtt://broker/",
            ("mqtt", "broker", 1883, "/mqtt", "", None, None),
        ),
        (
            "mqtts://broker",
            ("mqtts", "broker", 8883, "/mqtt", "", None, None),
        ),
        ("ws://broker", ("ws", "broker", 80, "/mqtt", "", None, None)),
        (
            "wss://broker/",
            ("wss", "broker", 443, "/mqtt", "", None, None),
        ),
        (
            "ws://broker:9001/a/b",
            ("ws", "broker", 9001, "/a/b", "", None, None),
        ),
        (
            "wss://broker/mqtt?token=1",
            ("wss", "broker", 443, "/mqtt?token=1", "", None, None),
        ),
        (
            "mqtts://user:pass@broker.example:1/device-7",
            (
                "mqtts",
                "broker.example",
                1,
                "/mqtt",
                "device-7",
                Some("user"),
                Some(b"pass"),
            ),
        ),
        (
            "mqtt://us%40er:p%3A%2Fs%00%FF@10.0.0.1/a%2Fb/c%20d",
            (
                "mqtt",
                "10.0.0.1",
                1883,
                "/mqtt",
                "a/b/c d",
                Some("us@er"),
                Some(b"p:/s\0\xff"),
            ),
        ),
        (
            "wss://u:p@broker/x",
            ("wss", "broker", 443, "/x", "", Some("u"), Some(b"p")),
        ),
        (
            "mqtt://token:@broker",
            ("mqtt", "broker", 1883, "/mqtt", "", Some("token"), None),
        ),
        (
            "mqtt://[::1]/id",
            ("mqtt", "::1", 1883, "/mqtt", "id", None, None),
        ),
        (
            "ws://[2001:db8::7]:8080",
            ("ws", "2001:db8::7", 8080, "/mqtt", "", None, None),
        ),
    ];
    for (url, expected) in cases {
        let options = Options::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let (transport, session) = (&options.transport, &options.session);
        let row = (
            transport.scheme(),
            transport.host.as_str(),
            transport.port(),
            transport.path(),
            session.client_id.as_str(),
            session.user_name.as_deref(),
            session.password.as_deref(),
        );
        assert_eq!(row, *expected, "{url}");
    }
}

#[test]
fn a_client_identifier_with_dots_is_taken_as_it_is_written() {
    for (path, expected) in [
        ("..", ".."),
        ("%2E", "."),
        ("a/../b", "a/../b"),
        ("./%2e%2E/x", "./../x"),
        ("/a//", "/a//"),
        ("a\tb ", "ab"),
        ("zähler 7", "zähler 7"),
    ] {
        let url = format!(" mqtts://user:word@broker:1/{path}");
        let options = Options::from_url(&url).unwrap();
        assert_eq!(options.session.client_id, expected, "{path}");
    }
}

#[test]
fn urls_that_cannot_be_used_are_refused() {
    let cases = [
        ("", OptionsError::Url("the scheme is missing (mqtt://host)")),
        (
            "broker",
            OptionsError::Url("the scheme is missing (mqtt://host)"),
        ),
        (
            "broker:1883",
            OptionsError::Url("the scheme is missing (mqtt://host)"),
        ),
        (
            "user:secret@broker",
            OptionsError::Url("the scheme is missing (mqtt://host)"),
        ),
        ("http://broker", OptionsError::Scheme("http".to_owned())),
        ("tcp://broker", OptionsError::Scheme("tcp".to_owned())),
        ("mqtt://", OptionsError::Url("the host is missing")),
        ("mqtt://:1883", OptionsError::Url("the host is missing")),
        (
            "mqtt://broker:70000",
            OptionsError::Url("the port is not a number up to 65535"),
        ),
        (
            "mqtt://user:sec/ret@broker",
            OptionsError::Url("the port is not a number up to 65535"),
        ),
        ("mqtt://[::1", OptionsError::Url("not an IP address")),
        (
            "mqtt://broker/id?keepalive=5",
            OptionsError::UrlPart("query (?..)"),
        ),
        (
            "mqtt://broker/id#x",
            OptionsError::UrlPart("fragment (#..)"),
        ),
        ("wss://broker/#x", OptionsError::UrlPart("fragment (#..)")),
        ("mqtt://%FF@broker", OptionsError::NotUtf8("user name")),
        (
            "mqtt://broker/%FF",
            OptionsError::NotUtf8("client identifier"),
        ),
    ];
    for (url, expected) in cases {
        let error = Options::from_url(url).expect_err(url);
        assert_eq!(error, expected, "{url}");
        assert!(!error.to_string().contains("sec"), "{error}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let options = Options::from_url("wss://sesame-user:sesame-word@broker/path?sesame=1")
        .unwrap()
        .header("Authorization", "Bearer sesame")
        .user_property("key", "sesame")
        .will("will/topic", b"sesame", QoS::AtMostOnce, false)
        .client_certificate_pem(*b"sesame chain", *b"sesame key");
    let shown = format!("{options:?} {options:#?}");
    assert!(!shown.contains("sesame"), "{shown}");
    let bytes_of_sesame = format!("{:?}", b"sesame");
    assert!(
        !shown.contains(bytes_of_sesame.trim_matches(['[', ']'])),
        "{shown}"
    );
    for useful in ["broker", "/path", "Authorization", "will/topic"] {
        assert!(shown.contains(useful), "{useful} in {shown}");
    }
}

#[test]
fn a_password_in_the_host_is_not_shown() {
    let error = check(&Options::new("user:sesame@broker")).unwrap_err();
    assert_eq!(error, OptionsError::Host("broker".to_owned()));
}

#[test]
fn options_without_effect_are_refused() {
    let cases = [
        (Options::new("h").ca_file("ca.pem"), OptionsError::NeedsTls),
        (
            Options::new("h").client_certificate("c", "k"),
            OptionsError::NeedsTls,
        ),
        (Options::new("h").server_name("n"), OptionsError::NeedsTls),
        (
            Options::new("h").websocket().alpn(["mqtt"]),
            OptionsError::NeedsTls,
        ),
        (Options::new("h").path("/x"), OptionsError::NeedsWebSocket),
        (
            Options::new("h").header("a", "b"),
            OptionsError::NeedsWebSocket,
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(check(&options), Err(expected));
    }
}

#[test]
fn what_the_broker_would_refuse_is_refused_before() {
    let cases = [
        (Options::new(""), OptionsError::Host(String::new())),
        (
            Options::new("h:1883"),
            OptionsError::Host("h:1883".to_owned()),
        ),
        (
            Options::new("[::1]"),
            OptionsError::Host("[::1]".to_owned()),
        ),
        (
            Options::new("h").rx_buffer(8),
            OptionsError::Buffer("receive"),
        ),
        (
            Options::new("h").wire_buffer(0),
            OptionsError::Buffer("wire"),
        ),
        (
            Options::new("two words"),
            OptionsError::Host("two words".to_owned()),
        ),
        (
            Options::new("h").password(*b"p"),
            OptionsError::PasswordWithoutUserName,
        ),
        (
            Options::new("h").clean_session(false),
            OptionsError::ClientIdNeeded,
        ),
        (
            Options::new("h").client_id("x".repeat(65_536)),
            OptionsError::TooLong("client identifier"),
        ),
        (
            Options::new("h").user_name("x".repeat(65_536)),
            OptionsError::TooLong("user name"),
        ),
        (
            Options::new("h").user_name("u").password(vec![0; 65_536]),
            OptionsError::TooLong("password"),
        ),
        (
            Options::new("h").will("t", vec![0; 65_536], QoS::AtMostOnce, false),
            OptionsError::TooLong("payload of the will"),
        ),
        (
            Options::new("h").will("t/#", b"", QoS::AtMostOnce, false),
            OptionsError::Topic("t/#".to_owned()),
        ),
        (
            Options::new("h").last_will(Will::new("t", b"").response_topic("+")),
            OptionsError::Topic("+".to_owned()),
        ),
        (
            Options::new("h").subscribe("a/#/b", QoS::AtMostOnce),
            OptionsError::Topic("a/#/b".to_owned()),
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(check(&options), Err(expected));
    }
}

#[test]
fn mqtt_5_lifts_two_rules() {
    assert_eq!(
        check(&Options::new("h").version(Version::V5).password(*b"p")),
        Ok(())
    );
    assert_eq!(
        check(&Options::new("h").version(Version::V5).clean_session(false)),
        Ok(())
    );
}

#[test]
fn an_address_is_a_host() {
    for host in [
        "::1",
        "2001:db8::7",
        "10.0.0.1",
        "broker.example",
        "under_score",
    ] {
        assert_eq!(check(&Options::new(host)), Ok(()), "{host}");
    }
}

#[cfg(feature = "websocket")]
#[test]
fn a_path_without_slash_is_refused() {
    assert_eq!(
        check(&Options::new("h").websocket().path("x")),
        Err(OptionsError::Path)
    );
    assert_eq!(
        check(&Options::new("h").websocket().path("/a b")),
        Err(OptionsError::Path)
    );
}

#[test]
fn the_core_reads_what_was_set() {
    let subscription = Subscription::new(
        mqtt_core::codec::TopicFilter::new("a/+").unwrap(),
        QoS::ExactlyOnce,
    );
    let options = Options::from_url("mqtt://u:p@h/id")
        .unwrap()
        .version(Version::V5)
        .clean_session(false)
        .keep_alive_s(7)
        .last_will(
            Will::new("w", *b"gone")
                .qos(QoS::AtLeastOnce)
                .retain(true)
                .delay_s(9)
                .content_type("text/plain"),
        )
        .subscribe("b/#", QoS::AtLeastOnce)
        .subscription(Subscription {
            no_local: true,
            ..subscription
        })
        .connect_timeout(Duration::from_millis(1500))
        .ack_timeout(Duration::MAX)
        .session_expiry_s(3600)
        .user_property("name", "value");
    let parts = Parts::of(&options.session).unwrap();
    let core = parts.options(&options.session).unwrap();

    assert_eq!(
        (
            core.version,
            core.client_id,
            core.clean_session,
            core.keep_alive_s
        ),
        (Version::V5, "id", false, 7)
    );
    assert_eq!(
        (core.user_name, core.password),
        (Some("u"), Some(&b"p"[..]))
    );
    assert_eq!(
        (core.connect_timeout_ms, core.ack_timeout_ms),
        (1500, u32::MAX)
    );
    assert_eq!(
        (core.v5.session_expiry_s, core.v5.user_properties),
        (3600, &[("name", "value")][..])
    );
    let filters: Vec<_> = core
        .subscriptions
        .iter()
        .map(|s| (s.filter.as_str(), s.qos, s.no_local))
        .collect();
    assert_eq!(
        filters,
        [
            ("b/#", QoS::AtLeastOnce, false),
            ("a/+", QoS::ExactlyOnce, true)
        ]
    );
    let will = core.will.unwrap();
    assert_eq!(
        (will.topic.as_str(), will.payload, will.qos, will.retain),
        ("w", &b"gone"[..], QoS::AtLeastOnce, true)
    );
    assert_eq!(will.properties.content_type(), Some("text/plain"));
}

#[test]
fn a_preset_replaces_the_session_and_keeps_the_way() {
    let device = mqtt_core::platform::losant::Device::new("575ecf887ae143cd83dc4aa2").unwrap();
    let subscriptions = [device.command_subscription()];
    let preset = device
        .options("key", "secret")
        .subscriptions(&subscriptions);
    let options = Options::from_url("mqtts://u:p@h:1/id")
        .unwrap()
        .preset(&preset);
    let parts = Parts::of(&options.session).unwrap();
    let core = parts.options(&options.session).unwrap();
    assert_eq!(core.client_id, "575ecf887ae143cd83dc4aa2");
    assert_eq!(
        (core.user_name, core.password),
        (Some("key"), Some(&b"secret"[..]))
    );
    assert_eq!(core.subscriptions, subscriptions);
    assert_eq!(core.reconnect, preset.reconnect);
    assert_eq!(core.receive_maximum, 256);
    assert_eq!(
        (options.transport.scheme(), options.transport.port()),
        ("mqtts", 1)
    );
}

#[test]
fn without_tls_there_is_no_quiet_fallback() {
    let options = Options::from_url("mqtts://localhost").unwrap();
    let outcome = check(&options);
    if !cfg!(feature = "tls") {
        assert_eq!(outcome, Err(OptionsError::WithoutFeature("tls")));
    }
    assert!(options.transport.tls);
}

fn check(options: &Options) -> Result<(), OptionsError> {
    options.connector(Arc::default()).map(drop)
}

#[test]
fn a_transmit_buffer_without_room_for_connect_is_refused() {
    let error = crate::new(Options::new("h").tx_buffer(8)).unwrap_err();
    assert!(matches!(error, OptionsError::Session(_)), "{error:?}");
}
