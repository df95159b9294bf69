//! What the brokers of this package share.

use std::fmt::Debug;
use std::io::{Read as _, stdin};
use std::str::FromStr;
use std::{process, thread};

/// The next word of the command line.
///
/// # Panics
///
/// When it is missing, or is not what was expected.
pub fn argument<T: FromStr<Err: Debug>>(arguments: &mut impl Iterator<Item = String>) -> T {
    let word = arguments.next().expect("one more argument");
    word.parse().expect("an argument of that kind")
}

/// Ends this process when its standard input does: when the test that holds the other end is gone, however it went.
pub fn ends_with_its_parent() {
    thread::spawn(|| {
        // An error is an end, too.
        let _ = stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
}
