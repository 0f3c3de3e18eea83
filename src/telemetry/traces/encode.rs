//! Spans as OTLP's protobuf has them (`opentelemetry/proto/trace/v1/trace.proto`): a pure function. Fields that are left at their
//! default are not written, as protobuf wants it.

use crate::trace::{Context, Kind, Span, Value};

/// The name of what makes the spans.
const SCOPE: &str = "tributary";

/// Code of the status of a span that failed.
const ERROR: u64 = 2;

/// Protobuf's wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// A message as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn number(mut self, field: u32, number: u64) -> Self {
        if number != 0 {
            self.tag(field, VARINT);
            self.varint(number);
        }
        self
    }

    fn fixed64(mut self, field: u32, number: u64) -> Self {
        self.tag(field, FIXED64);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn fixed32(mut self, field: u32, number: u32) -> Self {
        self.tag(field, FIXED32);
        self.0.extend(number.to_le_bytes());
        self
    }

    /// Bytes, text or a message; also where it is empty, since in a list and in a choice that says something.
    fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(self, field: u32, message: Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn messages(self, field: u32, messages: impl IntoIterator<Item = Self>) -> Self {
        messages.into_iter().fold(self, |all, message| all.message(field, message))
    }
}

/// An `ExportTraceServiceRequest` of these spans.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    request_of(env!("CARGO_PKG_VERSION"), resource, spans)
}

fn request_of(version: &str, resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let attributes = resource.iter().map(|(key, text)| attribute(key, text_value(text)));
    let resource = Message::default().messages(1, attributes);
    let scope = Message::default().bytes(1, SCOPE.as_bytes()).bytes(2, version.as_bytes());
    let of_scope = Message::default().message(1, scope).messages(2, spans.iter().map(span));
    let of_resource = Message::default().message(1, resource).message(2, of_scope);
    let request = Message::default();
    if spans.is_empty() { request.0 } else { request.message(1, of_resource).0 }
}

fn span(span: &Span) -> Message {
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Client => 3,
        Kind::Producer => 4,
    };
    let mut message = Message::default().bytes(1, span.context.trace_id()).bytes(2, span.context.span_id());
    if let Some(parent) = &span.parent {
        message = message.bytes(4, parent.span_id());
    }
    message = message
        .bytes(5, span.name.as_bytes())
        .number(6, kind)
        .fixed64(7, span.start_ns)
        .fixed64(8, span.end_ns)
        .messages(9, span.attributes.iter().map(|(key, said)| attribute(key, value(said))))
        .messages(13, span.links.iter().map(link));
    if let Some(error) = &span.error {
        message = message.message(15, Message::default().bytes(2, error.as_bytes()).number(3, ERROR));
    }
    message.fixed32(16, flags(&span.context))
}

fn link(to: &Context) -> Message {
    Message::default().bytes(1, to.trace_id()).bytes(2, to.span_id()).fixed32(6, flags(to))
}

/// The flags of W3C Trace Context.
fn flags(context: &Context) -> u32 {
    u32::from(context.is_sampled())
}

fn attribute(key: &str, value: Message) -> Message {
    Message::default().bytes(1, key.as_bytes()).message(2, value)
}

fn value(value: &Value) -> Message {
    match value {
        Value::Text(text) => text_value(text),
        Value::Number(number) => {
            // A choice is written although it is zero.
            let mut message = Message::default();
            message.tag(3, VARINT);
            message.varint(number.cast_unsigned());
            message
        }
    }
}

fn text_value(text: &str) -> Message {
    Message::default().bytes(1, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the standard's own messages (opentelemetry-proto 0.33, prost) come to for the span below.
    const STANDARD: &str = "0ae4010a150a130a0c736572766963652e6e616d6512030a017412ca010a120a097472696275746172791205302e312e3012\
         b3010a104bf92f3577b34da6a3ce929d0e0e4736120800f067aa0ba902b7220800000000000000072a06636f6d6d69743004\
         3901002a36fe9c9717412c012a36fe9c97174a0b0a047465787412030a01614a0a0a047a65726f120218004a130a046c6573\
         73120b18ffffffffffffffffff014a0b0a046d616e79120318ac026a210a1000000000000000000000000000000001120800\
         0000000000000235010000007a0b120761626f727465641802850101000000";

    #[test]
    fn a_request_is_what_the_standard_says_to_the_byte() {
        let spans = [Span {
            name: "commit",
            kind: Kind::Producer,
            context: Context::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, true),
            parent: Some(Context::new(9, 7, true)),
            start_ns: 1_700_000_000_000_000_001,
            end_ns: 1_700_000_000_000_000_300,
            attributes: vec![
                ("text", Value::from("a")),
                ("zero", Value::from(0)),
                ("less", Value::Number(-1)),
                ("many", Value::from(300)),
            ],
            links: vec![Context::new(1, 2, true)],
            error: Some("aborted".into()),
        }];
        let request = request_of("0.1.0", &[("service.name".into(), "t".into())], &spans);
        let hex: String = request.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, STANDARD);
    }

    #[test]
    fn numbers_are_written_as_protobuf_has_them() {
        let bytes = |message: Message| message.0;
        assert_eq!(bytes(Message::default().number(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(bytes(Message::default().number(1, 0)), [0; 0]);
        assert_eq!(bytes(Message::default().bytes(2, b"hi")), [0x12, 2, b'h', b'i']);
        assert_eq!(bytes(Message::default().bytes(16, b"")), [0x82, 0x01, 0]);
        assert_eq!(bytes(Message::default().fixed32(16, 1)), [0x85, 0x01, 1, 0, 0, 0]);
        assert_eq!(bytes(value(&Value::Number(0))), [0x18, 0]);
        assert_eq!(bytes(value(&Value::Number(-1))).len(), 11);
        assert_eq!(request(&[("a".into(), "b".into())], &[]), [0; 0]);
    }
}
