//! Where values come from: variables first, then the file.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use toml::Value;

/// Every key that a file may have; each has a variable, such as `FIRMWARE_BROKER`.
const KEYS: [&str; 10] = [
    "broker",
    "ca",
    "client_id",
    "interval_s",
    "password",
    "server_name",
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
