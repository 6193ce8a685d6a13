//! Percent-encoding of path segments and names (RFC 3986, 2.1), over bytes.

/// Text in which every byte but RFC 3986's unreserved ones is `%XX`.
///
/// The segments `.` and `..` are encoded too: left plain, clients and proxies
/// take them for steps in the path.
pub fn encode(bytes: &[u8]) -> String {
    let dots = matches!(bytes, b"." | b"..");
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~')
            || (byte == b'.' && !dots);
        if plain {
            text.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

/// A `%` without two hexadecimal digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: % needs two hexadecimal digits behind it; write % itself as %25")]
pub struct BadEscape {
    /// Offset of the `%`, in bytes.
    pub at: usize,
}

/// The bytes that a percent-encoded text stands for.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, BadEscape> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'%' {
            let digit = |offset: usize| {
                let digit = char::from(*text.get(at + offset)?).to_digit(16)?;
                u8::try_from(digit).ok()
            };
            let (Some(high), Some(low)) = (digit(1), digit(2)) else {
                return Err(BadEscape { at });
            };
            bytes.push(high << 4 | low);
            at += 3;
        } else {
            bytes.push(byte);
            at += 1;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Ok(all));
        assert_eq!(encode(b"a/b c%\xff"), "a%2Fb%20c%25%FF");
        assert_eq!((encode(b".."), encode(b"a.b")), ("%2E%2E".into(), "a.b".into()));
    }

    #[test]
    fn a_broken_escape_says_where() {
        for text in ["ab%", "ab%f", "ab%fg", "ab%%41"] {
            assert_eq!(decode(text.as_bytes()), Err(BadEscape { at: 2 }), "{text}");
        }
    }
}
