//! Packet x property x what is wrong with it (MQTT 5 §2.2.2).

use mqtt_core::codec::Version;

use super::tables::{Kind, NEVER_ZERO, PLACES, PROPERTIES, Place, PropertyRow};
use super::{Verdict, check, check_from_server};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Once,
    Twice,
    WithoutValue,
    CutShort,
    OfAnotherKind,
    OutOfRange,
}

const FORMS: [Form; 6] = [
    Form::Once,
    Form::Twice,
    Form::WithoutValue,
    Form::CutShort,
    Form::OfAnotherKind,
    Form::OutOfRange,
];

/// MQTT 5 [MQTT-3.3.2-8] [MQTT-3.14.2-2]
#[test]
fn each_property_is_taken_where_and_as_the_standard_says() {
    let mut cases = 0;
    for place in PLACES {
        for row in &PROPERTIES {
            for form in FORMS {
                let Some(property) = property(row, form) else {
                    continue;
                };
                cases += 1;
                let packet = place.packet_with(&property);
                check(&packet, Version::V5, verdict(row, place, form));
                let from_server = verdict_from_server(row, place, form);
                check_from_server(&packet, Version::V5, from_server);
            }
        }
    }
    // 12 properties have values out of range, and a flag of one byte cannot be cut short.
    assert_eq!(cases, 14 * (27 * 4 + 12 + 27 - 8));
}

/// The property in that form, if there is such a form.
fn property(row: &PropertyRow, form: Form) -> Option<Vec<u8>> {
    let value = row.kind.value();
    let whole = [&[row.identifier], &value[..]].concat();
    let zero = NEVER_ZERO.contains(&row.identifier);
    Some(match form {
        Form::Once => whole,
        Form::Twice => whole.repeat(2),
        Form::WithoutValue => vec![row.identifier],
        Form::CutShort if value.len() > 1 => whole[..value.len()].to_vec(),
        Form::OfAnotherKind => [&[row.identifier], row.kind.wrong_value()].concat(),
        Form::OutOfRange if row.kind == Kind::Flag => vec![row.identifier, 2],
        Form::OutOfRange if zero && row.kind == Kind::VariableByte => vec![row.identifier, 0],
        Form::OutOfRange if zero => [vec![row.identifier], vec![0; value.len()]].concat(),
        Form::CutShort | Form::OutOfRange => return None,
    })
}

fn verdict(row: &PropertyRow, place: Place, form: Form) -> Verdict {
    // A user property may come again, and a message may belong to several subscriptions.
    let repeats = row.identifier == 0x26 || row.identifier == 0x0b && place == Place::Publish;
    if !row.places.contains(&place) {
        return Verdict::Malformed;
    }
    match form {
        Form::Once => Verdict::Taken,
        Form::Twice if repeats => Verdict::Taken,
        Form::Twice | Form::OutOfRange => Verdict::ProtocolError,
        Form::WithoutValue | Form::CutShort | Form::OfAnotherKind => Verdict::Malformed,
    }
}

fn verdict_from_server(row: &PropertyRow, place: Place, form: Form) -> Verdict {
    // A server does not say when the session expires (MQTT 5 §3.14.2.2.2).
    let is_expiry = row.identifier == 0x11 && place == Place::Disconnect && form == Form::Once;
    if !place.is_from_server() || is_expiry {
        return Verdict::ProtocolError;
    }
    verdict(row, place, form)
}

#[test]
fn numbers_that_are_no_property_are_refused_everywhere() {
    let mut cases = 0;
    for place in PLACES {
        for identifier in 0..=0xff {
            if PROPERTIES.iter().any(|row| row.identifier == identifier) {
                continue;
            }
            cases += 1;
            let packet = place.packet_with(&[identifier, 0, 1, b'x']);
            check(&packet, Version::V5, Verdict::Malformed);
        }
    }
    assert_eq!(cases, 14 * (256 - 27));
}
