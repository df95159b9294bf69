//! Where values come from: variables first, then the file.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use toml::Value;

/// Every key that a file may have; each has a variable, such as `FIRMWARE_BROKER`.
const KEYS: [&str; 11] = [
    "broker",
    "ca",
    "client_id",
    "interval_s",
    "password",
    "server_name",
    "token",
    "topic",
    "user_name",
    "wifi_name",
    "wifi_password",
];

/// The values as they were given.
#[derive(Debug)]
pub(crate) struct Source {
    /// The folder of the board, and what paths in variables are relative to.
    board: PathBuf,
    file: PathBuf,
    values: BTreeMap<String, String>,
    /// Keys that come from variables.
    overridden: Vec<&'static str>,
}

impl Source {
    /// Reads the file, which is `name` unless a variable says otherwise, and the variables of this build.
    pub(crate) fn of_environment(board: &Path, name: &str) -> Result<Self, String> {
        println!("cargo::rerun-if-env-changed=FIRMWARE_CONFIG");
        let name = env::var("FIRMWARE_CONFIG").unwrap_or_else(|_| name.to_owned());
        let file = board.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        Self::read(board, &file, |variable| {
            println!("cargo::rerun-if-env-changed={variable}");
            env::var(variable).ok()
        })
    }

    pub(crate) fn read(
        board: &Path,
        file: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| {
            format!(
                "cannot read {}: {error}. Copy config.example.toml to config.toml and fill it in",
                file.display()
            )
        })?;
        let mut values = parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut overridden = Vec::new();
        for key in KEYS {
            if let Some(value) = variable(&format!("FIRMWARE_{}", key.to_uppercase())) {
                values.insert(key.to_owned(), value);
                overridden.push(key);
            }
        }
        Ok(Self {
            board: board.to_owned(),
            file: file.to_owned(),
            values,
            overridden,
        })
    }

    pub(crate) fn required(&self, key: &str) -> Result<&str, String> {
        self.optional(key).ok_or_else(|| {
            let file = self.file.display();
            format!("`{key}` is missing in {file}, see config.example.toml")
        })
    }

    /// An empty text is the same as none.
    pub(crate) fn optional(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key)?;
        (!value.is_empty()).then_some(value)
    }

    /// Seconds between two reports.
    pub(crate) fn interval_s(&self) -> Result<u32, String> {
        let text = self.optional("interval_s").unwrap_or("10");
        match text.parse() {
            Ok(seconds @ 1..=86_400) => Ok(seconds),
            _ => Err(format!(
                "interval_s = {text:?}: expected 1 to 86400 seconds"
            )),
        }
    }

    /// The file that a value names: relative to the file where the name stands.
    pub(crate) fn path(&self, key: &str) -> Result<PathBuf, String> {
        let folder = match self.file.parent() {
            Some(folder) if !self.overridden.contains(&key) => folder,
            _ => &self.board,
        };
        Ok(folder.join(self.required(key)?))
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table: BTreeMap<String, Value> = toml::from_str(text).map_err(|error| error.to_string())?;
    table
        .into_iter()
        .map(|(key, value)| match value {
            _ if !KEYS.contains(&key.as_str()) => Err(format!("unknown key `{key}`")),
            Value::String(text) => Ok((key, text)),
            Value::Integer(number) => Ok((key, number.to_string())),
            _ => Err(format!("`{key}` must be a text or a number")),
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Lets `read` see a file and variables. Beside the file lies `ca.pem`.
    pub(crate) fn given<T>(
        file: &str,
        variables: &[(&str, &str)],
        read: impl FnOnce(Result<Source, String>) -> T,
    ) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, file).unwrap();
        fs::write(
            folder.path().join("ca.pem"),
            include_str!("../../example-ca.pem"),
        )
        .unwrap();
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        read(Source::read(folder.path(), &path, |name| {
            variables.get(name).map(|value| (*value).to_owned())
        }))
    }

    #[test]
    fn a_missing_file_tells_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let error = Source::read(folder.path(), &file, |_| None).unwrap_err();
        assert!(error.contains("config.example.toml"), "{error}");
    }
}
