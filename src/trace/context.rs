//! The ids of a span, and how they are written for others (W3C Trace Context).

use std::fmt;

/// Bytes of a `traceparent`.
const LENGTH: usize = 55;

/// The digits of ids.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Trace, span, and whether the trace is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

/// A context as the header `traceparent` has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; LENGTH]);

impl Context {
    /// Of these numbers. Zero is no id, so it becomes one.
    pub fn new(trace_id: u128, span_id: u64, sampled: bool) -> Self {
        Self { trace_id: trace_id.max(1).to_be_bytes(), span_id: span_id.max(1).to_be_bytes(), sampled }
    }

    /// Another span of the same trace.
    pub fn child(self) -> Self {
        Self { span_id: rand::random::<u64>().max(1).to_be_bytes(), ..self }
    }

    /// The same trace, which is kept after all.
    pub fn kept(self) -> Self {
        Self { sampled: true, ..self }
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> &[u8; 16] {
        &self.trace_id
    }

    /// The id of the span.
    pub fn span_id(&self) -> &[u8; 8] {
        &self.span_id
    }

    /// Whether the trace is kept.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// How it is written for others.
    pub fn traceparent(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (trace, span) = (&mut text[3..35], &self.trace_id);
        hex(trace, span);
        hex(&mut text[36..52], &self.span_id);
        text[54] = if self.sampled { b'1' } else { b'0' };
        Traceparent(text)
    }
}

fn hex(text: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl Traceparent {
    /// Its text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_standard_says() {
        let context = Context::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, true);
        let text = |context: Context| format!("{:?}", context.traceparent());
        assert_eq!(text(context), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let child = Context { sampled: false, ..context.child() };
        assert!(text(child).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{child:?}");
        assert!(text(child).ends_with("-00") && child.span_id() != context.span_id());
        assert_eq!(text(Context::new(0, 0, false)), format!("00-{:032x}-{:016x}-00", 1, 1), "zero is no id");
    }
}
