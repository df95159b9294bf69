//! Passwords and tokens on the command line.

use std::fmt;
use std::str::FromStr;

/// A secret: as it is, or `@FILE` for the first line of a file. Not shown by `Debug`.
///
/// The command line of a process can be read by every user of the machine, so an option that takes one also takes an
/// environment variable.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let secret = match text.strip_prefix('@') {
            Some(path) => first_line(path)?,
            None => text.to_owned(),
        };
        if secret.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self(secret))
    }
}

fn first_line(path: &str) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_the_text_or_in_a_file() {
        assert_eq!("hush".parse(), Ok(Secret("hush".into())));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file \n# a remark\n").unwrap();
        let secret: Secret = format!("@{}", file.path().display()).parse().unwrap();
        assert_eq!(secret.reveal(), "from a file");
    }

    #[test]
    fn missing_file_is_named_and_emptiness_refused() {
        let error = "@/no/such/file".parse::<Secret>().unwrap_err();
        assert!(error.contains("/no/such/file"), "{error}");
        assert!("".parse::<Secret>().is_err());
    }

    #[test]
    fn debug_output_keeps_it() {
        assert_eq!(format!("{:?}", Secret("hush".into())), "Secret");
    }
}
