//! Numbers with decimals: what is written is the number that was meant.

use mqtt_core::{
    codec::Writer,
    platform::{Decimal, json::RawJson},
    write_json,
};
use proptest::prelude::*;

fn text(value: &impl serde::Serialize) -> String {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    write_json(&mut writer, value).unwrap();
    let len = writer.len();
    String::from_utf8(out[..len].to_vec()).unwrap()
}

#[test]
fn the_point_stands_where_the_type_says() {
    assert_eq!(text(&Decimal::<0>::new(42)), "42");
    assert_eq!(text(&Decimal::<1>::new(725)), "72.5");
    assert_eq!(text(&Decimal::<2>::new(2150)), "21.50");
    assert_eq!(text(&Decimal::<3>::new(0)), "0.000");
    assert_eq!(text(&Decimal::<3>::new(-7)), "-0.007");
    assert_eq!(text(&Decimal::<9>::new(i32::MIN)), "-2.147483648");
    assert_eq!(
        text(&Decimal::<0, i64>::new(i64::MIN)),
        "-9223372036854775808"
    );
    assert_eq!(
        text(&Decimal::<19, i64>::new(i64::MIN)),
        "-0.9223372036854775808"
    );
    assert_eq!(text(&Decimal::<19>::new(1)), "0.0000000000000000001");
}

#[test]
fn numbers_of_a_server_are_read_with_all_their_forms() {
    let read = |text| Decimal::<2>::parse(text).map(Decimal::mantissa);
    assert_eq!(read("72"), Some(7200));
    assert_eq!(read("72.5"), Some(7250));
    assert_eq!(read("-0.075"), Some(-7));
    assert_eq!(read("7.25e1"), Some(7250));
    assert_eq!(read("7250E-2"), Some(7250));
    assert_eq!(read("1e-400"), Some(0));
    assert_eq!(read("0e999999999999"), Some(0));
    assert_eq!(read("21474836.47"), Some(i32::MAX));
    assert_eq!(
        Decimal::<0, i64>::parse("-9223372036854775808"),
        Some(Decimal::new(i64::MIN))
    );
}

#[test]
fn a_number_is_found_in_a_payload() {
    let payload = RawJson::parse(br#"{"celsius":21.5,"text":"21.5"}"#).unwrap();
    let read = |name| payload.member(name).and_then(Decimal::<2>::from_json);
    assert_eq!(read("celsius"), Some(Decimal::new(2150)));
    assert_eq!(read("text"), None);
}

#[test]
fn elsewhere_a_number_is_not_taken_for_another() {
    let other = serde_json::to_string(&Decimal::<2>::new(2150)).unwrap();
    assert_eq!(other, r#"{"e-2":2150}"#);
}

#[test]
fn what_is_no_number_or_too_large_is_refused() {
    for text in [
        "",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1 ",
        "+1",
        "0x1",
        "NaN",
        "1e9",
        "1e999999999999",
        "21474836.48",
    ] {
        assert_eq!(Decimal::<2>::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn writing_and_reading_give_the_same_number(mantissa: i32, wide: i64) {
        prop_assert_eq!(Decimal::<4>::parse(&text(&Decimal::<4>::new(mantissa))), Some(Decimal::new(mantissa)));
        prop_assert_eq!(Decimal::<11, i64>::parse(&text(&Decimal::<11, i64>::new(wide))), Some(Decimal::new(wide)));
    }

    #[test]
    fn a_written_number_is_the_one_that_others_read(mantissa: i32) {
        let read: f64 = serde_json::from_str(&text(&Decimal::<3>::new(mantissa))).unwrap();
        prop_assert!((read * 1000.0 - f64::from(mantissa)).abs() < 0.01);
    }

    #[test]
    #[allow(clippy::cast_precision_loss, reason = "compared with a margin")]
    fn no_text_breaks_the_reader(text: String, number in "-?[0-9]{0,25}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{0,12})?") {
        let _ = Decimal::<3>::parse(&text);
        if let Some(read) = Decimal::<3, i64>::parse(&number) {
            // Close to what floating point makes of it.
            let float: f64 = number.parse().unwrap();
            let ours = read.mantissa() as f64 / 1000.0;
            prop_assert!((float - ours).abs() <= 0.001 + float.abs() * 1e-12, "{} {} {}", number, float, ours);
        }
    }
}
