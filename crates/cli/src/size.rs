//! Amounts as people write them.

/// Reads a number of bytes: `1500`, `100M` (powers of 1000), `64Ki` (powers of 1024).
///
/// # Errors
/// What would be right.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err(wrong(text)),
    };
    let number: u64 = number.parse().map_err(|_| wrong(text))?;
    number.checked_mul(factor).ok_or_else(|| wrong(text))
}

fn wrong(text: &str) -> String {
    format!("`{text}` is no number of bytes, as 1500, 100M or 64Ki")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1000_or_1024() {
        let cases = [("0", 0), ("1500", 1_500), ("100M", 100_000_000), ("64KiB", 65_536)];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "1.5M", "-1", "10X", "99999999999G"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
