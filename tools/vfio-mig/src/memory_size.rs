// SPDX-License-Identifier: GPL-2.0

//! Sizes of memory, such as `4G`.

/// Reads a number of bytes with an optional unit `K`, `M`, `G` or `T`.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size is a number, with K, M, G or T after it".to_owned())?;
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        unit => return Err(format!("there is no unit {unit}; there are K, M, G and T")),
    };
    let bytes = number.checked_mul(1 << shift);
    bytes.ok_or_else(|| "this size is too large".to_owned())
}

/// The number of bytes in the largest unit that it is a multiple of.
pub fn text(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |shift: u32| bytes != 0 && bytes % (1 << shift) == 0;
    match units.into_iter().find(|(shift, _)| whole(*shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse("4g"), Ok(4 << 30));
        assert_eq!(parse("17"), Ok(17));
        assert_eq!(text(8 << 20), "8 MiB");
        assert_eq!(text(17), "17 bytes");
        for wrong in ["", "G", "4X", "-1", "99999999T", "4 G"] {
            parse(wrong).unwrap_err();
        }
    }
}
