//! What a linked firmware image holds: bytes by kind, and calls that can end in a panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};
use rustc_demangle::demangle;

use crate::workspace::{command, llvm_tool, read};

const FLASH_SECTIONS: [&str; 4] = [".text", ".rodata", ".data", ".ARM.exidx"];
const RAM_SECTIONS: [&str; 2] = [".data", ".bss"];

/// The measures of one image, in bytes where nothing else is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) flash: u64,
    pub(crate) ram: u64,
    /// The part of `flash` that is the compiler's: memcpy, division and their like.
    pub(crate) run_time: u64,
    /// The part of `flash` that is `core::fmt`.
    pub(crate) formatting: u64,
    /// Call sites of panic functions, as `caller -> panic function`.
    pub(crate) panic_branches: Vec<String>,
    /// Sizes of types that the job exports as `SIZE_OF_..` symbols.
    sizes: BTreeMap<String, u64>,
}

impl Image {
    /// Measures a linked image.
    pub(crate) fn measure(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("{}", path.display()))?;
        let file = object::File::parse(&*bytes)?;
        let sum = |names: &[&str]| -> u64 {
            let section = |name: &&str| file.section_by_name(name).map_or(0, |s| s.size());
            names.iter().map(section).sum()
        };
        let mut image = Self {
            flash: sum(&FLASH_SECTIONS),
            ram: sum(&RAM_SECTIONS),
            panic_branches: panic_branches(path)?,
            ..Self::default()
        };
        // Two names of one function are counted once.
        let mut seen = BTreeSet::new();
        for symbol in file.symbols() {
            if symbol.kind() == SymbolKind::Text && !seen.insert(symbol.address()) {
                continue;
            }
            image.add_symbol(symbol.name()?, symbol.kind(), symbol.size());
        }
        Ok(image)
    }

    /// The size that the job exported for a type.
    pub(crate) fn size_of(&self, name: &str) -> Option<u64> {
        self.sizes.get(name).copied()
    }

    fn add_symbol(&mut self, raw: &str, kind: SymbolKind, size: u64) {
        let name = format!("{:#}", demangle(raw));
        if let Some(of) = raw.strip_prefix("SIZE_OF_") {
            self.sizes.insert(of.to_owned(), size);
        } else if kind == SymbolKind::Text && is_run_time(&name) {
            self.run_time += size;
        } else if name.contains("core::fmt::") {
            self.formatting += size;
        }
    }
}

/// Calls and jumps to panic functions in the disassembly; panic functions that call each other do not count.
fn panic_branches(path: &Path) -> Result<Vec<String>> {
    let mut objdump = command(llvm_tool("llvm-objdump")?);
    let listing = read(objdump.args(["-d", "-C", "--no-show-raw-insn"]).arg(path))?;
    let mut caller = "";
    let mut branches = Vec::new();
    for line in listing.lines() {
        if let Some(function) = function_header(line) {
            caller = function;
        } else if let Some(target) = branch_target(line)
            && is_panic(target)
            && !is_panic(caller)
        {
            branches.push(format!("{caller} -> {target}"));
        }
    }
    Ok(branches)
}

/// `00000140 <core::panicking::panic_fmt>:`
fn function_header(line: &str) -> Option<&str> {
    let (_, name) = line.strip_suffix(">:")?.split_once(" <")?;
    Some(name)
}

/// `  1a2: bl  0x140 <core::panicking::panic_fmt> @ imm = #0x40`
fn branch_target(line: &str) -> Option<&str> {
    let start = line.find('<')? + 1;
    let end = line.rfind('>')?;
    // An offset into the function means a jump within it.
    line.get(start..end).filter(|name| !name.contains("+0x"))
}

fn is_panic(function: &str) -> bool {
    let in_core = function.starts_with("core::") || function.starts_with("<core::");
    in_core && (function.contains("panic") || function.contains("_fail"))
}

fn is_run_time(function: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "compiler_builtins::",
        "__aeabi_",
        "__udiv",
        "__div",
        "__mul",
        "__ash",
        "__lshr",
        "mem",
    ];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix)) && !function.starts_with("mem::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_panic_function_is_seen() {
        let arm = "     1a2: bl\t0x140 <core::panicking::panic_bounds_check> @ imm = #-0x66";
        let riscv = "80000010: jal\t0x80000100 <core::slice::index::slice_index_fail>";
        assert!(branch_target(arm).is_some_and(is_panic));
        assert!(branch_target(riscv).is_some_and(is_panic));
    }

    #[test]
    fn other_branches_are_not() {
        let within = "     1a2: b\t0x148 <core::panicking::panic_fmt+0x8>";
        let ours = "     1a2: bl\t0x140 <mqtt_core::session::Session::fail>";
        assert!(!branch_target(within).is_some_and(is_panic));
        assert!(!branch_target(ours).is_some_and(is_panic));
    }

    #[test]
    fn memcpy_and_division_are_run_time() {
        assert!(is_run_time("memcpy") && is_run_time("__aeabi_uidiv"));
        assert!(!is_run_time("mqtt_core::codec::Reader::bytes"));
    }
}
