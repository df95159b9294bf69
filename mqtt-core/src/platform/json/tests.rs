use std::string::String;
use std::vec::Vec;

use super::{JsonError, RawJson};

fn parse(text: &str) -> Result<RawJson<'_>, JsonError> {
    RawJson::parse(text.as_bytes())
}

#[test]
fn every_kind_of_value_is_taken_as_it_lies() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0.5e+3",
        "12345678901234567890",
        "\"\"",
        "\"a\\\"b\\u00e9\"",
        "[]",
        "[ 1 , [2,{}] ]",
        "{}",
        "{ \"a\" : [1,2] , \"b\" : {\"c\":null} }",
    ] {
        assert_eq!(parse(text).unwrap().as_str(), text);
        let padded = std::format!(" \t\r\n{text} ");
        assert_eq!(parse(&padded).unwrap().as_str(), text);
    }
}

#[test]
fn what_is_against_the_grammar_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "01",
        "-",
        "1.",
        "1.e2",
        ".5",
        "+1",
        "1e",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{1:2}",
        "{\"a\" 1}",
        "{\"a\":1]",
        "1 2",
        "{}{}",
        "NaN",
        "'a'",
        "{a:1}",
    ] {
        assert_eq!(parse(text), Err(JsonError::Syntax), "{text}");
    }
    assert_eq!(RawJson::parse(b"\"\xff\""), Err(JsonError::NotText));
}

#[test]
fn depth_has_an_end() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(32)).is_ok());
    assert_eq!(parse(&nested(33)), Err(JsonError::TooDeep));
}

#[test]
fn members_and_elements_come_in_order() {
    let object = parse(r#"{"a" : 1, "b":[ true,"x" ] ,"a":{"a":2}}"#).unwrap();
    let names: Vec<_> = object
        .members()
        .unwrap()
        .map(|(name, _)| name.as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "a"]);
    assert_eq!(object.member("a").unwrap().as_str(), r#"{"a":2}"#);
    let elements: Vec<_> = object
        .member("b")
        .unwrap()
        .elements()
        .unwrap()
        .map(RawJson::as_str)
        .collect();
    assert_eq!(elements, ["true", "\"x\""]);
    assert_eq!(object.member("c"), None);
    assert_eq!(parse("[]").unwrap().elements().unwrap().count(), 0);
    assert_eq!(parse("{ }").unwrap().members().unwrap().count(), 0);
    assert!(parse("1").unwrap().members().is_none());
}

#[test]
fn escapes_are_resolved() {
    let text = parse(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00""#).unwrap();
    let string = text.string().unwrap();
    let expected = "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x\u{fffd}";
    assert_eq!(string.chars().collect::<String>(), expected);
    assert!(string == expected);
    assert_eq!(string.as_str(), None);
    let mut buffer = [0; 64];
    assert_eq!(string.unescape(&mut buffer), Some(expected));
    assert_eq!(string.unescape(&mut [0; 4]), None);
    assert!(parse(r#""se\u0074""#).unwrap().string().unwrap() == "set");
}

#[test]
fn integers_fit_or_are_none() {
    let integer = |text| parse(text).unwrap().integer::<i64>();
    assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
    assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
    assert_eq!(integer("9223372036854775808"), None);
    assert_eq!(integer("1.0"), None);
    assert_eq!(integer("\"1\""), None);
    assert_eq!(parse("256").unwrap().integer::<u8>(), None);
    assert_eq!(parse("-1").unwrap().integer::<u32>(), None);
}

#[test]
fn a_limit_too_large_for_its_type_is_refused_and_not_infinite() {
    let limit = parse("1e39").unwrap();
    assert_eq!(limit.to::<f64>(), Ok(1e39));
    assert_eq!(limit.to::<f32>(), Err(JsonError::Type));
    let limit = parse("-1e309").unwrap();
    assert_eq!(limit.to::<f64>(), Err(JsonError::Type));
    assert_eq!(limit.to::<Option<f32>>(), Err(JsonError::Type));
}

#[test]
fn own_types_are_read_with_escapes_only_into_a_buffer() {
    #[derive(serde::Deserialize)]
    struct Place<'a> {
        name: &'a str,
    }
    assert_eq!(
        parse(r#"{"name":"x","other":[]}"#)
            .unwrap()
            .to::<Place<'_>>()
            .unwrap()
            .name,
        "x"
    );
    let escaped = parse(r#"{"name":"\n"}"#).unwrap();
    assert_eq!(escaped.to::<Place<'_>>().err(), Some(JsonError::Escaped));
    assert_eq!(
        parse("1").unwrap().to::<Place<'_>>().err(),
        Some(JsonError::Type)
    );
}
