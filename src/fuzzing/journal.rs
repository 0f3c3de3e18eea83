//! Records of the id journal and packed values: what is packed comes out, and of any bytes comes what packs to the same bytes, or
//! an error.

use super::Input;
use crate::model::packed;
use crate::model::text::Text;
use crate::model::types::{Dated, EventId, Run};
use crate::sink::kafka::journal::{Audit, Head, pack, unpack};

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => check_bytes(input.rest),
        1 => check_ids(&mut input),
        2 => check_values(&mut input),
        _ => check_audit(&mut input),
    }
}

fn check_bytes(bytes: &[u8]) {
    let mut ids = Vec::new();
    match unpack(bytes, &mut ids) {
        Ok(Head { received_ms, numbered: Some((ran_ms, first)) }) => {
            let dated = Dated { committed_ms: 0, ran_ms, received_ms };
            let mut again = Vec::new();
            pack(&Run { dated, first, ids: &ids }, &mut again);
            assert_eq!(again, bytes);
        }
        Ok(Head { numbered: None, .. }) => assert_eq!(ids.len(), bytes.len() / 16, "an older version"),
        Err(_) => assert!(ids.is_empty(), "nothing of what cannot be read"),
    }
    assert!(packed::values(bytes).flatten().map(<[u8]>::len).sum::<usize>() <= bytes.len());
}

fn check_ids(input: &mut Input<'_>) {
    let (ran_ms, first) = (input.number(), input.number());
    let received_ms = input.maybe(Input::signed).filter(|time| *time != i64::MIN);
    let ids = input.some(40, |input| EventId(u128::from(input.number()) << 64 | u128::from(input.number())));
    let (mut bytes, mut back) = (vec![7], Vec::new());
    pack(&Run { dated: Dated { committed_ms: 0, ran_ms, received_ms }, first, ids: &ids }, &mut bytes);
    assert_eq!(unpack(&bytes, &mut back), Ok(Head { received_ms, numbered: Some((ran_ms, first)) }));
    assert_eq!(back, ids);
}

fn check_values(input: &mut Input<'_>) {
    let values = input.some(8, |input| input.maybe(Input::bytes));
    let mut text = Text::default();
    values.iter().for_each(|value| packed::push(&mut text, *value));
    assert_eq!(packed::values(&text).collect::<Vec<_>>(), values);
}

/// Numbers of ids may be anything, since they were read: nothing overflows, and no more are missing than are needed.
fn check_audit(input: &mut Input<'_>) {
    let needed = input.number()..input.number();
    let mut audit = Audit::new(needed.clone());
    for (first, count) in input.some(8, |input| (input.number(), usize::from(input.byte()))) {
        assert!(audit.take(first, count) <= count);
    }
    assert!(audit.missing() <= needed.end.saturating_sub(needed.start));
}
