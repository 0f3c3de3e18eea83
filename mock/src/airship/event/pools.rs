//! The words that fill events. Data only; each entry is JSON text as it goes on the wire, escapes included.

/// Free text: ASCII, non-ASCII of two, three and four bytes, and every way of escaping.
pub(super) const TEXTS: &[&str] = &[
    "Line 4 is delayed by 12 min",
    "café car ☕ requested",
    "Köln Hbf, Gleis 7 – \\\"pünktlich\\\"",
    "first line\\nsecond line\\twith a tab",
    "C:\\\\temp\\\\report.txt",
    "\\u00e9t\\u00e9 \\u2603 \\ud83d\\ude80",
    "東京駅で乗り換え",
    "Привет, мир",
    "🚆🇵🇹 Porto Campanhã",
    "{\\\"type\\\":\\\"OPEN\\\",\\\"id\\\":\\\"decoy\\\"}",
    "slash \\/ and bell \\u0007",
    "You are unsubscribed and will receive no more texts.",
];

/// Tags and other short names.
pub(super) const TAGS: &[&str] =
    &["commuters", "gold", "silver", "beta_tester", "winter_2026", "schüler", "night owl", "vip:a&b", "早割"];

/// Values of `campaigns`.
pub(super) const CAMPAIGNS: &[&str] = &[
    r#"{"categories":["commute_alerts"]}"#,
    r#"{"categories":["commute_alerts","winter_2026"]}"#,
    r#"{"categories":["été"]}"#,
];

/// The same with null, which comes from pipelines.
pub(super) const CAMPAIGNS_OF_PIPELINES: &[&str] = &[CAMPAIGNS[0], CAMPAIGNS[1], CAMPAIGNS[2], "null"];

/// Values of `device.attributes` of apps: all strings, even numbers and booleans.
pub(super) const APP_ATTRIBUTES: &[&str] = &[
    r#"{"locale_variant":"","app_version":"7.4.0","device_model":"iPhone15,3","app_package_name":"com.example.trainline","iana_timezone":"Europe/Lisbon","push_opt_in":"true","locale_country_code":"PT","device_os":"18.2","locale_timezone":"3600","locale_language_code":"pt","location_enabled":"false","background_push_enabled":"true","ua_sdk_version":"19.3.1","location_permission":"NOT_ALLOWED"}"#,
    r#"{"locale_variant":"","app_version":"7.4.0","device_model":"Pixel 9","app_package_name":"com.example.trainline","iana_timezone":"America/Toronto","push_opt_in":"true","locale_country_code":"CA","device_os":"15","locale_timezone":"-14400","locale_language_code":"fr","background_push_enabled":"true","ua_sdk_version":"19.6.0"}"#,
    r#"{"locale_variant":"POSIX","app_version":"7.3.9-beta","device_model":"KFMAWI","app_package_name":"com.example.trainline","iana_timezone":"Asia/Tokyo","push_opt_in":"false","locale_country_code":"JP","device_os":"9","locale_timezone":"32400","locale_language_code":"ja","location_enabled":"true","ua_sdk_version":"18.4.1","location_permission":"FOREGROUND_ALLOWED"}"#,
    r#"{"app_version":"7.4.0","app_package_name":"com.example.trainline","push_opt_in":"true","ua_sdk_version":"19.3.1"}"#,
];

/// Values of `device.attributes` of browsers.
pub(super) const WEB_ATTRIBUTES: &[&str] = &[
    r#"{"web_browser_type":"desktop","web_browser_name":"firefox","web_browser_version":"firefox-136","web_user_agent_string":"Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0","push_opt_in":"true","ua_sdk_version":"2.6.0","iana_timezone":"Europe/Berlin","locale_country_code":"DE","locale_language_code":"de","locale_timezone":"3600"}"#,
    r#"{"web_browser_type":"mobile","web_browser_name":"chrome","web_browser_version":"chrome-141","web_user_agent_string":"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Mobile Safari/537.36","push_opt_in":"false","ua_sdk_version":"2.6.0"}"#,
];
