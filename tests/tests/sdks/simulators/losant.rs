//! Losant.

use mqtt_tests::simulator::Event;
use serde_json::json;

use super::{answers, happens, notes, order, start};

const ID: &str = "575ecf887ae143cd83dc4aa2";
const COMMANDS: &str = "losant/575ecf887ae143cd83dc4aa2/command";

#[test]
fn losant_serves_the_sdk() {
    let (simulator, mut sdk) = start("losant");
    sdk.does(json!(["connect", ID, "my-access-key", "my-access-secret"]));
    answers(&simulator, COMMANDS, 0);

    sdk.does(json!(["state", {"on": true, "temperature": 21.5}]));
    let report = format!(r#"state of {ID}: {{"on":true,"temperature":21.5}}"#);
    notes(&simulator, &report);
    sdk.does(json!(["state", {"on": true}, 1_478_288_526_710_u64]));
    let dropped = format!("state of {ID} dropped: too old or too new");
    notes(&simulator, &dropped);

    let command = r#"{"name":"at","payload":{"$date":"2016-11-04T19:42:06.710Z"}}"#;
    order(&simulator, &format!("command {ID} {command}"));
    let delivered = json!(["command", {"name": "at", "payload": 1_478_288_526_710_u64}]);
    assert_eq!(sdk.next_delivered(), delivered);

    order(&simulator, "close");
    assert_eq!(sdk.next_delivered()[0], "reconnect");
    answers(&simulator, COMMANDS, 0);
    order(
        &simulator,
        &format!(r#"command {ID} {{"name":"go","payload":null}}"#),
    );
    assert_eq!(sdk.next_delivered()[1]["name"], "go");
}

#[test]
fn losant_refuses_the_sdk_with_a_wrong_secret() {
    let (simulator, mut sdk) = start("losant");
    sdk.begins(json!(["connect", ID, "my-access-key", "guessed"]));
    happens(
        &simulator,
        "refusal",
        |event| matches!(event, Event::Refused { client_id, code: Some(5) } if client_id == ID),
    );
    assert_eq!(sdk.next_delivered()[0], "raised");
}
