//! The short form of `cargo xtask soak`.

use std::process::Command;

#[test]
fn cuts_lose_nothing_and_nothing_grows() {
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .arg("20")
        .output()
        .expect("it starts");
    let (summary, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{summary}{error}");
}
