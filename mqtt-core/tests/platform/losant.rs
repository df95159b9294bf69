//! Losant: what is sent and read, against captured packets and the platform's rules.

use crate::support::{Vector, Written, packet_of, vectors, write, write_into};
use mqtt_core::{
    Instant, Message, QoS,
    codec::{ConnAck, EncodeError, Packet},
    platform::{
        Decimal,
        json::JsonError,
        losant::{
            Ago, CustomMessage, Date, DateText, Device, DeviceIdError, HOST, IsoDate, MAX_PAYLOAD,
            Millis, NmeaSentence, Position, RateLimiter, Report, Seconds, Transport, read_command,
        },
    },
    session::SessionError,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

const ID: &str = "575ecf887ae143cd83dc4aa2";
const COMMAND: &str = "losant/575ecf887ae143cd83dc4aa2/command";

const DEVICE: Device<'static> = match Device::new(ID) {
    Ok(device) => device,
    Err(_) => panic!("the id is good"),
};

#[derive(Serialize)]
struct Temperature {
    temperature: u8,
}

#[derive(Serialize)]
struct T {
    t: u8,
}

fn vector(name: &str) -> Vector {
    all_vectors()
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

fn all_vectors() -> Vec<Vector> {
    vectors(include_str!("vectors/losant.json"))
}

#[test]
fn every_report_of_the_vectors_is_what_we_send() {
    let reading = Temperature { temperature: 72 };
    let iso = IsoDate("2016-11-04T19:42:06.710Z");
    let t = T { t: 1 };
    let ours: [(&str, Written); 8] = [
        (
            "js-state-qos0",
            write(&DEVICE.state(&reading).at(iso)).unwrap(),
        ),
        (
            "state-seed-example",
            write(&DEVICE.state(&reading).at(iso)).unwrap(),
        ),
        (
            "py-state",
            write(&DEVICE.state(&reading).at(Millis(1_478_288_526_710))).unwrap(),
        ),
        ("state-no-time", write(&DEVICE.state(&reading)).unwrap()),
        (
            "state-time-seconds",
            write(&DEVICE.state(&t).at(Seconds(1_476_479_740))).unwrap(),
        ),
        (
            "state-time-relative",
            write(&DEVICE.state(&t).at(Ago(60_000))).unwrap(),
        ),
        (
            "state-batch-array",
            write(&DEVICE.states(&[
                Report::new(T { t: 1 }).at(Millis(1_476_479_740_000)),
                Report::new(T { t: 2 }).at(Millis(1_476_479_741_000)),
            ]))
            .unwrap(),
        ),
        ("js-peripheral-state", {
            let pump = Device::new("57615eebc035bd0100cb964a").unwrap();
            let reading = Temperature { temperature: 80 };
            write(&pump.state(&reading).at(iso).at_least_once()).unwrap()
        }),
    ];
    for (name, written) in &ours {
        vector(name).assert_is(written);
    }
}

#[test]
fn attributes_of_every_type_are_those_of_the_vector() {
    #[derive(Serialize)]
    struct Types {
        gps: &'static str,
        ok: bool,
        temperature: Decimal<1>,
    }
    let data = Types {
        gps: "37.33233141,-122.0312186",
        ok: true,
        temperature: Decimal::new(725),
    };
    vector("py-state-types")
        .assert_is(&write(&DEVICE.state(&data).at(Millis(1_795_158_259_283))).unwrap());
}

#[test]
fn every_command_of_the_vectors_is_read_or_refused_as_expected() {
    let mut read = 0;
    for vector in all_vectors() {
        if vector.text("topic") != COMMAND || vector.get("kind") != "publish" {
            continue;
        }
        read += 1;
        let payload = vector.payload();
        let message = (COMMAND, &payload[..]);
        let command = DEVICE.command(message);
        if vector.is_malformed() {
            command.unwrap_err();
            continue;
        }
        let command = command.unwrap().unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert!(
            command.name == expected["name"].as_str().unwrap(),
            "{}",
            vector.name()
        );
        let raw = command
            .raw_payload()
            .map(|raw| serde_json::from_str(raw.as_str()).unwrap());
        assert_eq!(raw.as_ref(), expected.get("payload"), "{}", vector.name());
    }
    assert_eq!(read, 12);
}

#[test]
fn connect_is_that_of_the_official_clients() {
    for (name, keep_alive) in [("js-connect", 60), ("py-connect", 15)] {
        let bytes = vector(name).packet().unwrap();
        let Packet::Connect(connect) = packet_of(&bytes) else {
            panic!("a CONNECT")
        };
        let mut options = DEVICE.options("my-access-key", "my-access-secret");
        options.keep_alive_s = keep_alive;
        assert_eq!(options.client_id, connect.client_id);
        assert_eq!(options.clean_session, connect.clean_session);
        assert_eq!(options.keep_alive_s, connect.keep_alive);
        assert_eq!(options.user_name, connect.user_name);
        assert_eq!(options.password, connect.password);
        assert!(options.will.is_none() && connect.will.is_none());
    }
}

#[test]
fn commands_are_subscribed_at_qos_0() {
    let bytes = vector("py-subscribe-command").packet().unwrap();
    let Packet::Subscribe(subscribe) = packet_of(&bytes) else {
        panic!("a SUBSCRIBE")
    };
    let theirs: Vec<_> = subscribe.filters.iter().collect();
    assert_eq!(theirs, [DEVICE.command_subscription()]);
}

#[test]
fn a_refused_key_is_final() {
    let bytes = vector("connack-refused-5").packet().unwrap();
    let Packet::ConnAck(ConnAck { code, .. }) = packet_of(&bytes) else {
        panic!("a CONNACK")
    };
    assert!(SessionError::Refused(code).is_final());
}

#[test]
fn no_attempt_is_made_during_a_ban() {
    let reconnect = DEVICE.options("key", "secret").reconnect;
    assert_eq!(reconnect.floor_ms, 30_000);
    assert_eq!(reconnect.max_ms, 3_600_000);
}

#[test]
fn the_four_transports_have_their_ports() {
    let transports = [
        Transport::Tcp,
        Transport::Tls,
        Transport::WebSocket,
        Transport::SecureWebSocket,
    ];
    let urls = transports.map(|transport| {
        assert!(
            transport
                .url()
                .contains(&format!("//{HOST}:{}", transport.port()))
        );
        transport.url().split_once(':').unwrap().0
    });
    assert_eq!(urls, ["mqtt", "mqtts", "ws", "wss"]);
}

#[test]
fn time_can_be_told_in_every_form() {
    let time = |written: Written| written.json()["time"].clone();
    let data = T { t: 1 };
    let state = || DEVICE.state(&data);
    assert_eq!(
        time(write(&state().at(DateText("2016-10-14T21:16:34"))).unwrap()),
        "2016-10-14T21:16:34"
    );
    assert_eq!(
        time(write(&state().at(Some(Millis(u64::MAX)))).unwrap()),
        u64::MAX
    );
    assert_eq!(
        time(write(&state().at(Ago(0x7fff_ffff))).unwrap()),
        -0x7fff_ffff
    );
    // "No time ago" is now, and must not become 1970.
    assert_eq!(
        write(&state().at(Ago(0))).unwrap().text(),
        r#"{"data":{"t":1}}"#
    );
    assert_eq!(
        write(&state().at(None::<Millis>)).unwrap().text(),
        r#"{"data":{"t":1}}"#
    );
    assert_eq!(
        write(&state().at(Ago(0x8000_0000))),
        Err(EncodeError::InvalidValue)
    );
}

#[test]
fn a_version_of_the_workflows_can_be_asked_for() {
    let data = T { t: 1 };
    let expected = json!({"data": {"t": 1}, "time": 5, "flowVersion": "1.2 \"beta\""});
    let version = "1.2 \"beta\"";
    assert_eq!(
        write(&DEVICE.state(&data).flow_version(version).at(Millis(5)))
            .unwrap()
            .json(),
        expected
    );
    let reports = [Report::new(data).at(Millis(5)).flow_version(version)];
    assert_eq!(
        write(&DEVICE.states(&reports)).unwrap().json(),
        json!([expected])
    );
}

#[test]
fn names_that_no_attribute_can_have_are_refused() {
    let with_name = |name: &str| {
        let data = std::collections::BTreeMap::from([("good-1_A", 1), (name, 2)]);
        write(&DEVICE.state(&data)).map(|_| ())
    };
    assert_eq!(with_name("temperature"), Ok(()));
    for name in ["", "a b", "a.b", "ä", "a\"b", "a\\", "\n", "{"] {
        assert_eq!(with_name(name), Err(EncodeError::InvalidValue), "{name}");
    }
}

#[test]
fn only_names_of_attributes_count_not_what_is_inside_of_values() {
    let data = json!({"a": "b c, {\"x y\":1}", "d": ["e f"], "g": {"h i": {"j k": 1}}, "l": "\\"});
    assert_eq!(write(&DEVICE.state(&data)).unwrap().json()["data"], data);
}

#[test]
fn data_that_is_no_object_is_refused() {
    assert_eq!(write(&DEVICE.state(&1)), Err(EncodeError::InvalidValue));
    assert_eq!(write(&DEVICE.state(&[1])), Err(EncodeError::InvalidValue));
    assert_eq!(
        write(&DEVICE.state(&None::<T>)),
        Err(EncodeError::InvalidValue)
    );
    let none: [Report<'_, T>; 0] = [];
    assert_eq!(write(&DEVICE.states(&none)), Err(EncodeError::InvalidValue));
}

#[test]
fn too_much_is_refused() {
    let string = |len| {
        write_into(&DEVICE.state(&json!({"a": "x".repeat(len)})), 400_000)
            .map(|written| written.payload.len())
    };
    assert_eq!(string(65_536), Ok(65_536 + r#"{"data":{"a":""}}"#.len()));
    assert_eq!(string(65_537), Err(EncodeError::TooLong));

    // `{"data":{"a":[0,0,..,0]}}`
    let list = |zeros: usize| {
        write_into(&DEVICE.state(&json!({"a": vec![0; zeros]})), 400_000)
            .map(|written| written.payload.len())
    };
    let zeros = (MAX_PAYLOAD + 1 - r#"{"data":{"a":[]}}"#.len()) / 2;
    assert!((MAX_PAYLOAD - 1..=MAX_PAYLOAD).contains(&list(zeros).unwrap()));
    assert_eq!(list(zeros + 1), Err(EncodeError::TooLong));

    let payload = vec![b'x'; MAX_PAYLOAD + 1];
    assert!(write_into(&CustomMessage::new("my/topic", &payload[1..]), 400_000).is_ok());
    assert_eq!(
        write_into(&CustomMessage::new("my/topic", &payload), 400_000),
        Err(EncodeError::TooLong)
    );
}

#[test]
fn a_buffer_too_small_asks_for_more_room() {
    let data = Temperature { temperature: 72 };
    let state = DEVICE.state(&data).at(Millis(1)).flow_version("a");
    let len = write(&state).unwrap().payload.len();
    for room in 0..len {
        assert_eq!(write_into(&state, room), Err(EncodeError::NoRoom));
    }
    assert!(write_into(&state, len).is_ok());
}

#[test]
fn topics_of_losant_are_not_for_custom_messages() {
    assert_eq!(
        write(&CustomMessage::new("losant/x/state", b"")),
        Err(EncodeError::InvalidValue)
    );
    let written = write(&CustomMessage::new("room/1", b"hi").at_least_once()).unwrap();
    assert_eq!(
        (written.topic.as_str(), written.qos, written.retain),
        ("room/1", QoS::AtLeastOnce, false)
    );
}

#[test]
fn an_id_that_would_be_more_than_one_level_is_refused() {
    for id in ["a/b", "+", "#", "a b", "é", "a\0"] {
        assert_eq!(
            Device::new(id).err(),
            Some(DeviceIdError::Character),
            "{id}"
        );
    }
    assert_eq!(Device::new("").err(), Some(DeviceIdError::Length));
    assert!(Device::new(&"a".repeat(32)).is_ok());
    assert_eq!(
        Device::new(&"a".repeat(33)).err(),
        Some(DeviceIdError::Length)
    );
}

#[test]
fn a_command_for_somebody_else_is_not_ours() {
    let payload = &br#"{"name":"x"}"#[..];
    for topic in [
        "losant/575ecf887ae143cd83dc4aa3/command",
        "losant/575ecf887ae143cd83dc4aa2/state",
        "x",
    ] {
        assert!(DEVICE.command((topic, payload)).unwrap().is_none());
    }
}

#[test]
fn a_gateway_learns_which_peripheral_is_meant() {
    let message = Message::new(
        "losant/57615eebc035bd0100cb964a/command",
        br#"{"name":"start"}"#,
    );
    let (id, command) = read_command(message).unwrap().unwrap();
    assert_eq!(id, "57615eebc035bd0100cb964a");
    assert!(command.name == "start");
    for topic in [
        "losant//command",
        "losant/a/b/command",
        "losant/command",
        "losant/a/state",
    ] {
        assert!(
            read_command((topic, message.payload)).unwrap().is_none(),
            "{topic}"
        );
    }
}

#[test]
fn the_payload_of_a_command_becomes_a_type_of_the_application() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Set<'a> {
        temperature: i16,
        unit: Option<&'a str>,
    }
    let message = (
        COMMAND,
        &br#"{"more":{},"name":"set","payload":{"x":[],"temperature":72,"unit":"F"}}"#[..],
    );
    let command = DEVICE.command(message).unwrap().unwrap();
    assert_eq!(
        command.payload(),
        Ok(Set {
            temperature: 72,
            unit: Some("F")
        })
    );
    assert_eq!(command.payload::<u8>(), Err(JsonError::Type));

    let without = (COMMAND, &br#"{"name":"reboot"}"#[..]);
    let command = DEVICE.command(without).unwrap().unwrap();
    assert_eq!(command.payload::<Option<u8>>(), Ok(None));
    assert_eq!(command.payload::<u8>(), Err(JsonError::Type));
}

#[test]
fn dates_and_decimals_can_be_fields_of_the_payload() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Schedule {
        when: Date,
        celsius: Decimal<1>,
        until: Option<Date>,
    }
    let payload = br#"{"name":"at","payload":{"when":{"$date":{"$numberLong":"5"}},"celsius":-7.25,"until":null}}"#;
    let command = DEVICE.command((COMMAND, &payload[..])).unwrap().unwrap();
    let expected = Schedule {
        when: Date(5),
        celsius: Decimal::new(-72),
        until: None,
    };
    assert_eq!(command.payload(), Ok(expected));
    let payload = br#"{"name":"at","payload":{"when":"now","celsius":1}}"#;
    let command = DEVICE.command((COMMAND, &payload[..])).unwrap().unwrap();
    assert_eq!(command.payload::<Schedule>(), Err(JsonError::Type));
}

#[test]
fn dates_come_in_three_forms() {
    let date = |json: &str| {
        let payload = format!(r#"{{"name":"at","payload":{json},"$time":{json}}}"#);
        let message = (COMMAND, payload.as_bytes());
        let command = DEVICE.command(message).unwrap().unwrap();
        let date = command.raw_payload().and_then(Date::from_json);
        assert_eq!(command.time(), date);
        date
    };
    let expected = Some(Date(1_478_288_526_710));
    assert_eq!(date(r#"{"$date":"2016-11-04T19:42:06.710Z"}"#), expected);
    assert_eq!(date(r#"{"$date":1478288526710}"#), expected);
    assert_eq!(
        date(r#"{"$date":{"$numberLong":"1478288526710"}}"#),
        expected
    );
    assert_eq!(date("1478288526710"), expected);
    for bad in [
        "null",
        "{}",
        r#"{"$date":true}"#,
        r#"{"$date":{"$numberLong":5}}"#,
        r#"{"$date":{"$numberLong":"x"}}"#,
        r#"{"$date":"now"}"#,
    ] {
        assert_eq!(date(bad), None, "{bad}");
    }
}

#[test]
fn iso_dates_are_read_to_the_millisecond() {
    let millis = |text| Date::from_iso(text).map(|date| date.0);
    assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(millis("1969-12-31T23:59:59.999Z"), Some(-1));
    assert_eq!(millis("2000-02-29T12:00:00Z"), Some(951_825_600_000));
    assert_eq!(
        millis("2016-11-04T20:42:06.71+01:00"),
        Some(1_478_288_526_710)
    );
    assert_eq!(
        millis("2016-11-04T14:12:06.7109999-0530"),
        Some(1_478_288_526_710)
    );
    assert_eq!(millis("2016-11-04T19:42"), Some(1_478_288_520_000));
    assert_eq!(millis("9999-12-31T23:59:59Z"), Some(253_402_300_799_000));
    for bad in [
        "",
        "2016",
        "2016-13-01T00:00Z",
        "2015-02-29T00:00Z",
        "2016-02-30T00:00Z",
        "1900-02-29T00:00Z",
        "2016-01-00T00:00Z",
        "2016-01-01T24:00Z",
        "2016-01-01T00:60Z",
        "2016-01-01T00:00:00.Z",
        "2016-01-01T00:00:00Zx",
        "2016-01-01 00:00:00Z",
        "0000-01-01T00:00Z",
    ] {
        assert_eq!(millis(bad), None, "{bad}");
    }
}

#[test]
fn positions_are_sent_in_all_four_forms() {
    #[derive(Serialize)]
    struct Where<G> {
        gps: G,
    }
    fn gps(gps: impl Serialize) -> serde_json::Value {
        write(&DEVICE.state(&Where { gps })).unwrap().json()["data"]["gps"].clone()
    }
    let position = Position::from_e7(373_323_314, -1_220_312_186).unwrap();
    assert_eq!(gps(position), "37.3323314,-122.0312186");
    assert_eq!(gps(position.sexagesimal()), "37°19'56.39\"N,122°1'52.38\"W");
    let south = Position::from_e7(-900_000_000, 1_799_999_999).unwrap();
    assert_eq!(gps(south), "-90.0000000,179.9999999");
    assert_eq!(gps(south.sexagesimal()), "90°0'0.00\"S,179°59'59.99\"E");
    let sentence = "$GPGLL,3906.71226,N,08430.74572,W,000653.00,A*16\r\n";
    assert_eq!(gps(NmeaSentence::new(sentence).unwrap()), sentence.trim());
    let sentence = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";
    assert_eq!(gps(NmeaSentence::new(sentence).unwrap()), sentence);
}

#[test]
fn what_is_no_position_is_refused() {
    assert!(Position::from_e7(900_000_001, 0).is_none());
    assert!(Position::from_e7(0, -1_800_000_001).is_none());
    assert!(Position::from_e7(i32::MIN, i32::MIN).is_none());
    for sentence in [
        "",
        "$GPGLL,3906.71226,N,08430.74572,W,000653.00,A",
        "$GPGLL,3906.71226,N,08430.74572,W,000653.00,A*1C",
        "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A",
        "GPGLL,3906.71226,N,08430.74572,W,000653.00,A*16",
    ] {
        assert!(NmeaSentence::new(sentence).is_none(), "{sentence}");
    }
}

#[test]
fn thirty_messages_in_fifteen_seconds_are_sent_and_no_more() {
    let mut limiter = RateLimiter::<2>::new();
    let start = Instant::from_millis(u32::MAX - 20_000);
    for count in 0..30 {
        limiter.admit("a", start.plus(count * 100)).unwrap();
    }
    let refused = limiter.admit("a", start.plus(3_000)).unwrap_err();
    assert_eq!(refused.until, start.plus(16_000));
    // The other topic has a limit of its own.
    limiter.admit("b", start.plus(3_000)).unwrap();
    limiter.admit("a", start.plus(15_999)).unwrap_err();
    for _ in 0..10 {
        limiter.admit("a", refused.until).unwrap();
    }
    let refused = limiter.admit("a", refused.until).unwrap_err();
    assert_eq!(refused.until, start.plus(17_000));
}

#[test]
fn a_long_pause_forgets_nothing_too_early() {
    let mut limiter = RateLimiter::<1>::new();
    let start = Instant::from_millis(7);
    for _ in 0..30 {
        limiter.admit("a", start).unwrap();
    }
    limiter.admit("a", start.plus(15_000)).unwrap_err();
    limiter.admit("a", start.plus(16_000)).unwrap();
}

#[test]
fn all_topics_together_have_a_limit() {
    let mut limiter = RateLimiter::<12>::new();
    let now = Instant::from_millis(5_000);
    let topics = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for topic in topics {
        for _ in 0..30 {
            limiter.admit(topic, now).unwrap();
        }
    }
    let refused = limiter.admit("k", now).unwrap_err();
    limiter.admit("k", refused.until).unwrap();
}

#[test]
fn a_topic_that_rests_makes_room_for_another() {
    let mut limiter = RateLimiter::<1>::new();
    let now = Instant::from_millis(0);
    limiter.admit("a", now).unwrap();
    let refused = limiter.admit("b", now).unwrap_err();
    limiter.admit("b", refused.until).unwrap();
}

proptest! {
    #[test]
    fn no_window_of_fifteen_seconds_ever_holds_more_than_the_rule_says(
        start: u32,
        steps in prop::collection::vec((0u32..3_000, 0usize..3), 1..800),
    ) {
        let mut limiter = RateLimiter::<3>::new();
        let mut elapsed = 0u32;
        let mut sent: Vec<(u32, usize)> = Vec::new();
        for (step, topic) in steps {
            // Mostly in bursts.
            elapsed += if step > 2_000 { step } else { step / 200 };
            let now = Instant::from_millis(start).plus(elapsed);
            match limiter.admit(["a", "b", "c"][topic], now) {
                Ok(()) => sent.push((elapsed, topic)),
                Err(refused) => prop_assert!(refused.until.since(now) <= 16_000),
            }
            for topic in 0..3 {
                let recent = sent.iter().filter(|(at, of)| *of == topic && elapsed - at <= 15_000);
                prop_assert!(recent.count() <= 30);
            }
        }
    }

    #[test]
    fn no_message_breaks_the_reader(topic: String, payload: Vec<u8>, date: String) {
        let message = (topic.as_str(), &payload[..]);
        let _ = DEVICE.command(message);
        let _ = read_command(message);
        let _ = DEVICE.command((COMMAND, &payload[..])).map(|command| command.map(|command| command.time()));
        let _ = Date::from_iso(&date);
        let _ = NmeaSentence::new(&date);
    }

    #[test]
    fn no_json_breaks_the_reader(name in "[a-z\\\\\"]{0,8}", value in "[\\[\\]{}:,\"0-9a-z$\\\\ ]{0,40}") {
        let payload = format!(r#"{{"name":"{name}","payload":{value}}}"#);
        let message = (COMMAND, payload.as_bytes());
        let read = DEVICE.command(message);
        let is_json = serde_json::from_str::<serde_json::Value>(&payload).is_ok();
        prop_assert!(!is_json || read.is_ok());
        if let Ok(Some(command)) = read {
            let _ = command.raw_payload().and_then(Date::from_json);
            let _ = command.payload::<Option<i32>>();
        }
    }

    #[test]
    fn dates_count_the_days_one_by_one(days in 0i64..2_900_000) {
        // 1 January of year 1 and its successors, counted here in the slow way.
        let (mut year, mut rest) = (1, days);
        let len = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        while rest >= len(year) {
            rest -= len(year);
            year += 1;
        }
        let mut month = 1;
        for days in [31, len(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if rest < days {
                break;
            }
            rest -= days;
            month += 1;
        }
        let text = format!("{year:04}-{month:02}-{:02}T00:00:00Z", rest + 1);
        prop_assert_eq!(Date::from_iso(&text), Some(Date((days - 719_162) * 86_400_000)));
    }
}
