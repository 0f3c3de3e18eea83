//! The types of event of in-app messages, scenes and surveys, with their bodies.
//!
//! Invariant: as in `kinds`. All are about app devices; either `app_defined_id` or the push keys are present.

use super::devices::APP;
use super::kinds::{Kind, Variant, example, kind, with};

const BUTTON: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","time_sent":"<past>","campaigns":<campaigns>,"context":{"reporting_context":{"content_types":["scene"]},"state":{"pager":{"identifier":"<uuid>","page_identifier":"<uuid~p1>","page_index":1,"page_count":4,"completed":false}}},"button_id":"<tag>","locale":"pt-PT"}"#,
];
const EXPERIENCE: &[&str] = &[
    r#"{"event_name":"<scene_displayed|scene_completed|survey_submitted>","survey_type":"nps","push_id":"<push>","session_id":"<session>","time_sent":"<past>","variant_id":<n:3>}"#,
];
const FORM_DISPLAY: &[&str] =
    &[r#"{"type":"DISPLAY","push_id":"<push>","session_id":"<session>","forms":{"form_id":"<uuid>"}}"#];
const FORM_DISPLAY_EXAMPLE: &[&str] = &[
    r#"{"type":"DISPLAY","app_defined_id":"welcome","session_id":"<session>","forms":[{"form_id":"f-<n:90>"}]}"#,
];
const FORM_RESULT: &[&str] = &[
    r#"{"type":"RESULT","push_id":"<push>","session_id":"<session>","forms":{"form_id":"<uuid>","type":"form","response_type":"user_feedback","responses":{"question_id":"<uuid>","type":"<single_choice|multiple_choice|text_input|email_input>","value":"<text>"}}}"#,
];
const FORM_RESULT_EXAMPLE: &[&str] = &[
    r#"{"type":"RESULT","push_id":"<push>","session_id":"<session>","forms":[{"form_id":"f-<n:90>","type":"nps","response_type":"nps","nps":{"question_id":"<uuid>","score":<n:11>,"audience_category":"<PROMOTER|PASSIVE|DETRACTOR>"},"responses":[{"question_id":"<uuid>","type":"text_input","value":"<text>"}]}]}"#,
];
const CONTROL: &[&str] = &[
    r#"{"type":"CONTROL","push_id":"<push>","group_id":"<group>","session_id":"<session>","time_sent":"<past>","variant_id":<n:3>}"#,
];
const DISPLAY: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","triggering_push":{"push_id":"<push>"},"campaigns":<campaigns>,"variant_id":<n:3>}"#,
    r#"{"app_defined_id":"<tag>","session_id":"<session>"}"#,
];
const EXCLUSION: &[&str] = &[
    r#"{"type":"AUDIENCE_CHECK_EXCLUDED","push_id":"<push>","session_id":"<session>","time_sent":"<past>"}"#,
];
const EXPIRATION: &[&str] = &[
    r#"{"type":"REPLACED","push_id":"<push>","time_sent":"<past>","time_expired":"<past>","replacing_push":{"push_id":"<push>"}}"#,
    r#"{"type":"<EXPIRED|ALREADY_DISPLAYED>","push_id":"<push>","time_sent":"<past>","time_expired":"<past>"}"#,
];
const RESOLUTION: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","time_sent":"<past>","type":"BUTTON_CLICK","button_id":"accept","button_description":"<text>","button_group":"ua_accept_decline_foreground","duration":<n:60000>}"#,
    r#"{"push_id":"<push>","session_id":"<session>","time_sent":"<past>","type":"<MESSAGE_CLICK|TIMED_OUT|USER_DISMISSED>","duration":<n:60000>}"#,
];
const SWIPE: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","locale":"ja-JP","pager_identifier":"<uuid>","from_page_index":<n:4>,"<from_pager_identifier~from_page_identifier>":"<uuid~p#4>","to_page_index":<n:4>,"to_page_identifier":"<uuid~p#4>"}"#,
];
const PAGE: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","locale":"de-DE","pager_identifier":"<uuid>","page_identifier":"<uuid~p#4>","page_index":<n:4>,"page_count":4,"viewed_count":<n:9>,"completed":<true|false>}"#,
];
const PAGER_DONE: &[&str] = &[
    r#"{"push_id":"<push>","session_id":"<session>","locale":"de","pager_identifier":"<uuid>","page_identifier":"<uuid~p3>","page_index":3,"page_count":4}"#,
];
const SUMMARY: &[&str] = &[
    r#"{"push_id":"<push>","pager_identifier":"<uuid>","page_count":4,"completed":false,"viewed_pages":{"page_identifier":"<uuid~p0>","page_index":0,"display_time_ms":<n:9000>}}"#,
];
const SUMMARY_EXAMPLE: &[&str] = &[
    r#"{"push_id":"<push>","pager_identifier":"<uuid>","page_count":4,"completed":<true|false>,"viewed_pages":[{"page_identifier":"<uuid~p0>","page_index":0,"display_time_ms":<n:9000>},{"page_identifier":"<uuid~p1>","page_index":1,"display_time_ms":<n:9000>}]}"#,
];

const fn in_app(name: &'static str, weight: u64, variants: &'static [Variant]) -> Kind {
    kind(name, weight, true, variants)
}

/// All types of this file.
pub(super) const KINDS: &[Kind] = &[
    in_app("IN_APP_BUTTON_TAP", 1, &[with(APP, BUTTON)]),
    in_app("IN_APP_EXPERIENCES", 1, &[with(APP, EXPERIENCE)]),
    in_app("IN_APP_FORM_DISPLAY", 1, &[with(APP, FORM_DISPLAY), example(APP, FORM_DISPLAY_EXAMPLE)]),
    in_app("IN_APP_FORM_RESULT", 1, &[with(APP, FORM_RESULT), example(APP, FORM_RESULT_EXAMPLE)]),
    in_app("IN_APP_MESSAGE_CONTROL", 1, &[with(APP, CONTROL)]),
    in_app("IN_APP_MESSAGE_DISPLAY", 3, &[with(APP, DISPLAY)]),
    in_app("IN_APP_MESSAGE_EXCLUSION", 1, &[with(APP, EXCLUSION)]),
    in_app("IN_APP_MESSAGE_EXPIRATION", 1, &[with(APP, EXPIRATION)]),
    in_app("IN_APP_MESSAGE_RESOLUTION", 3, &[with(APP, RESOLUTION)]),
    in_app("IN_APP_PAGE_SWIPE", 1, &[with(APP, SWIPE)]),
    in_app("IN_APP_PAGE_VIEW", 1, &[with(APP, PAGE)]),
    in_app("IN_APP_PAGER_COMPLETED", 1, &[with(APP, PAGER_DONE)]),
    in_app("IN_APP_PAGER_SUMMARY", 1, &[with(APP, SUMMARY), example(APP, SUMMARY_EXAMPLE)]),
];
