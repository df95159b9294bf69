//! Log lines by `defmt`, by `log`, or by neither.

macro_rules! log_line {
    ($level:ident, $text:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($text $(, $argument)*);
        #[cfg(feature = "log")]
        log::$level!($text $(, $argument)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        let _ = ($(&$argument,)*);
    }};
}

macro_rules! warning {
    ($($line:tt)*) => { log_line!(warn, $($line)*) };
}

macro_rules! info {
    ($($line:tt)*) => { log_line!(info, $($line)*) };
}

macro_rules! debug {
    ($($line:tt)*) => { log_line!(debug, $($line)*) };
}
