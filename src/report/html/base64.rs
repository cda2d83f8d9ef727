//! [`Base64`]: bytes as text that a page can hold (RFC 4648, with padding).
//!
//! It is written here because it takes less than calling a crate for it would have to be argued for.

use std::io::{self, Write};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes what it is given as base64. [`finish`](Self::finish) writes the end.
#[derive(Debug)]
pub(super) struct Base64<'a, W> {
    out: &'a mut W,
    /// The bytes that wait for others: three make four digits.
    waiting: Vec<u8>,
}

impl<'a, W: Write> Base64<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self { out, waiting: Vec::new() }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let used = self.waiting.len();
        let mut digits = digits([self.waiting[0], *self.waiting.get(1).unwrap_or(&0), 0]);
        digits[used + 1..].fill(b'=');
        self.out.write_all(&digits)
    }
}

impl<W: Write> Write for Base64<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        let (whole, rest) = self.waiting.as_chunks::<3>();
        let text: Vec<u8> = whole.iter().flat_map(|three| digits(*three)).collect();
        self.out.write_all(&text)?;
        self.waiting = rest.to_vec();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn digits([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift) as usize & 63])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Base64;

    #[test]
    fn it_writes_what_the_standard_shows() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in examples {
            let mut out = Vec::new();
            let mut base64 = Base64::new(&mut out);
            for byte in bytes.as_bytes().chunks(2) {
                base64.write_all(byte).expect("a vector takes everything");
            }
            base64.finish().expect("a vector takes everything");
            assert_eq!(out, text.as_bytes());
        }
    }
}
