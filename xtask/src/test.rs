//! The full run: what fails fastest comes first.

use anyhow::Result;

use crate::steps::Steps;
use crate::workspace::{DEVICE_TARGETS, Workspace, cargo};
use crate::{codec, deny, firmware, fuzz, install, peers, sdks, simulate, size};

/// Feature sets of mqtt-core that firmware is built with.
const DEVICE_FEATURES: [&str; 5] = ["", "v5", "client", "client,v5", "client,v5,defmt,log"];

/// And those of mqtt-embassy, which the images of the firmware contain in others.
const EMBASSY_FEATURES: [&str; 2] = ["", "defmt,ipv6,tls,v5,websocket"];

/// A workspace of its own.
const SIZE_JOBS: [&str; 2] = ["--manifest-path", "tests/size/Cargo.toml"];

/// Runs every step, or those whose name contains `only`.
pub(crate) fn run(keep_going: bool, only: Option<String>) -> Result<()> {
    if only.is_none() {
        install::everything()?;
        sdks::install()?;
        peers::install()?;
    }
    let workspace = Workspace::load()?;
    let log_dir = workspace.target_dir.join("xtask");
    let mut steps = Steps::new(keep_going, only, log_dir)?;
    lints(&mut steps, &workspace)?;
    // What shares no folder of builds with the rest, beside it.
    let host = |steps: &mut Steps| {
        tests(steps, &workspace)?;
        documentation(steps)?;
        devices(steps)?;
        deny::steps(steps)?;
        fuzz::steps(steps)?;
        steps.call("budgets: instructions per packet", codec::print)
    };
    let firmware = |steps: &mut Steps| {
        steps.call("budgets: flash and RAM", size::print)?;
        firmware::steps(steps, &workspace)
    };
    steps.side_by_side(host, firmware)?;
    steps.finish()
}

fn lints(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    steps.command("format", cargo().args(["fmt", "--all", "--check"]))?;
    let mut size_jobs = cargo();
    size_jobs.args(["fmt", "--check"]).args(SIZE_JOBS);
    steps.command("format: size jobs", &mut size_jobs)?;
    peers::lints(steps)?;
    for package in ["mqtt-core", "mqtt-embassy", "mqtt-std"] {
        for features in workspace.feature_sets(package)? {
            let name = format!("clippy: {package} [{features}]");
            let mut arguments = vec!["--no-default-features", "-p", package];
            arguments.extend(["--features", &features]);
            clippy(steps, &name, &arguments)?;
        }
    }
    for (package, features) in [
        ("mqtt-core", ""),
        ("mqtt-core", "client,v5"),
        ("mqtt-embassy", "defmt,tls,v5,websocket"),
    ] {
        let name = format!("clippy: {package} [{features}] on a device");
        let target = ["--target", DEVICE_TARGETS[0]];
        let features = ["-p", package, "--features", features];
        clippy(steps, &name, &[&target[..], &features].concat())?;
    }
    let target = ["--target", DEVICE_TARGETS[0], "--features", "client,v5"];
    clippy(
        steps,
        "clippy: size jobs",
        &[&SIZE_JOBS[..], &target].concat(),
    )?;
    let everything = ["--workspace", "--all-targets", "--all-features"];
    clippy(steps, "clippy: workspace", &everything)
}

fn clippy(steps: &mut Steps, name: &str, arguments: &[&str]) -> Result<()> {
    let mut clippy = cargo();
    clippy.arg("clippy").args(arguments);
    steps.command(name, clippy.args(["--", "-D", "warnings"]))
}

fn tests(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    for package in ["mqtt-core", "mqtt-embassy"] {
        for features in workspace.feature_sets(package)? {
            let name = format!("test: {package} [{features}]");
            let mut test = cargo();
            test.args(["test", "-p", package, "--features", &features]);
            match features.as_str() {
                // They add words for a log, and change nothing that a test outside could see.
                "defmt" | "log" => {
                    test.arg("--lib");
                }
                // The examples of the documentation once without anything and once with everything: they take long.
                single if !single.is_empty() && !single.contains(',') => {
                    test.arg("--tests");
                }
                _ => {}
            }
            steps.command(&name, &mut test)?;
        }
    }
    let mut rest = cargo();
    rest.args(["test", "--workspace"]).args([
        "--exclude",
        "mqtt-core",
        "--exclude",
        "mqtt-embassy",
    ]);
    steps.command("test: workspace", &mut rest)?;
    simulate::steps(steps)?;
    let brokers = ["test", "-p", "mqtt-tests", "--features", "brokers"];
    steps.command("test: real brokers", cargo().args(brokers))?;
    let sdks = [
        "test",
        "-p",
        "mqtt-tests",
        "--features",
        "sdks",
        "--test",
        "sdks",
    ];
    steps.command("test: official SDKs", cargo().args(sdks))
}

fn documentation(steps: &mut Steps) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--all-features"];
    let mut doc = cargo();
    doc.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
    steps.command("documentation", &mut doc)
}

fn devices(steps: &mut Steps) -> Result<()> {
    for target in DEVICE_TARGETS {
        for features in DEVICE_FEATURES {
            let name = format!("build: mqtt-core [{features}] {target}");
            device_build(steps, &name, "mqtt-core", features, target)?;
        }
        for features in EMBASSY_FEATURES {
            let name = format!("build: mqtt-embassy [{features}] {target}");
            device_build(steps, &name, "mqtt-embassy", features, target)?;
        }
    }
    Ok(())
}

fn device_build(
    steps: &mut Steps,
    name: &str,
    package: &str,
    features: &str,
    target: &str,
) -> Result<()> {
    let package = ["build", "-p", package, "--features", features];
    steps.command(name, cargo().args(package).args(["--target", target]))
}
