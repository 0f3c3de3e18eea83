//! The words that fill hits. Data only; values are JSON text as it goes on the wire, escapes included.

/// Members about a place and its language.
pub(super) const PLACES: &[&str] = &[
    r#""currency":"EUR","domain":"fibreline.example","geoCity":"utrecht","geoCountry":"nld","geoDMA":0,"geoRegion":"ut","geoZip":"3511","language":"Dutch","languageAbbrev":"nl-NL","topLevelDomain":".nl","zip":"""#,
    r#""currency":"USD","domain":"valleycable.example","geoCity":"boise","geoCountry":"usa","geoDMA":757,"geoRegion":"id","geoZip":"83702","language":"English (United States)","languageAbbrev":"en-US","topLevelDomain":".com","zip":"83702""#,
    r#""currency":"GBP","domain":"homebroadband.example","geoCity":"leeds","geoCountry":"gbr","geoDMA":0,"geoRegion":"eng","geoZip":"ls1","language":"English (United Kingdom)","languageAbbrev":"en-GB","topLevelDomain":".uk","zip":"""#,
    r#""currency":"JPY","domain":"nipponfiber.example","geoCity":"ōsaka","geoCountry":"jpn","geoDMA":0,"geoRegion":"27","geoZip":"530-0001","language":"Japanese","languageAbbrev":"ja","topLevelDomain":".jp","zip":"""#,
    r#""currency":"EUR","domain":"ligneclaire.example","geoCity":"lyon","geoCountry":"fra","geoDMA":0,"geoRegion":"ara","geoZip":"69002","language":"French","languageAbbrev":"fr-FR","topLevelDomain":".fr","zip":"69002""#,
    r#""currency":"EUR","domain":"stadtnetz.example","geoCity":"köln","geoCountry":"deu","geoDMA":0,"geoRegion":"nw","geoZip":"50667","language":"German","languageAbbrev":"de-DE","topLevelDomain":".de","zip":"50667""#,
];

/// Members about a browser on a desk.
pub(super) const BROWSERS: &[&str] = &[
    r#""browser":"Mozilla Firefox 127.0","browserHeight":938,"browserType":"Mozilla","browserWidth":1707,"carrier":"","connectionType":"LAN/WiFi","monitorColorDepth":"16 million colors","monitorHeight":1080,"monitorWidth":1920,"operatingSystem":"Windows 11""#,
    r#""browser":"Google Chrome 126.0","browserHeight":945,"browserType":"Google","browserWidth":1536,"carrier":"","connectionType":"LAN/WiFi","monitorColorDepth":"16 million colors","monitorHeight":1440,"monitorWidth":2560,"operatingSystem":"OS X 10.15""#,
    r#""browser":"Microsoft Edge 126.0","browserHeight":969,"browserType":"Microsoft","browserWidth":1903,"carrier":"","connectionType":"LAN/WiFi","monitorColorDepth":"16 million colors","monitorHeight":1080,"monitorWidth":1920,"operatingSystem":"Windows 10""#,
];

/// Members about a browser on a phone, or an app.
pub(super) const PHONES: &[&str] = &[
    r#""browser":"Safari 17.5","browserHeight":664,"browserType":"Apple","browserWidth":390,"carrier":"Northwind Mobile","connectionType":"Mobile Carrier","mobileAudioSupport":"AAC,MP3,WAV","mobileColorDepth":24,"mobileCookieSupport":true,"mobileDeviceName":"Apple iPhone","mobileDeviceType":"Mobile Phone","mobileManufacturer":"Apple","mobileScreenHeight":2532,"mobileScreenWidth":1170,"mobileVideoSupport":"H.264,MPEG-4","monitorColorDepth":"16 million colors","monitorHeight":844,"monitorWidth":390,"operatingSystem":"Mobile iOS 17.5""#,
    r#""browser":"Google Chrome Mobile 125.0","browserHeight":785,"browserType":"Google","browserWidth":412,"carrier":"Südfunk","connectionType":"Mobile Carrier","mobileAudioSupport":true,"mobileColorDepth":"24","mobileCookieSupport":true,"mobileDeviceName":"Pixel 8","mobileDeviceType":"Mobile Phone","mobileManufacturer":"Google","mobileScreenHeight":2400,"mobileScreenWidth":1080,"mobileVideoSupport":false,"monitorColorDepth":"16 million colors","monitorHeight":915,"monitorWidth":412,"operatingSystem":"Android 14""#,
];

/// The same with booleans and numbers where the variable reference has them.
pub(super) const TYPED_PHONES: &[&str] = &[
    r#""browser":"Safari 17.5","browserHeight":664,"browserType":"Apple","browserWidth":390,"carrier":"Northwind Mobile","connectionType":"Mobile Carrier","mobileAudioSupport":true,"mobileColorDepth":24,"mobileCookieSupport":true,"mobileDeviceName":"Apple iPhone","mobileDeviceType":"Mobile Phone","mobileManufacturer":"Apple","mobileScreenHeight":2532,"mobileScreenWidth":1170,"mobileVideoSupport":true,"monitorColorDepth":"16 million colors","monitorHeight":844,"monitorWidth":390,"operatingSystem":"Mobile iOS 17.5""#,
    r#""browser":"Google Chrome Mobile 125.0","browserHeight":785,"browserType":"Google","browserWidth":412,"carrier":"Südfunk","connectionType":"Mobile Carrier","mobileAudioSupport":true,"mobileColorDepth":24,"mobileCookieSupport":true,"mobileDeviceName":"Pixel 8","mobileDeviceType":"Mobile Phone","mobileManufacturer":"Google","mobileScreenHeight":2400,"mobileScreenWidth":1080,"mobileVideoSupport":false,"monitorColorDepth":"16 million colors","monitorHeight":915,"monitorWidth":412,"operatingSystem":"Android 14""#,
];

/// Members of a hit of 2017 about place and browser.
pub(super) const OLD: &[&str] = &[
    r#""geoCountry":"fra","geoRegion":"ara","geoCity":"lyon","geoZip":"69002","geoDMA":0,"geoLatitude":45.7589,"geoLongitude":4.8301,"connectionType":"LAN/WiFi","topLevelDomain":".fr","domain":"ligneclaire.example","languageAbbrev":"fr-FR","language":"French","searchEngine":"","operatingSystem":"Windows 7","browserType":"Google","browser":"Google Chrome 56.0","javascriptVersion":"1.6","monitorWidth":1366,"monitorHeight":768,"monitorColorDepth":"16 million colors","mobileDeviceType":"","mobileDeviceName":"","mobileManufacturer":"","mobileScreenWidth":0,"mobileScreenHeight":0,"mobileCookieSupport":false,"mobileColorDepth":"","mobileAudioSupport":"","mobileVideoSupport":"""#,
    r#""geoCountry":"usa","geoRegion":"ca","geoCity":"san jose","geoZip":"95110","geoDMA":807,"geoLatitude":37.3422,"geoLongitude":-121.9036,"connectionType":"Modem","topLevelDomain":".com","domain":"valleycable.example","languageAbbrev":"en-US","language":"English (United States)","searchEngine":"Google","operatingSystem":"OS X 10.11","browserType":"Mozilla","browser":"Mozilla Firefox 51.0","javascriptVersion":"1.8","monitorWidth":1440,"monitorHeight":900,"monitorColorDepth":"16 million colors","mobileDeviceType":"","mobileDeviceName":"","mobileManufacturer":"","mobileScreenWidth":0,"mobileScreenHeight":0,"mobileCookieSupport":false,"mobileColorDepth":"","mobileAudioSupport":"","mobileVideoSupport":"""#,
];

/// Page names with the last part of their addresses.
pub(super) const PAGES: &[(&str, &str)] = &[
    ("home", ""),
    (
        "us:outdoor:camping:stoves:trailhead 2 burner",
        "us/p/stove-trailhead-2/?cid=em%3A2026-06%3Aweekly&utm_medium=email",
    ),
    ("uk:kitchen:knives:santoku 18cm", "uk/p/santoku-18/"),
    ("uk:checkout:thank you", "uk/checkout/thanks?order=UK-2026-0048811"),
    ("jp:インテリア:収納:一覧", "jp/c/%E5%8F%8E%E7%B4%8D/?sort=new&page=2"),
    ("fr:magazine:semis de mars", "fr/magazine/semis-de-mars.html"),
    ("de:küche:töpfe \\\"gusseisen\\\"", "de/c/toepfe/?filter=gusseisen%20schwarz"),
    ("us:search results", "us/search?q=rain%20jacket&facet=color%3Dgr%C3%BCn"),
];

/// Where visitors came from.
pub(super) const REFERRERS: &[&str] = &[
    r#""referrer":"https://www.google.com/","searchEngine":"Google - Netherlands""#,
    r#""referrer":"https://mail.example.net/inbox/","searchEngine":"""#,
    r#""referrer":"https://www.harborlight.example/uk/search?q=santoku","searchEngine":"""#,
    r#""referrer":"","searchEngine":"""#,
];

/// Values of eVars and props.
pub(super) const VALUES: &[&str] = &[
    "home",
    "logged in",
    "guest",
    "silver",
    "7:15 PM|Monday|Weekday",
    "www.harborlight.example/uk/checkout/thanks",
    "uk-en",
    "card:visa",
    "standard delivery",
    "returning",
    "SUMMER10",
    "web:7.41.2",
    "インテリア:収納",
    "tgt:88213:exp-b",
    "visitorapi present",
    "launch:prod:2026-06-11",
    "paid search",
    "größe: xl – \\\"neu\\\"",
    "C:\\\\temp\\\\list.txt",
    "crème brûlée \\u00e0 emporter",
    "🧭 outdoor",
    "{\\\"hitIdHigh\\\":1,\\\"decoy\\\":true}",
    "1.0",
    "ps:brand:uk:exact:harborlight",
];

/// Events, without `purchase` and `revenue`.
pub(super) const EVENTS: &[&str] = &[
    r#""cartAdditions":[{"count":1,"exponent":0,"unique":""}]"#,
    r#""carts":[{"count":1,"exponent":0,"unique":"a1b2c3d4e5f6a7b8c9d0"}]"#,
    r#""event2":[{"count":1,"exponent":0,"unique":""}]"#,
    r#""event9":[{"count":2,"exponent":0,"unique":""}]"#,
    r#""event12":[{"count":1842,"exponent":-3,"unique":""}]"#,
    r#""event21":[{"count":399,"exponent":-2,"unique":""}]"#,
    r#""event35":[{"count":1,"exponent":0,"unique":""},{"count":1,"exponent":0,"unique":""}]"#,
    r#""event60":[{"count":125,"exponent":-1,"unique":""}]"#,
];

/// Items of `products`.
pub(super) const PRODUCTS: &[&str] = &[
    r#"{"category":"Knives","evars":{"evars":{"eVar16":"internal search","eVar25":"stock:available"}},"events":{"event21":[{"count":399,"exponent":-2,"unique":""}]},"name":"HL-20417-SANTOKU18","revenue":64.5,"units":1}"#,
    r#"{"category":"Camping","evars":{"evars":{"eVar16":"recommended:email"}},"events":{"event4":[{"count":1,"exponent":0,"unique":""}]},"name":"HL-88213-TRAILHEAD2","revenue":0,"units":0}"#,
    r#"{"category":"Textiles","evars":{},"events":{},"name":"HL-11470-APRON-L","revenue":57.8,"units":2}"#,
    r#"{"category":"","evars":{"evars":{"eVar16":"cross sell","eVar25":"stock:backorder"}},"events":{"event35":[{"count":1,"exponent":0,"unique":""}]},"name":"HL-51007-収納箱","revenue":2995,"units":1}"#,
];

/// Members that few hits have.
pub(super) const RARE: &[&str] = &[
    r#""hierarchies":{"1":{"delim":":","values":["トップ","インテリア","収納"]}},"mcAudiences":{"values":["1104881","1108290","2230017"],"delim":44}"#,
    r#""mvvars":{"1":{"m":{"values":["facet:brand=ミナト","facet:price=3000-5000","facet:color=白"],"delim":44}},"2":{"m":{"values":["impr:HL-51001","impr:HL-51007"],"delim":44}}}"#,
    r#""tnt":[{"campaignId":"88213","recipeId":"1","trafficType":"1","actionId":"","actionName":""}],"tntAction":[{"campaignId":"88213","recipeId":"1","trafficType":"1","actionId":"65535","actionName":"Experience Visit"}]"#,
    r#""lat":"52.0907","lon":"5.1214","homePage":2,"javascriptVersion":"1.6","plugins":"""#,
];

/// The same without what only the 1.4 face had.
pub(super) const TYPED_RARE: &[&str] = &[RARE[0], RARE[1], RARE[2], r#""lat":"52.0907","lon":"5.1214""#];

/// `exclude.id` with the description, of hits that are excluded.
pub(super) const EXCLUDED: &[(u64, &str)] =
    &[(4, "exclude by ip"), (5, "vital info missing"), (7, "account specific rule"), (10, "bad currency")];
