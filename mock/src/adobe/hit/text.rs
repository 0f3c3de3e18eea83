//! JSON text, fast: members appended to a buffer.
//!
//! Invariant: what is appended is valid JSON if the raw parts are. Knows no hits.

/// Writes the members of an object.
pub(super) struct Members<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// Whether a comma must come first.
    has_member: bool,
}

impl<'a> Members<'a> {
    /// Opens an object, or whatever `open` is.
    pub(super) fn open(out: &'a mut Vec<u8>, open: &str) -> Self {
        out.extend_from_slice(open.as_bytes());
        Self { out, has_member: false }
    }

    /// A member's name and colon.
    pub(super) fn name(&mut self, name: &str) {
        if self.has_member {
            self.out.push(b',');
        }
        self.has_member = true;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Members as they are, without comma at either end.
    pub(super) fn raw(&mut self, members: &str) {
        if self.has_member {
            self.out.push(b',');
        }
        self.has_member = true;
        self.out.extend_from_slice(members.as_bytes());
    }

    /// A string that needs no escapes.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A string that may need escapes.
    pub(super) fn escaped(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        for byte in value.bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        number(self.out, value);
    }

    pub(super) fn close(self, close: &str) {
        self.out.extend_from_slice(close.as_bytes());
    }
}

/// Appends a decimal number.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `digits` lower-case hexadecimal digits of `value`.
pub(super) fn hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * digit) & 15) as usize]);
    }
}
