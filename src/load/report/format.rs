//! Numbers as people read them: three significant digits, thousands apart, a unit that fits.

/// What stands where nothing was measured.
pub(super) const NOT_MEASURED: &str = "not measured";

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Things that are counted.
    Count,
    /// A figure without a unit.
    Plain,
    /// Things a second.
    PerSecond,
    /// Milliseconds.
    Millis,
    /// Seconds of processor.
    Seconds,
    /// Bytes.
    Bytes,
    /// Processors in use.
    Cores,
    /// Per cent an hour.
    PercentPerHour,
}

impl Unit {
    /// The unit that the name of a figure ends with, as in `overhead_p99_ms`.
    pub(super) fn of_name(name: &str) -> Self {
        let endings = [
            ("_percent_per_hour", Self::PercentPerHour),
            ("_per_s", Self::PerSecond),
            ("_ms", Self::Millis),
            ("_bytes", Self::Bytes),
            ("_cores", Self::Cores),
            ("_s", Self::Seconds),
            ("cpu_s_per_1000", Self::Seconds),
        ];
        endings.iter().find(|(ending, _)| name.ends_with(ending)).map_or(Self::Plain, |(_, unit)| *unit)
    }

    /// A number of this unit, with the unit.
    pub(super) fn text(self, number: f64) -> String {
        match self {
            Self::Plain => figure(number),
            Self::Count if number.fract() == 0.0 => figure(number),
            Self::Count => figure(number.round()),
            Self::PerSecond => figure(number) + "/s",
            Self::Millis => millis(number),
            Self::Seconds => figure(number) + " s",
            Self::Bytes => bytes(number),
            Self::Cores => figure(number) + if figure(number) == "1" { " core" } else { " cores" },
            Self::PercentPerHour => figure(number) + " %/h",
        }
    }

    /// The same, or that it was not measured.
    pub(super) fn text_or_none(self, number: Option<f64>) -> String {
        number.map_or_else(|| NOT_MEASURED.to_owned(), |number| self.text(number))
    }

    /// Two numbers that are no further apart than this are the same: what no stopwatch of a loaded machine tells apart.
    pub(super) fn tolerance(self) -> f64 {
        match self {
            Self::Millis => 0.2,
            Self::PercentPerHour => 1.0,
            _ => 0.0,
        }
    }
}

/// A whole number with its thousands apart: `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number to three significant digits, a large one to its last whole digit: `0.123`, `4.5`, `12.3`, `12,345`.
pub(super) fn figure(number: f64) -> String {
    if !number.is_finite() {
        return NOT_MEASURED.to_owned();
    }
    let size = number.abs();
    let text = if size >= 999.5 {
        count(whole(size))
    } else {
        let decimals = match size {
            99.95.. => 0,
            9.995.. => 1,
            0.9995.. => 2,
            _ => 3,
        };
        let text = format!("{size:.decimals$}");
        if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
    };
    if number < 0.0 && text != "0" { format!("-{text}") } else { text }
}

/// The nearest whole number; 0 for what is below.
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A count as a coordinate; beyond 2^53 the last digits are lost, which no plot shows.
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// A time in milliseconds, in the unit that suits it: `0.42 ms`, `4.2 s`, `3 min 05 s`.
pub(super) fn millis(ms: f64) -> String {
    match ms {
        120_000.0.. => duration(ms / 1_000.0),
        999.5.. => figure(ms / 1_000.0) + " s",
        0.0 => "0".to_owned(),
        _ => figure(ms) + " ms",
    }
}

/// A size in bytes, in the unit that suits it: `12.3 MiB`.
pub(super) fn bytes(number: f64) -> String {
    let (mut size, mut unit) = (number, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size.abs() < 1023.5 {
            break;
        }
        (size, unit) = (size / 1_024.0, next);
    }
    if size == 0.0 { "0".to_owned() } else { format!("{} {unit}", figure(size)) }
}

/// A time in seconds: `0.5 s`, `42 s`, `5 min`, `5 min 02 s`, `1 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 59.5 {
        return if seconds < 9.95 { figure(seconds) } else { whole(seconds).to_string() } + " s";
    }
    let whole = whole(seconds);
    let (large, small, names) = match whole {
        3_600.. => (whole / 3_600, whole % 3_600 / 60, ["h", "min"]),
        _ => (whole / 60, whole % 60, ["min", "s"]),
    };
    match small {
        0 => format!("{large} {}", names[0]),
        _ => format!("{large} {} {small:02} {}", names[0], names[1]),
    }
}

/// A ratio: `0.98`, `1.20`, `12.5`, `1,234`.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        99.95.. => figure(ratio),
        9.995.. => format!("{ratio:.1}"),
        _ => format!("{ratio:.2}"),
    }
}

/// `1 promise`, `2 promises`.
pub(super) fn several(number: usize, name: &str) -> String {
    format!(
        "{} {name}{}",
        count(u64::try_from(number).unwrap_or(u64::MAX)),
        if number == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        let cases = [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn figures_have_three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (0.0001, "0"),
            (-0.0001, "0"),
            (0.1234, "0.123"),
            (0.9996, "1"),
            (1.0, "1"),
            (1.5, "1.5"),
            (1.234, "1.23"),
            (9.996, "10"),
            (12.34, "12.3"),
            (99.96, "100"),
            (100.4, "100"),
            (999.4, "999"),
            (999.6, "1,000"),
            (12_345.6, "12,346"),
            (-12.34, "-12.3"),
            (f64::NAN, NOT_MEASURED),
            (f64::INFINITY, NOT_MEASURED),
        ];
        for (number, expected) in cases {
            assert_eq!(figure(number), expected, "{number}");
        }
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let cases = [
            (0.0, "0"),
            (0.42, "0.42 ms"),
            (12.34, "12.3 ms"),
            (999.4, "999 ms"),
            (999.6, "1 s"),
            (1_234.0, "1.23 s"),
            (61_000.0, "61 s"),
            (185_000.0, "3 min 05 s"),
        ];
        for (ms, expected) in cases {
            assert_eq!(millis(ms), expected, "{ms}");
        }
        let cases = [
            (0.0, "0 s"),
            (0.5, "0.5 s"),
            (42.4, "42 s"),
            (59.6, "1 min"),
            (60.0, "1 min"),
            (302.0, "5 min 02 s"),
            (3_599.6, "1 h"),
            (3_900.0, "1 h 05 min"),
            (90_000.0, "25 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        let cases = [
            (0.0, "0"),
            (1.0, "1 B"),
            (1_023.0, "1,023 B"),
            (1_024.0, "1 KiB"),
            (1_536.0, "1.5 KiB"),
            (1_048_575.0, "1 MiB"),
            (12.3 * 1_048_576.0, "12.3 MiB"),
            (5e15, "4,547 TiB"),
        ];
        for (size, expected) in cases {
            assert_eq!(bytes(size), expected, "{size}");
        }
    }

    #[test]
    fn the_name_of_a_figure_tells_its_unit() {
        let cases = [
            ("overhead_p99_ms", 812.0, "812 ms"),
            ("memory_max_bytes", 1_048_576.0, "1 MiB"),
            ("messages_per_s", 412.3, "412/s"),
            ("memory_slope_percent_per_hour", 0.5, "0.5 %/h"),
            ("cpu_s_per_1000", 3.21, "3.21 s"),
            ("recovery_s", 4.0, "4 s"),
            ("refused", 0.0, "0"),
        ];
        for (name, number, expected) in cases {
            assert_eq!(Unit::of_name(name).text(number), expected, "{name}");
        }
        assert_eq!(Unit::Cores.text(1.0), "1 core");
        assert_eq!(Unit::Cores.text(1.5), "1.5 cores");
        assert_eq!(Unit::Millis.text_or_none(None), NOT_MEASURED);
    }

    #[test]
    fn ratios_and_numbers_of_things_read_well() {
        let cases = [(0.984, "0.98"), (1.2, "1.20"), (12.54, "12.5"), (1_234.0, "1,234")];
        for (number, expected) in cases {
            assert_eq!(ratio(number), expected);
        }
        assert_eq!(several(1, "promise"), "1 promise");
        assert_eq!(several(0, "promise"), "0 promises");
    }
}
