//! The laws of telephones (ITU-T G.711).

/// A-law as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// and every second bit is inverted. The value is the middle of its step.
pub(in crate::audio) fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 15));
    let size = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

/// Mu-law as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// all inverted. They stand for the value plus 33 * 4.
pub(in crate::audio) fn mu_law(code: u8) -> i16 {
    let code = !code;
    let size = (((i16::from(code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest, the smallest and one value in between, on the scale of 16 bits.
    #[test]
    fn laws_of_telephones() {
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55, 0xb5].map(a_law), [32_256, -32_256, 8, -8, 8_448]);
        assert_eq!([0x80, 0x00, 0xff, 0x7f, 0xfe].map(mu_law), [32_124, -32_124, 0, 0, 8]);
        // The codes of positive numbers rise with them, and those of negative ones mirror them.
        let positive: Vec<i16> = (0x80..=0xff).map(|code: u8| a_law(code ^ 0x55)).collect();
        assert!(
            positive.is_sorted_by(|a, b| a < b)
                && (0..=0xff).all(|code| a_law(code) == -a_law(code ^ 0x80))
        );
        let falling: Vec<i16> = (0x80..=0xff).map(mu_law).collect();
        assert!(
            falling.is_sorted_by(|a, b| a > b)
                && (0..=0xff).all(|code| mu_law(code) == -mu_law(code ^ 0x80))
        );
    }
}
