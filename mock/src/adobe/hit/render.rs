//! A hit to its line.
//!
//! Invariant: equal hits give equal bytes, which are one JSON object without line end; not UTF-8 only if the shape says
//! so. Fast enough that the mock is not what a benchmark measures.

use super::pools;
use super::text::{Members, hex, number};
use super::{Absent, Hit};
use crate::adobe::visitor::{Halves, Kind};
use crate::engine::random::{Draw, Lane};

/// Bytes that a value is cut to.
const CUT_BYTES: usize = 255;

impl Hit {
    /// Appends the line, without line end.
    pub(in crate::adobe) fn render(&self, seed: u64, out: &mut Vec<u8>) {
        let draw = &mut Draw::new(seed, Lane::HitFill, self.index);
        let mut hit = Members::open(out, "{");
        hit.text("reportSuite", self.suite);
        if self.shape.old {
            self.render_old(&mut hit, draw)
        } else {
            self.render_new(&mut hit, draw)
        }
        hit.close("}");
    }

    fn render_new(&self, hit: &mut Members<'_>, draw: &mut Draw) {
        let is_plain = self.bot || self.excluded;
        hit.text("bot", if self.bot { "<Bot>" } else { "<Not a bot>" });
        hit.raw(word(draw, pools::PLACES));
        let is_phone = draw.below(6) == 0;
        hit.raw(word(
            draw,
            match (is_phone, self.shape.typed) {
                (false, _) => pools::BROWSERS,
                (true, false) => pools::PHONES,
                (true, true) => pools::TYPED_PHONES,
            },
        ));
        self.render_custom(hit);
        self.render_evars(hit, draw, "eVar");
        render_events(hit, draw);
        self.render_exclude(hit);
        self.render_id(hit, "hitId", self.id);
        hit.number("hitSource", [1, 1, 1, 2, 5, 10][draw.below(6) as usize]);
        hit.text("ip", &self.visitor.ip);
        hit.raw(r#""isErrorPage":false,"javaEnabled":false"#);
        self.render_visitor_id(hit, "mcVisId", self.visitor.mc);
        render_page(hit, draw);
        if !self.excluded {
            render_props(hit, draw);
        }
        if draw.below(10) == 0 {
            render_products(hit, draw);
        }
        hit.text("purchaseId", "");
        hit.number("receivedTimeGMT", self.received_s);
        if !is_plain {
            hit.raw(word(draw, pools::REFERRERS));
        }
        hit.text("service", if draw.below(8) == 0 { "pe" } else { "ss" });
        hit.text("state", "");
        hit.number("timeGMT", self.time_s);
        hit.raw(r#""transactionId":"","truncated":false"#);
        hit.text("userAgent", self.visitor.user_agent);
        hit.number("usesPersistentCookie", if self.bot { 2 } else { 1 });
        self.render_visitor_id(hit, "visId", self.visitor.vis);
        hit.number("visIdType", self.vis_id_type());
        if draw.below(14) == 0 {
            hit.raw(word(draw, if self.shape.typed { pools::TYPED_RARE } else { pools::RARE }));
        }
    }

    fn render_old(&self, hit: &mut Members<'_>, draw: &mut Draw) {
        hit.number("timeGMT", self.time_s);
        hit.number("receivedTimeGMT", self.received_s);
        self.render_id(hit, "hitId", self.id);
        self.render_visitor_id(hit, "mcVisId", self.visitor.mc);
        self.render_visitor_id(hit, "visId", self.visitor.vis);
        hit.number("visIdType", self.vis_id_type());
        self.render_custom(hit);
        render_props(hit, draw);
        self.render_evars(hit, draw, "evar");
        render_events(hit, draw);
        hit.raw(word(draw, pools::OLD));
        hit.text("bot", if self.bot { "<Bot>" } else { "<Not a bot>" });
        render_page(hit, draw);
        hit.raw(r#""usesPersistentCookie":1,"homePage":2,"browserHeight":637,"browserWidth":1349,"javaEnabled":false"#);
        hit.text("ip", &self.visitor.ip);
        hit.raw(r#""isErrorPage":false,"purchaseId":"","referrer":"http://www.harborlight.example/fr/magazine/","state":"""#);
        hit.text("userAgent", self.visitor.user_agent);
        hit.raw(r#""plugins":"","currency":"EUR","hitSource":1,"hierarchies":{"rubriques":{"delim":124,"values":"magazine|jardin|semis"}}"#);
        self.render_exclude(hit);
        hit.raw(r#""service":"ss","transactionId":"","truncated":false,"zip":"","delim":44,"values":[]"#);
    }

    fn render_id(&self, hit: &mut Members<'_>, name: &str, halves: Halves) {
        self.render_half(hit, name, "High", halves.0);
        self.render_half(hit, name, "Low", halves.1);
    }

    fn render_half(&self, hit: &mut Members<'_>, name: &str, half: &str, value: u64) {
        hit.name(name);
        // Put into the name that was just written: `"hitId":` becomes `"hitIdHigh":`.
        hit.out.truncate(hit.out.len() - 2);
        hit.out.extend_from_slice(half.as_bytes());
        hit.out.extend_from_slice(b"\":");
        let quote: &[u8] = if self.shape.quoted_ids { b"\"" } else { b"" };
        hit.out.extend_from_slice(quote);
        let negative = value.wrapping_neg();
        if self.shape.negative_ids && value >= 1 << 63 {
            hit.out.push(b'-');
            number(hit.out, negative);
        } else {
            number(hit.out, value);
        }
        hit.out.extend_from_slice(quote);
    }

    /// An id that may not be there.
    fn render_visitor_id(&self, hit: &mut Members<'_>, name: &str, halves: Halves) {
        match self.shape.absent {
            _ if halves != (0, 0) => self.render_id(hit, name, halves),
            Absent::Zero => self.render_id(hit, name, halves),
            Absent::Null => {
                hit.name(if name == "visId" { "visIdHigh" } else { "mcVisIdHigh" });
                hit.out.extend_from_slice(b"null");
                hit.name(if name == "visId" { "visIdLow" } else { "mcVisIdLow" });
                hit.out.extend_from_slice(b"null");
            }
            Absent::Missing => {}
        }
    }

    fn render_custom(&self, hit: &mut Members<'_>) {
        let custom = &self.visitor.custom;
        match self.shape.absent {
            _ if !custom.is_empty() => hit.escaped("customVisId", custom),
            Absent::Zero => hit.text("customVisId", ""),
            Absent::Null => {
                hit.name("customVisId");
                hit.out.extend_from_slice(b"null");
            }
            Absent::Missing => {}
        }
    }

    fn render_evars(&self, hit: &mut Members<'_>, draw: &mut Draw, prefix: &str) {
        hit.name("evars");
        hit.out.extend_from_slice(b"{\"evars\":");
        let mut evars = Members::open(hit.out, "{");
        if draw.below(3) == 0 {
            evars.text("campaign", word(draw, pools::VALUES));
        }
        let kind = if self.visitor.kind == Kind::CustomOnly { "crm" } else { "anonymous" };
        numbered(&mut evars, prefix, 1);
        evars.out.push(b'"');
        evars.out.extend_from_slice(kind.as_bytes());
        evars.out.push(b'"');
        let mut at = 1;
        for _ in 0..draw.below(5) {
            at += 1 + draw.below(8);
            numbered(&mut evars, prefix, at);
            value(evars.out, draw);
        }
        if self.shape.truncated_utf8 {
            numbered(&mut evars, prefix, at + 1);
            truncated(evars.out);
        }
        evars.close("}}");
    }

    fn render_exclude(&self, hit: &mut Members<'_>) {
        let (id, value, description) = if self.excluded {
            let (id, description) = pools::EXCLUDED[(self.index % pools::EXCLUDED.len() as u64) as usize];
            (id, "yes", description)
        } else {
            (0, "no", "include")
        };
        hit.name("exclude");
        let quote = if self.shape.old || self.shape.typed { "" } else { "\"" };
        let text = format!(r#"{{"id":{quote}{id}{quote},"value":"{value}","description":"{description}"}}"#);
        hit.out.extend_from_slice(text.as_bytes());
    }
}

fn word(draw: &mut Draw, words: &[&'static str]) -> &'static str {
    draw.pick::<&'static str>(words)
}

/// The name `prefix` + `at`, and a colon.
fn numbered(members: &mut Members<'_>, prefix: &str, at: u64) {
    members.name(prefix);
    members.out.truncate(members.out.len() - 2);
    number(members.out, at);
    members.out.extend_from_slice(b"\":");
}

/// A string from the pool, or one that occurs nowhere else.
fn value(out: &mut Vec<u8>, draw: &mut Draw) {
    out.push(b'"');
    if draw.below(8) == 0 {
        hex(out, draw.next(), 16);
        hex(out, draw.next(), 16);
    } else {
        out.extend_from_slice(word(draw, pools::VALUES).as_bytes());
    }
    out.push(b'"');
}

/// A string of 255 bytes which ends inside of a character.
fn truncated(out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(b"q:");
    while out.len() - start < CUT_BYTES {
        out.extend_from_slice("収".as_bytes());
    }
    out.truncate(start + CUT_BYTES);
    out.push(b'"');
}

fn render_events(hit: &mut Members<'_>, draw: &mut Draw) {
    let first = draw.below(pools::EVENTS.len() as u64 * 2) as usize;
    let Some(events) = pools::EVENTS.get(first..) else { return };
    hit.name("events");
    let mut members = Members::open(hit.out, "{");
    if draw.below(10) == 0 {
        members.raw(r#""purchase":[{"count":1,"exponent":0,"unique":""}],"revenue":[{"count":19145,"exponent":-2,"unique":""}]"#);
    }
    for event in events.iter().take(1 + draw.below(3) as usize) {
        members.raw(event);
    }
    members.close("}");
}

fn render_page(hit: &mut Members<'_>, draw: &mut Draw) {
    let (name, path) = draw.pick(pools::PAGES);
    hit.text("pageName", name);
    hit.name("pageURL");
    hit.out.extend_from_slice(b"\"https://www.harborlight.example/");
    hit.out.extend_from_slice(path.as_bytes());
    hit.out.push(b'"');
}

fn render_props(hit: &mut Members<'_>, draw: &mut Draw) {
    hit.name("props");
    let mut props = Members::open(hit.out, "{");
    props.text("site_section", word(draw, &["home", "outdoor", "kitchen", "checkout", "インテリア"]));
    let mut at = 0;
    for _ in 0..draw.below(4) {
        at += 1 + draw.below(9);
        numbered(&mut props, "prop", at);
        value(props.out, draw);
    }
    props.close("}");
}

fn render_products(hit: &mut Members<'_>, draw: &mut Draw) {
    hit.name("products");
    hit.out.push(b'[');
    for number in 0..1 + draw.below(4) {
        if number > 0 {
            hit.out.push(b',');
        }
        hit.out.extend_from_slice(word(draw, pools::PRODUCTS).as_bytes());
    }
    hit.out.push(b']');
}
