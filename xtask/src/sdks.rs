//! The platforms' official Python SDKs, one virtual environment each: ThingsBoard's brings its own fork of the MQTT
//! library that the others use, under the same name.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::install;
use crate::workspace::{Workspace, command, root};

const PLATFORMS: [&str; 3] = ["losant", "thingsboard", "watson-iot"];

/// Makes the environments that are missing or were made for other versions, in the folder `sdks` of the build output.
pub(crate) fn install() -> Result<()> {
    install::programs(&[("python3", "python3")])?;
    let folder = Workspace::load()?.target_dir.join("sdks");
    PLATFORMS
        .iter()
        .try_for_each(|platform| environment(platform, &folder.join(platform)))
}

fn environment(platform: &str, folder: &Path) -> Result<()> {
    let requirements = root().join("tests/sdks/requirements");
    // Some are built here, by a version that is pinned as well.
    let build = requirements.join("build.txt");
    let sdk = requirements.join(format!("{platform}.txt"));
    let wanted = fs::read_to_string(&build)? + &fs::read_to_string(&sdk)?;
    // Written last, so that a broken environment is made anew.
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    make_environment(folder)?;
    pip_install(folder, &build)?;
    pip_install(folder, &sdk)?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// Debian has `venv` in a package of its own.
fn make_environment(folder: &Path) -> Result<()> {
    let mut python = command("python3");
    python.args(["-m", "venv", "--clear"]).arg(folder);
    if install::succeed(&mut python).is_ok() {
        return Ok(());
    }
    install::packages(&["python3-venv"])?;
    install::succeed(&mut python)
}

fn pip_install(folder: &Path, requirements: &Path) -> Result<()> {
    let mut pip = command(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-build-isolation"])
        .args(["--require-hashes", "--requirement"])
        .arg(requirements);
    let output = pip
        .output()
        .with_context(|| format!("cannot start {pip:?}"))?;
    ensure!(
        output.status.success(),
        "{pip:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
