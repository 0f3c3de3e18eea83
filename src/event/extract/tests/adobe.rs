//! Adobe hits: ids and visitors of 64-bit halves, times in seconds, and shapes that drift.

use super::*;

mod floats;

const HIT_TYPE: &str = "com.adobe.analytics.hit";

pub(super) fn adobe() -> Config {
    Config {
        id: Id::Pair { high: "hitIdHigh".into(), low: "hitIdLow".into() },
        key: Key::AdobeVisitor,
        event_type: EventType::Constant(HIT_TYPE),
        topic_fields: vec!["reportSuite".into()],
        occurred: "timeGMT".into(),
        processed: "receivedTimeGMT".into(),
        times: TimeFormat::UnixSeconds,
        time: None,
        header_fields: Vec::new(),
        offset: None,
        position_only_type: None,
        spelling: Spelling { ignore_evar_case: true },
        filters: Filters::default(),
    }
}

fn extract<T>(config: &Config, line: &[u8], of: impl FnOnce(Result<Line<'_>, ExtractError<'_>>) -> T) -> T {
    of(Extractor::new(config).unwrap().extract(line))
}

fn hit<T>(line: &str, of: impl FnOnce(Record<'_>) -> T) -> T {
    extract(&adobe(), line.as_bytes(), |found| match found {
        Ok(Line::Event(record)) => of(record),
        other => panic!("{line}: {other:?}"),
    })
}

fn id(halves: &str) -> String {
    hit(&format!("{{{halves}}}"), |record| String::from_utf8(record.id_text.to_vec()).unwrap())
}

fn key(members: &str) -> String {
    let line = format!(r#"{{"hitIdHigh":1,"hitIdLow":2,{members}}}"#);
    hit(&line, |record| String::from_utf8(record.key.unwrap().to_vec()).unwrap())
}

/// What each line of the reference's examples is about, with their containers.
const EXAMPLES: [(&str, &str, &str); 10] = [
    (
        r#"{"reportSuite":"harborprod","bot":"<Not a bot>","customVisId":"","evars":{"evars":{"eVar1":"home"}},"exclude":{"id":"0","value":"no","description":"include"},"geoDMA":0,"hitIdHigh":3581960277124087808,"hitIdLow":6917541213830176402,"ip":"198.51.100.24","javaEnabled":false,"mcVisIdHigh":2140977716605128417,"mcVisIdLow":7305519820116640952,"props":{"prop1":"nl"},"receivedTimeGMT":1781512803,"timeGMT":1781512803,"userAgent":"","visIdHigh":2140977716605128417,"visIdLow":7305519820116640952,"visIdType":5}"#,
        "3581960277124087808-6917541213830176402",
        "v:2140977716605128417:7305519820116640952",
    ),
    (
        r#"{"hitIdHigh":3581960281419055104,"hitIdLow":5764607628146933761,"evars":{"evars":{"campaign":"em:2026-06"}},"events":{"productViews":[{"count":1,"exponent":0,"unique":""}],"event12":[{"count":1842,"exponent":-3,"unique":""}]},"mobileAudioSupport":"","products":[{"category":"Camping","evars":{"evars":{"eVar16":"x"}},"events":{"event4":[{"count":1}]},"name":"HL","revenue":0,"units":0}],"visIdHigh":6482390125517704836,"visIdLow":1094472008331276615}"#,
        "3581960281419055104-5764607628146933761",
        "v:6482390125517704836:1094472008331276615",
    ),
    (
        r#"{"hitIdHigh":3581960285714022400,"hitIdLow":4611686056372797530,"events":{"carts":[{"count":1,"exponent":0,"unique":"a1b2c3d4e5f6a7b8c9d0"}]},"mobileCookieSupport":true,"mobileScreenHeight":2532,"visIdHigh":918273645546372819,"visIdLow":4527001836649913370}"#,
        "3581960285714022400-4611686056372797530",
        "v:918273645546372819:4527001836649913370",
    ),
    (
        r#"{"hitIdHigh":3581960290008989696,"hitIdLow":8070450571084218371,"products":[{"name":"a","revenue":64.5,"units":1},{"name":"b","evars":{}}],"tnt":[{"campaignId":"1","actionId":""}],"transactionId":"UK-2026","visIdHigh":5033172901844620097,"visIdLow":3370288153920041186}"#,
        "3581960290008989696-8070450571084218371",
        "v:5033172901844620097:3370288153920041186",
    ),
    (
        r#"{"hitIdHigh":3581960294303956992,"hitIdLow":1152921541312806913,"pageName":"","service":"pe","visIdHigh":7761120938450027714,"visIdLow":295518806473310029}"#,
        "3581960294303956992-1152921541312806913",
        "v:7761120938450027714:295518806473310029",
    ),
    (
        r#"{"customVisId":"crm-55120983","geoCity":"são paulo","hitIdHigh":3581960298598924288,"hitIdLow":2305843030688530947,"products":[],"visIdHigh":4210095533872116740,"visIdLow":6104437709921583302,"visIdType":0}"#,
        "3581960298598924288-2305843030688530947",
        "v:4210095533872116740:6104437709921583302",
    ),
    (
        r#"{"bot":"<Bot>","evars":{"evars":{}},"hitIdHigh":3581960302893891584,"hitIdLow":9223372062624579585,"mcVisIdHigh":0,"mcVisIdLow":0,"visIdHigh":3917720045110284611,"visIdLow":712399450811236104}"#,
        "3581960302893891584-9223372062624579585",
        "v:3917720045110284611:712399450811236104",
    ),
    (
        r#"{"exclude":{"id":"4","value":"yes","description":"excluded by IP address"},"hitIdHigh":3581960307188858880,"hitIdLow":3458764540250832897,"visIdHigh":8102937465564738291,"visIdLow":1029384756657483920}"#,
        "3581960307188858880-3458764540250832897",
        "v:8102937465564738291:1029384756657483920",
    ),
    (
        r#"{"evars":{"evars":{"eVar2":"インテリア:収納"}},"hitIdHigh":3581960311483826176,"hitIdLow":17870283330242412545,"mobileAudioSupport":false,"hierarchies":{"1":{"delim":":","values":["トップ"]}},"mcAudiences":{"values":["1104881"],"delim":44},"mvvars":{"1":{"m":{"values":["a","b"],"delim":44}}},"tntAction":[{"actionId":"65535"}],"visIdHigh":4470018233659012885,"visIdLow":5518270036619402731}"#,
        "3581960311483826176-17870283330242412545",
        "v:4470018233659012885:5518270036619402731",
    ),
    (
        r#"{"hitIdHigh":2694173829551030272,"hitIdLow":4611687118939172864,"visIdHigh":3301274488160097531,"visIdLow":620811930274415688,"evars":{"evars":{"evar1":"article"}},"events":{"event7":[{"count":0}]},"geoLatitude":45.7589,"homePage":2,"hierarchies":{"rubriques":{"delim":124,"values":"magazine|jardin"}},"exclude":{"id":0,"value":"no"},"delim":44,"values":[]}"#,
        "2694173829551030272-4611687118939172864",
        "v:3301274488160097531:620811930274415688",
    ),
];

#[test]
fn the_documented_shapes_are_taken() {
    for (line, id, key) in EXAMPLES {
        hit(line, |record| {
            assert_eq!(*record.id_text, *id.as_bytes(), "{line}");
            assert_eq!(record.key.as_deref(), Some(key.as_bytes()), "{line}");
            assert_eq!(record.event_type.as_deref(), Some(HIT_TYPE.as_bytes()));
            assert_eq!(record.offset, None);
        });
    }
    hit(EXAMPLES[0].0, |record| {
        assert_eq!(record.id, EventId::from_pair(3581960277124087808, 6917541213830176402));
        assert_eq!(record.topic_values[0].as_deref(), Some(&b"harborprod"[..]));
        assert_eq!(record.occurred.as_deref(), Some(&b"2026-06-15T08:40:03Z"[..]));
        assert_eq!(record.processed_ms, Some(1_781_512_803_000));
    });
}

#[test]
fn ids_are_unsigned_64_bit_numbers_however_they_are_written() {
    assert_eq!(id(r#""hitIdHigh":0,"hitIdLow":1"#), "0-1");
    assert_eq!(id(r#""hitIdLow":0,"hitIdHigh":9007199254740993"#), "9007199254740993-0", "2^53 + 1");
    let top = "9223372036854775808-18446744073709551615";
    for halves in [
        r#""hitIdHigh":9223372036854775808,"hitIdLow":18446744073709551615"#,
        r#""hitIdHigh":"9223372036854775808","hitIdLow":"18446744073709551615""#,
        r#""hitIdHigh":-9223372036854775808,"hitIdLow":-1"#,
        r#""hitIdHigh":"-9223372036854775808","hitIdLow":"-1""#,
        r#""hitIdHigh":"009223372036854775808","hitIdLow":"\u002d1""#,
    ] {
        assert_eq!(id(halves), top, "{halves}");
        // So a hit that comes twice is known again, however it is written.
        let same = hit(&format!("{{{halves}}}"), |record| record.id);
        assert_eq!(same, EventId::from_pair(1 << 63, u64::MAX), "{halves}");
    }
}

#[test]
fn what_is_no_64_bit_number_is_no_id() {
    let mut halves: Vec<String> = [
        "null",
        "true",
        "1.0",
        "1.5",
        "1e3",
        "1e30",
        "18446744073709551616",
        "-9223372036854775809",
        "[1]",
        "{}",
        "\"\"",
        "\"x\"",
        "\"+1\"",
        "\" 1\"",
        "\"1.0\"",
        "\"1e3\"",
        "\"0x1\"",
        "\"-\"",
        "\"18446744073709551616\"",
        "\"-9223372036854775809\"",
        "[[{\"a\":[1]}]]",
    ]
    .iter()
    .flat_map(|half| {
        [format!(r#""hitIdHigh":{half},"hitIdLow":5"#), format!(r#""hitIdHigh":5,"hitIdLow":{half}"#)]
    })
    .collect();
    halves
        .extend([r#""hitIdLow":5"#, r#""hitIdHigh":5"#, r#""hitIdHigh":0,"hitIdLow":0"#].map(str::to_owned));
    halves.push(r#""hitIdHigh":"0","hitIdLow":-0"#.to_owned());
    for halves in halves {
        let line = format!("{{{halves},\"visIdHigh\":1}}");
        extract(&adobe(), line.as_bytes(), |found| {
            assert!(matches!(found, Err(ExtractError::NoId { offset: None })), "{line}: {found:?}");
        });
    }
}

#[test]
fn the_key_is_the_best_identification_there_is() {
    let all = r#""mcVisIdHigh":3,"mcVisIdLow":4,"customVisId":"crm","ip":"192.0.2.1","userAgent":"UA""#;
    assert_eq!(key(&format!(r#""visIdHigh":"-1","visIdLow":0,{all}"#)), "v:18446744073709551615:0");
    assert_eq!(key(&format!(r#""visIdLow":7,{all}"#)), "v:0:7", "a missing half is zero");
    for missing in
        [r#""visIdHigh":0,"visIdLow":0"#, r#""visIdHigh":null,"visIdLow":"""#, r#""visIdHigh":{},"x":0"#]
    {
        assert_eq!(key(&format!("{missing},{all}")), "m:3:4");
    }
    assert_eq!(key(r#""mcVisIdHigh":0,"mcVisIdLow":0,"customVisId":"crm","ip":"192.0.2.1""#), "c:crm");
    // printf '192.0.2.1\nUA' | sha256sum
    assert_eq!(key(r#""customVisId":"","ip":"192.0.2.1","userAgent":"UA""#), "i:09ee1d3dc8433ce0");
    assert_eq!(key(r#""ip":"192.0.2.1""#), key(r#""ip":"192.0.2.1","userAgent":"""#));
    assert_ne!(key(r#""ip":"192.0.2.1""#), key(r#""ip":"192.0.2.1","userAgent":"UA""#));
    assert_eq!(key(r#""ip":"","customVisId":"","visIdHigh":0"#), "h:1-2");
}

#[test]
fn times_out_of_range_are_no_times() {
    let times = |time: &str| {
        let line = format!(r#"{{"hitIdHigh":1,"hitIdLow":2,"timeGMT":{time},"receivedTimeGMT":{time}}}"#);
        hit(&line, |record| {
            (record.occurred.map(|text| String::from_utf8(text.to_vec()).unwrap()), record.processed_ms)
        })
    };
    assert_eq!(times("1489402217"), (Some("2017-03-13T10:50:17Z".into()), Some(1_489_402_217_000)));
    assert_eq!(times("\"1489402217\""), times("1489402217"));
    for time in
        ["0", "-5", "1.5", "1781512803000", "1e30", "18446744073709551615", "null", "\"now\"", "[1]", "\"\""]
    {
        assert_eq!(times(time), (None, None), "{time}");
    }
}

#[test]
fn evar_names_are_the_same_in_any_case_and_no_others() {
    let config = Config {
        topic_fields: vec!["evars.evars.eVar5".into()],
        key: Key::Fields(vec!["props.Prop1".into(), "EVARS.evars.evar5".into()]),
        ..adobe()
    };
    for (name, prop) in [("eVar5", "prop1"), ("evar5", "PROP1"), ("EVAR5", "prop1")] {
        let line = format!(
            r#"{{"hitIdHigh":1,"hitIdLow":2,"evars":{{"evars":{{"{name}":77}}}},"props":{{"{prop}":"p"}}}}"#
        );
        extract(&config, line.as_bytes(), |found| {
            let Ok(Line::Event(record)) = found else { panic!("{line}: {found:?}") };
            assert_eq!(record.topic_values[0].as_deref(), Some(&b"77"[..]), "a number is its decimal text");
            assert_eq!(record.key.as_deref(), Some(&b"77"[..]), "prop1 is not Prop1");
        });
    }
    let exact = Config { spelling: Spelling::default(), ..config };
    extract(&exact, br#"{"hitIdHigh":1,"hitIdLow":2,"evars":{"evars":{"evar5":"x"}}}"#, |found| {
        let Ok(Line::Event(record)) = found else { panic!("{found:?}") };
        assert_eq!(record.topic_values, TopicValues::default());
    });
}

#[test]
fn bots_and_excluded_hits_can_be_left_out() {
    let line = |members: &str| format!(r#"{{"hitIdHigh":1,"hitIdLow":2,"receivedTimeGMT":5,{members}}}"#);
    let rule = |name: &str, field: &str, value: &str| Rule {
        name: name.into(),
        when: Condition { field: field.into(), values: vec![value.into()], ignore_case: true },
    };
    let all = [rule("bot", "bot", "<Bot>"), rule("excluded", "exclude.value", "yes")];
    let reason = |drop: &[Rule], members: &str| {
        let filters = Filters { drop: drop.to_vec(), only: Vec::new() };
        let config = Config { filters, ..adobe() };
        extract(&config, line(members).as_bytes(), |found| match found {
            Ok(Line::Event(_)) => None,
            Ok(Line::Filtered { reason, processed_ms, offset }) => {
                assert_eq!((processed_ms, offset), (Some(5000), None));
                Some(reason)
            }
            other => panic!("{members}: {other:?}"),
        })
    };
    let excluded = r#""exclude":{"id":4,"value":"YES"}"#;
    assert_eq!(reason(&all, r#""bot":"<bot>""#), Some(0));
    assert_eq!(reason(&all, excluded), Some(1));
    assert_eq!(reason(&all[..1], excluded), None);
    assert_eq!(reason(&[], r#""bot":"<Bot>""#), None);
    for kept in [
        r#""bot":"<Not a bot>""#,
        r#""bot":null"#,
        r#""bot":true"#,
        r#""exclude":"yes""#,
        r#""exclude":["yes"]"#,
        r#""exclude":{"id":"0","value":"no"}"#,
        r#""exclude":{"value":{"value":"yes"}}"#,
        r#""exclude":null"#,
    ] {
        assert_eq!(reason(&all, kept), None, "{kept}");
    }
}

#[test]
fn invalid_utf8_breaks_no_hit() {
    let line = b"{\"hitIdHigh\":1,\"hitIdLow\":18446744073709551615,\"customVisId\":\"caf\xc3\",\"pageName\":\"\xff\"}";
    extract(&adobe(), line, |found| {
        let Ok(Line::Event(record)) = found else { panic!("{found:?}") };
        assert_eq!(record.key.as_deref(), Some("c:caf\u{fffd}".as_bytes()));
        assert_eq!(record.id, EventId::from_pair(1, u64::MAX));
    });
}

fn any_half() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..20u64, (0..64u32).prop_map(|bit| 1 << bit), Just(u64::MAX)]
}

proptest! {
    #[test]
    fn different_pairs_are_different_ids(one in (any_half(), any_half()), other in (any_half(), any_half()), quoted: bool) {
        let ids = [one, other].map(|(high, low)| {
            let quote = if quoted { "\"" } else { "" };
            let line = format!("{{\"hitIdHigh\":{quote}{high}{quote},\"hitIdLow\":{quote}{low}{quote}}}");
            extract(&adobe(), line.as_bytes(), |found| match found {
                Ok(Line::Event(record)) => Some((record.id, record.id_text.to_vec(), record.key.unwrap().to_vec())),
                _ => None,
            })
        });
        prop_assert_eq!(ids[0].is_none(), one == (0, 0));
        if let [Some(first), Some(second)] = &ids {
            prop_assert_eq!(first.0 == second.0, one == other);
            prop_assert_eq!(first.1 == second.1, one == other);
            prop_assert_eq!(first.2 == second.2, one == other);
        }
    }

    #[test]
    fn any_value_anywhere_breaks_no_hit(members in prop::collection::vec((adobe_name(), any_json()), 0..12)) {
        let (text, _) = with_duplicates(&members);
        let config = Config { filters: super::filters::any(), ..adobe() };
        extract(&config, text.as_bytes(), |found| {
            prop_assert!(!matches!(found, Err(ExtractError::NotAnObject(_))), "{}: {:?}", text, found);
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_in_a_hit_are_taken_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut line = b"{\"hitIdHigh\":1,\"hitIdLow\":2,\"customVisId\":\"".to_vec();
        line.extend(&bytes);
        line.extend(b"\"}");
        extract(&adobe(), &line, |found| drop(found));
        extract(&adobe(), &bytes, |found| drop(found));
    }
}

fn adobe_name() -> impl Strategy<Value = String> {
    let names = vec![
        "hitIdHigh",
        "hitIdLow",
        "visIdHigh",
        "visIdLow",
        "mcVisIdHigh",
        "customVisId",
        "ip",
        "userAgent",
        "timeGMT",
        "receivedTimeGMT",
        "bot",
        "exclude",
        "reportSuite",
        "evars",
    ];
    prop::sample::select(names).prop_map(str::to_owned)
}
