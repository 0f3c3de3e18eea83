//! Where the parts of a JSON text are. It finds their ends and does not judge what is between: whoever takes a part out has to
//! look at it with a parser.
//!
//! Invariant: it never goes back and never beyond the end, and needs no memory however deep the text is nested.

/// What cannot be taken apart: it is no JSON object, nor an array of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a JSON object, nor an array of them")]
pub struct Unreadable;

/// A place in a text.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    /// How far it was scanned.
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The byte here.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// What lies between two places.
    pub(crate) fn part(&self, from: usize, to: usize) -> &'a [u8] {
        &self.text[from..to]
    }

    /// What lies behind a place.
    pub(crate) fn rest(&self, from: usize) -> &'a [u8] {
        &self.text[from..]
    }

    /// Skips white space.
    pub(crate) fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Skips this byte, which has to be here.
    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// Skips a string; its bytes, quotes included.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Unreadable> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            let rest = self.text.get(self.at..).ok_or(Unreadable)?;
            let mark = memchr::memchr2(b'"', b'\\', rest).ok_or(Unreadable)?;
            self.at += mark + 1;
            if rest[mark] == b'"' {
                return Ok(self.part(start, self.at));
            }
            // Whatever is escaped ends nothing.
            self.at += 1;
        }
    }

    /// Skips a value; its bytes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Unreadable> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => return self.string(),
            Some(b'{' | b'[') => self.nested()?,
            _ => {
                let ends = |byte: u8| {
                    is_space(byte) || matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[')
                };
                while self.peek().is_some_and(|byte| !ends(byte)) {
                    self.at += 1;
                }
            }
        }
        if self.at == start { Err(Unreadable) } else { Ok(self.part(start, self.at)) }
    }

    /// Skips an object or an array.
    fn nested(&mut self) -> Result<(), Unreadable> {
        let mut depth = 0u64;
        loop {
            match self.peek().ok_or(Unreadable)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
