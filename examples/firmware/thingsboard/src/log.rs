//! Log lines where there is a logger, nothing elsewhere.

macro_rules! line {
    ($level:ident, $($argument:expr),+) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($($argument),+);
        #[cfg(not(feature = "defmt"))]
        let _ = ($(&$argument),+);
    }};
}

macro_rules! info {
    ($($argument:expr),+ $(,)?) => { crate::log::line!(info, $($argument),+) };
}

macro_rules! warning {
    ($($argument:expr),+ $(,)?) => { crate::log::line!(warn, $($argument),+) };
}

macro_rules! error {
    ($($argument:expr),+ $(,)?) => { crate::log::line!(error, $($argument),+) };
}

pub(crate) use {error, info, line, warning as warn};
