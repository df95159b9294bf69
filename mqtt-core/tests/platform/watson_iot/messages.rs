//! IBM Watson IoT Platform: what clients of all four kinds send and read, against captured packets and the
//! platform's rules. Device management has its own file.

use crate::support::{Vector, packet_of, vectors, write, write_into};
use mqtt_core::{
    Message, QoS,
    codec::{EncodeError, Packet, Subscription},
    platform::{
        Decimal,
        json::JsonError,
        watson_iot::{
            Application, COMMANDS, CloseCode, Content, Device, DeviceId, Filter, Gateway, IdError,
            MANAGED, MAX_PAYLOAD, MalformedMessage, Notification, PORT_PLAIN, PORT_TLS,
            PORT_TLS_WEB, Quickstart, Status, StatusAction, ToApplication, ToGateway,
        },
    },
    session::Options,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

const DEVICE: Device<'static> = match Device::new("za6xa7", "test", "4321") {
    Ok(device) => device,
    Err(_) => panic!("the names are good"),
};
const GATEWAY: Gateway<'static> = match Gateway::new("za6xa7", "test", "4321") {
    Ok(gateway) => gateway,
    Err(_) => panic!("the names are good"),
};
const APPLICATION: Application<'static> = match Application::new("za6xa7", "app1") {
    Ok(application) => application,
    Err(_) => panic!("the names are good"),
};

fn vector(name: &str) -> Vector {
    vectors(include_str!("../vectors/ibm-watson-iot.json"))
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

fn id(type_id: &'static str, device_id: &'static str) -> DeviceId<'static> {
    DeviceId::new(type_id, device_id).unwrap()
}

#[test]
fn no_vector_is_left_out() {
    let tests = [
        include_str!("messages.rs"),
        include_str!("firmware.rs"),
        include_str!("requests.rs"),
        include_str!("server.rs"),
    ];
    for vector in vectors(include_str!("../vectors/ibm-watson-iot.json")) {
        let name = format!("\"{}\"", vector.name());
        assert!(tests.iter().any(|test| test.contains(&name)), "{name}");
    }
}

/// What a server would see of the options, compared with the CONNECT of a vector, and with its bytes.
fn assert_connects_as(name: &str, options: &Options<'_>) {
    let vector = vector(name);
    let connect = vector.get("connect");
    let user_name = options.user_name.map_or(json!(null), |name| json!(name));
    let password = options.password.map_or(json!(null), |password| {
        json!(core::str::from_utf8(password).unwrap())
    });
    assert_eq!(connect["client_id"], options.client_id, "{name}");
    assert_eq!(connect["clean"], options.clean_session, "{name}");
    assert_eq!(connect["username"], user_name, "{name}");
    assert_eq!(connect["password"], password, "{name}");
    if let Some(packet) = vector.packet() {
        let Packet::Connect(connect) = packet_of(&packet) else {
            panic!("no CONNECT");
        };
        assert_eq!(connect.client_id, options.client_id, "{name}");
        assert_eq!(connect.keep_alive, options.keep_alive_s, "{name}");
        assert_eq!(connect.clean_session, options.clean_session, "{name}");
    }
}

fn assert_subscribes_as(name: &str, subscription: Subscription<'_>) {
    let vector = vector(name);
    assert_eq!(vector.get("topic")[0], subscription.filter.as_str());
    assert_eq!(vector.get("qos")[0], subscription.qos as u8);
}

#[test]
fn each_kind_of_client_connects_as_the_official_ones_do() {
    assert_connects_as("py-device-connect", &DEVICE.options("auth-token"));
    let mut lasting = DEVICE.options("auth-token");
    lasting.clean_session = false;
    assert_connects_as("py-device-connect-cleanstart-true", &lasting);
    assert_connects_as("py-gateway-connect", &GATEWAY.options("auth-token"));
    let options = APPLICATION.options("a-za6xa7-bwrus5qab4", "t");
    assert_connects_as("py-app-connect", &options);
    let quickstart = Quickstart::new("mytype", "mydev").unwrap();
    assert_connects_as("quickstart-connect", &quickstart.options());
}

#[test]
fn each_kind_of_client_subscribes_as_the_official_ones_do() {
    assert_subscribes_as("py-device-subscribe", COMMANDS[0]);
    assert_eq!(DEVICE.options("t").subscriptions, COMMANDS);
    let [commands, management, notifications] = GATEWAY.subscriptions();
    assert_subscribes_as("py-gateway-notify-sub", notifications);
    assert!(commands.filter.matches("iot-2/type/a/id/b/cmd/c/fmt/d"));
    assert!(management.filter.matches("iotdm-1/type/a/id/b/observe"));
    assert!(MANAGED[0].filter == "iot-2/cmd/+/fmt/+" && MANAGED[1].filter == "iotdm-1/#");
}

#[test]
fn nothing_that_is_received_is_subscribed_to_in_quickstart() {
    let quickstart = Quickstart::new("mytype", "mydev").unwrap();
    let options = quickstart.options();
    assert!(options.subscriptions.is_empty() && options.clean_session);
    let event = write(&quickstart.event("status").json_in_d(&1)).unwrap();
    assert_eq!(event.topic, "iot-2/evt/status/fmt/json");
    assert_eq!(event.qos, QoS::AtMostOnce);
    assert_eq!(
        quickstart.host().as_str(),
        "quickstart.messaging.internetofthings.ibmcloud.com"
    );
}

#[test]
fn shared_applications_have_a_session_that_lasts_unless_each_client_has_a_name() {
    let shared = Application::shared("za6xa7", "app1").unwrap();
    assert_eq!(shared.client_id(), "A:za6xa7:app1");
    assert!(!shared.options("key", "token").clean_session);
    let instance = Application::shared_instance("za6xa7", "app1", "b.2").unwrap();
    assert_eq!(instance.client_id(), "A:za6xa7:app1:b.2");
    assert!(instance.options("key", "token").clean_session);
}

#[test]
fn a_client_cannot_exceed_the_quota_of_messages_in_flight() {
    let gateway = GATEWAY.options("t");
    let application = APPLICATION.options("k", "t");
    for options in [DEVICE.options("t"), gateway, application] {
        assert_eq!((options.max_in_flight, options.receive_maximum), (10, 10));
        assert!(options.will.is_none());
    }
}

#[test]
fn names_that_the_platform_does_not_know_are_refused() {
    let long = "x".repeat(37);
    let longest = "x".repeat(36);
    for (organization, type_id, device_id, error) in [
        ("za6xa", "t", "d", IdError::Organization),
        ("za6xa77", "t", "d", IdError::Organization),
        ("za6x:7", "t", "d", IdError::Organization),
        ("quickstart", "t", "d", IdError::Organization),
        ("za6xa7", "", "d", IdError::Length),
        ("za6xa7", "t", "", IdError::Length),
        ("za6xa7", &long, "d", IdError::Length),
        ("za6xa7", "t", &long, IdError::Length),
        ("za6xa7", "t/u", "d", IdError::Character),
        ("za6xa7", "t", "d:e", IdError::Character),
        ("za6xa7", "t", "d+", IdError::Character),
        ("za6xa7", "t", "ü", IdError::Character),
    ] {
        let device = Device::new(organization, type_id, device_id);
        assert_eq!(device.err(), Some(error), "{organization} {device_id}");
        let gateway = Gateway::new(organization, type_id, device_id);
        assert_eq!(gateway.err(), Some(error), "{organization} {device_id}");
    }
    assert_eq!(
        Application::new("za6xa7", "a b").err(),
        Some(IdError::Character)
    );
    let shared = Application::shared_instance("za6xa7", &longest, &longest).unwrap();
    assert_eq!(shared.client_id().len(), 8 + 1 + 36 + 1 + 36);
    let gateway = Gateway::new("za6xa7", &longest, &longest).unwrap();
    let [.., notifications] = gateway.subscriptions();
    let topic = format!("iot-2/type/{longest}/id/{longest}/notify");
    assert!(notifications.filter == topic.as_str());
    Quickstart::new("a-b", "c_d.e").unwrap();
}

#[test]
fn hosts_and_ports_of_the_former_service_are_known() {
    let host = "za6xa7.messaging.internetofthings.ibmcloud.com";
    assert_eq!(DEVICE.host().as_str(), host);
    assert_eq!(GATEWAY.host().as_str(), host);
    assert_eq!(APPLICATION.host().as_str(), host);
    assert_eq!((PORT_PLAIN, PORT_TLS, PORT_TLS_WEB), (1883, 8883, 443));
}

#[derive(Serialize)]
struct Reading {
    temp: Decimal<1>,
}

#[test]
fn every_event_and_command_of_the_vectors_is_what_we_send() {
    let reading = Reading {
        temp: Decimal::new(215),
    };
    let event = DEVICE.event("status").json_in_d(&reading);
    vector("py-event-qos0").assert_is(&write(&event).unwrap());
    let event = GATEWAY
        .event_of(id("mydevice", "device1"), "status")
        .at_least_once()
        .json_in_d(&2);
    vector("py-gateway-device-event").assert_is(&write(&event).unwrap());
    let parameters = json!({"i": 1});
    let command = APPLICATION
        .command(id("test", "4321"), "update")
        .at_least_once()
        .json(&parameters);
    vector("py-app-command").assert_is(&write(&command).unwrap());

    let event = DEVICE.event("blob").qos(QoS::ExactlyOnce);
    let written = write(&event.bytes("raw", &[0, 1])).unwrap();
    let expected = vector("py-event-qos2");
    assert_eq!(written.topic, expected.text("topic"));
    assert_eq!(written.payload, expected.payload());
    assert_eq!(written.qos, QoS::ExactlyOnce);
}

#[test]
fn a_gateway_speaks_for_itself_and_an_application_for_a_device() {
    let own = write(&GATEWAY.event("up").json(&true)).unwrap();
    assert_eq!(own.topic, "iot-2/type/test/id/4321/evt/up/fmt/json");
    let other = APPLICATION.event(id("a", "b"), "e").bytes("txt", b"x");
    assert_eq!(
        write(&other).unwrap().topic,
        "iot-2/type/a/id/b/evt/e/fmt/txt"
    );
}

#[test]
fn a_format_of_ones_own_is_written_in_place() {
    let millivolts = 3300_u16;
    let event = DEVICE
        .event("supply")
        .written_by("be16", |payload| payload.bytes(&millivolts.to_be_bytes()));
    let written = write(&event).unwrap();
    assert_eq!(written.topic, "iot-2/evt/supply/fmt/be16");
    assert_eq!(written.payload, [0x0c, 0xe4]);
    assert!(!written.retain);
}

#[test]
fn names_that_are_no_level_are_refused_when_they_are_published() {
    for name in ["", "a/b", "+", "a#", "a\0"] {
        let refused = Err(EncodeError::InvalidValue);
        assert_eq!(write(&DEVICE.event(name).json(&1)), refused, "{name:?}");
        let event = DEVICE.event("status").bytes(name, b"");
        assert_eq!(write(&event), refused, "{name:?}");
    }
    // The platform allows what MQTT does.
    let event = DEVICE.event("grün & blau").bytes("a:b", b"");
    assert_eq!(
        write(&event).unwrap().topic,
        "iot-2/evt/grün & blau/fmt/a:b"
    );
}

#[test]
fn a_payload_above_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let bytes = vec![b'x'; MAX_PAYLOAD + 1];
    let largest = DEVICE.event("e").bytes("txt", &bytes[1..]);
    let room = MAX_PAYLOAD + 100;
    assert_eq!(
        write_into(&largest, room).unwrap().payload.len(),
        MAX_PAYLOAD
    );
    let larger = DEVICE.event("e").bytes("txt", &bytes);
    assert_eq!(write_into(&larger, room), Err(EncodeError::TooLong));
    let text = core::str::from_utf8(&bytes[3..]).unwrap();
    // Two bytes for the quotation marks.
    let fits = DEVICE.event("e").json(text);
    assert_eq!(write_into(&fits, room).unwrap().payload.len(), MAX_PAYLOAD);
    let wrapped = DEVICE.event("e").json_in_d(text);
    assert_eq!(write_into(&wrapped, room), Err(EncodeError::TooLong));
    assert_eq!(write_into(&fits, 100), Err(EncodeError::NoRoom));
}

fn received(vector: &Vector) -> (String, Vec<u8>) {
    (vector.text("topic").to_owned(), vector.payload())
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
struct Update {
    interval: u16,
}

#[test]
fn commands_are_delivered_whatever_their_name_and_format() {
    let (topic, payload) = received(&vector("command"));
    let message = (topic.as_str(), payload.as_slice());
    let command = DEVICE.command(message).unwrap();
    assert_eq!((command.name, command.format), ("update", "json"));
    assert_eq!(command.json(), Ok(Update { interval: 10 }));

    let (topic, payload) = received(&vector("command-empty"));
    let message = (topic.as_str(), payload.as_slice());
    let command = DEVICE.command(message).unwrap();
    let expected = Content {
        name: "ping",
        format: "txt",
        payload: b"",
    };
    assert_eq!(command, expected);
    assert_eq!(command.json::<u8>(), Err(JsonError::Syntax));

    let unknown = Message::new("iot-2/cmd/x y/fmt/cbor", b"\xa0\xff");
    assert_eq!(DEVICE.command(unknown).unwrap().payload, b"\xa0\xff");
}

#[test]
fn a_payload_of_another_type_is_an_error_of_that_command_only() {
    let command = |payload: &'static [u8]| Content {
        name: "update",
        format: "json",
        payload,
    };
    let read = |payload| command(payload).json::<Update>();
    assert_eq!(read(br#"{"interval":"ten"}"#), Err(JsonError::Type));
    assert_eq!(read(br#"{"interval":10"#), Err(JsonError::Syntax));
    assert_eq!(read(br#"{"interval":10} x"#), Err(JsonError::Syntax));
    let more = read(br#" {"unknown":[{"a":null}],"interval":10} "#);
    assert_eq!(more, Ok(Update { interval: 10 }));
}

#[test]
fn what_is_no_command_is_not_taken_for_one() {
    let bad = received(&vector("bad-cmd-topic"));
    assert!(vector("bad-cmd-topic").is_malformed());
    for topic in [
        bad.0.as_str(),
        "iot-2/cmd/a/fmt",
        "iot-2/cmd/a/fmt/",
        "iot-2/cmd//fmt/json",
        "iot-2/cmd/a/fmt/json/more",
        "iot-2/evt/a/fmt/json",
        "iot-2/type/test/id/4321/cmd/a/fmt/json",
        "iotdm-1/response",
        "iot-2",
        "",
    ] {
        let message = (topic, b"x".as_slice());
        assert_eq!(DEVICE.command(message), None, "{topic}");
    }
}

#[test]
fn a_gateway_reads_commands_for_all_its_devices() {
    let message = ("iot-2/type/t/id/d/cmd/c/fmt/f", b"1".as_slice());
    let Ok(Some(ToGateway::Command(device, command))) = GATEWAY.message(message) else {
        panic!("no command")
    };
    assert_eq!(device, id("t", "d"));
    assert_eq!((command.name, command.format), ("c", "f"));
    let event = ("iot-2/type/t/id/d/evt/c/fmt/f", b"1".as_slice());
    assert_eq!(GATEWAY.message(event), Ok(None));
}

#[test]
fn a_gateway_is_told_what_was_refused() {
    let (topic, payload) = received(&vector("gw-notify"));
    let message = (topic.as_str(), payload.as_slice());
    let Ok(Some(ToGateway::Notification(notification))) = GATEWAY.message(message) else {
        panic!("no notification")
    };
    assert!(notification.request == "publish");
    assert!(notification.topic.unwrap() == "iot-2/bad");
    assert!(notification.client.unwrap() == "g:za6xa7:test:4321");
    assert!(notification.code.unwrap().string().unwrap() == "16");
    assert_eq!((notification.type_id, notification.device_id), (None, None));

    let other = ("iot-2/type/test/id/other/notify", payload.as_slice());
    assert_eq!(GATEWAY.message(other), Ok(None));
    assert_eq!(
        Notification::parse(b"{}"),
        Err(MalformedMessage::Member("Request"))
    );
}

#[test]
fn an_application_follows_what_clients_do() {
    let (topic, payload) = received(&vector("mon-connect"));
    let message = (topic.as_str(), payload.as_slice());
    let Ok(Some(ToApplication::DeviceStatus(device, status))) = APPLICATION.message(message) else {
        panic!("no status")
    };
    assert_eq!(device, id("test", "4321"));
    assert_eq!(status.action, StatusAction::Connect);
    assert!(status.client_id == "d:za6xa7:test:4321");
    assert!(status.user.unwrap() == "use-token-auth");
    assert_eq!((status.port, status.secure), (Some(8883), Some(true)));
    assert_eq!((status.close_code, status.read_bytes), (None, None));

    let gone = br#"{"Action":"Disconnect","Time":"t","ClientID":"a:o:x","CloseCode":288,
        "Reason":"The client id was reused","ReadBytes":5000000000,"WriteMsg":0,"New":{}}"#;
    let message = ("iot-2/app/x/mon", gone.as_slice());
    let Ok(Some(ToApplication::ApplicationStatus("x", status))) = APPLICATION.message(message)
    else {
        panic!("no status")
    };
    assert_eq!(status.action, StatusAction::Disconnect);
    assert_eq!(status.close_code, Some(CloseCode::CLIENT_ID_REUSED));
    assert_eq!(status.read_bytes, Some(5_000_000_000));
    assert_eq!(status.write_messages, Some(0));
}

#[test]
fn an_action_of_the_future_is_told_and_a_status_without_action_refused() {
    let status = Status::parse(br#"{"Action":"Sleep","Time":"t","ClientID":"c"}"#).unwrap();
    assert!(matches!(status.action, StatusAction::Other(action) if action == "Sleep"));
    let status = Status::parse(br#"{"Action":"FailedConnect","Time":"t","ClientID":"c"}"#);
    assert_eq!(status.unwrap().action, StatusAction::FailedConnect);
    for (payload, error) in [
        (&b"{}"[..], MalformedMessage::Member("Action")),
        (
            br#"{"Action":1,"Time":"t"}"#,
            MalformedMessage::Member("Action"),
        ),
        (
            br#"{"Action":"Connect","Time":"t"}"#,
            MalformedMessage::Member("ClientID"),
        ),
        (b"[]", MalformedMessage::Member("Action")),
        (b"{", MalformedMessage::Json(JsonError::Syntax)),
    ] {
        assert_eq!(Status::parse(payload), Err(error));
    }
}

#[test]
fn an_application_reads_events_commands_states_and_errors_of_devices() {
    let device = id("t", "d");
    let content = Content {
        name: "n",
        format: "f",
        payload: b"1",
    };
    for (topic, expected) in [
        (
            "iot-2/type/t/id/d/evt/n/fmt/f",
            ToApplication::Event(device, content),
        ),
        (
            "iot-2/type/t/id/d/cmd/n/fmt/f",
            ToApplication::Command(device, content),
        ),
        (
            "iot-2/type/t/id/d/intf/L/evt/state",
            ToApplication::DeviceState {
                device,
                interface: "L",
                payload: b"1",
            },
        ),
        (
            "iot-2/type/t/id/d/err/data",
            ToApplication::DeviceError(device, b"1"),
        ),
    ] {
        let message = (topic, b"1".as_slice());
        assert_eq!(APPLICATION.message(message), Ok(Some(expected)));
    }
    for topic in [
        "iot-2/type/t/id/d",
        "iot-2/type/t/id/d/evt/n",
        "iot-2/type/t/id/d/mon/more",
        "iot-2/type/t/id/d/intf/L/evt",
        "iot-2/type/t/id/d/err",
        "iot-2/app/mon",
        "iot-2/app/a/mon/x",
        "iot-2/type/t",
        "x",
    ] {
        let message = (topic, b"1".as_slice());
        assert_eq!(APPLICATION.message(message), Ok(None), "{topic}");
    }
}

#[test]
fn filters_are_narrowed_down_level_by_level() {
    let mut buffer = [0; 96];
    for (filter, expected) in [
        (Filter::events(), "iot-2/type/+/id/+/evt/+/fmt/+"),
        (
            Filter::commands().device(id("t", "d")).name("n"),
            "iot-2/type/t/id/d/cmd/n/fmt/+",
        ),
        (
            Filter::events().device_id("d").format("json"),
            "iot-2/type/+/id/d/evt/+/fmt/json",
        ),
        (
            Filter::device_status().type_id("t"),
            "iot-2/type/t/id/+/mon",
        ),
        (Filter::application_status(), "iot-2/app/+/mon"),
        (
            Filter::application_status().device_id("a"),
            "iot-2/app/a/mon",
        ),
        (
            Filter::device_state("+"),
            "iot-2/type/+/id/+/intf/+/evt/state",
        ),
        (
            Filter::device_state("L").device(id("t", "d")),
            "iot-2/type/t/id/d/intf/L/evt/state",
        ),
        (Filter::device_errors(), "iot-2/type/+/id/+/err/data"),
    ] {
        let filter = filter.topic_filter(&mut buffer).unwrap();
        assert!(filter == expected, "{filter}");
    }
}

#[test]
fn a_filter_with_a_bad_level_or_without_room_is_refused() {
    let mut buffer = [0; 96];
    for level in ["", "a/b", "a+", "#", "\0"] {
        let refused = Err(EncodeError::InvalidValue);
        let filter = Filter::events().type_id(level);
        assert_eq!(filter.topic_filter(&mut buffer), refused, "{level:?}");
        let filter = Filter::events().format(level);
        assert_eq!(filter.topic_filter(&mut buffer), refused, "{level:?}");
    }
    let filter = Filter::events();
    let refused = Err(EncodeError::NoRoom);
    assert_eq!(filter.topic_filter(&mut buffer[..28]), refused);
    assert!(filter.topic_filter(&mut buffer[..29]).is_ok());
}
