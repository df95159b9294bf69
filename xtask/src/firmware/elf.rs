//! What a linked image takes, and where our crates could panic in it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::read::elf::ElfFile32;
use object::{Endianness, Object as _, ObjectSection as _, SectionFlags, SectionKind, elf};

use crate::workspace::root;

/// The crates whose code must not panic.
const OURS: [&str; 2] = ["mqtt-core/src/", "mqtt-embassy/src/"];

/// A linked image.
#[derive(Debug)]
pub(super) struct Elf(Vec<u8>);

/// A place in the source that a panic would name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    file: String,
    line: usize,
    column: usize,
}

impl Elf {
    pub(super) fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("{}", file.display()))?;
        Ok(Self(bytes))
    }

    fn parse(&self) -> Result<ElfFile32<'_, Endianness>> {
        Ok(ElfFile32::parse(&*self.0)?)
    }

    /// Bytes of flash: every section that is loaded.
    pub(super) fn flash(&self) -> Result<u64> {
        Ok(self
            .parse()?
            .sections()
            .filter(is_loaded)
            .map(|section| section.size())
            .sum())
    }

    /// Bytes of static RAM: the sections of these names.
    pub(super) fn ram(&self, sections: &[impl AsRef<str>]) -> Result<u64> {
        let file = self.parse()?;
        let size = |name: &str| {
            file.section_by_name(name)
                .map_or(0, |section| section.size())
        };
        Ok(sections.iter().map(|name| size(name.as_ref())).sum())
    }

    /// The places in our crates that a panic could name, except those that cannot be reached.
    ///
    /// A panic carries the address of its `Location`, so each place that is left in the image is one where the compiler
    /// could not rule it out; how the functions were inlined does not matter.
    pub(super) fn panics(&self) -> Result<Vec<Place>> {
        let mut places = self.locations()?;
        places.sort();
        places.dedup();
        places.retain(|place| !place.is_out_of_reach());
        Ok(places)
    }

    /// Every `core::panic::Location` of our crates: address and length of the file name, line, column.
    fn locations(&self) -> Result<Vec<Place>> {
        let file = self.parse()?;
        let mut loaded = Vec::new();
        for section in file.sections().filter(is_loaded) {
            loaded.push((section.address(), section.data()?));
        }
        let text = |address: u32, len: u32| {
            let (address, len) = (u64::from(address), usize::try_from(len).ok()?);
            let (start, data) = loaded
                .iter()
                .rfind(|(start, data)| (*start..start + data.len() as u64).contains(&address))?;
            let offset = usize::try_from(address - start).ok()?;
            std::str::from_utf8(data.get(offset..offset.checked_add(len)?)?).ok()
        };
        let mut places = Vec::new();
        for (_, data) in &loaded {
            for words in data
                .chunks_exact(4)
                .map(word)
                .collect::<Vec<_>>()
                .windows(4)
            {
                let [address, len, line, column] = *words else {
                    continue;
                };
                let ours = text(address, len).and_then(our_file);
                if let Some(file) = ours {
                    places.push(Place {
                        file: file.to_owned(),
                        line: line as usize,
                        column: column as usize,
                    });
                }
            }
        }
        Ok(places)
    }
}

fn is_loaded<'d>(section: &impl object::ObjectSection<'d>) -> bool {
    let SectionFlags::Elf { sh_flags } = section.flags() else {
        return false;
    };
    sh_flags & u64::from(elf::SHF_ALLOC) != 0
        && !matches!(
            section.kind(),
            SectionKind::UninitializedData | SectionKind::Unknown
        )
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

/// The path within this workspace, of a file of our crates.
fn our_file(text: &str) -> Option<&str> {
    let path = text.trim_end_matches('\0');
    let start = OURS.iter().find_map(|ours| path.rfind(ours))?;
    let is_source = Path::new(path).extension().is_some_and(|end| end == "rs");
    is_source.then(|| &path[start..])
}

impl Place {
    /// Two panics that the compiler leaves in although they cannot happen:
    ///
    /// - polling a future again after its end, which no executor does: its place is the brace of an async body;
    /// - borrowing a `RefCell` twice: in mqtt-embassy it is the lock, held within one poll only, and never across a call
    ///   to the user. mqtt-core has none.
    fn is_out_of_reach(&self) -> bool {
        let Ok(source) = fs::read_to_string(root().join(&self.file)) else {
            return false;
        };
        let Some(line) = source.lines().nth(self.line.saturating_sub(1)) else {
            return false;
        };
        let rest = line
            .get(self.column.saturating_sub(1)..)
            .unwrap_or_default();
        rest.starts_with('{')
            || (self.file.starts_with("mqtt-embassy/") && rest.starts_with("borrow_mut()"))
            || (self.file.starts_with("mqtt-embassy/") && rest.starts_with("borrow()"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_our_crates_are_told_from_others() {
        let ours = "/somewhere/mqtt-core/src/client/runner.rs\0";
        assert_eq!(our_file(ours), Some("mqtt-core/src/client/runner.rs"));
        assert_eq!(our_file("/somewhere/embedded-tls/src/lib.rs"), None);
        assert_eq!(our_file("mqtt-core/src/ and more text"), None);
    }

    #[test]
    fn an_unwrap_in_our_crates_is_not_out_of_reach() {
        let place = Place {
            file: "mqtt-core/src/lib.rs".to_owned(),
            line: 1,
            column: 1,
        };
        assert!(!place.is_out_of_reach());
    }
}
