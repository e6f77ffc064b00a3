//! The tools on the page of the internal port, by clicking: each shows its result, or the server's own words.

use std::sync::atomic::Ordering::SeqCst;

use glasshouse::telemetry::catalog;
use serde_json::json;

use crate::{
    browser::Browser,
    front::{Front, HOSTILE},
    support::{Engine, Service, eventually},
};

async fn opened(service: &Service) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", service.internal)).await;
    browser.says("#state", |text| text == "Healthy").await;
    browser
}

/// In front of that service, with the page open.
async fn fronted(service: &Service) -> (Front, Browser) {
    let (front, base) = Front::of(service.internal).await;
    let browser = Browser::start().await;
    browser.open(&base).await;
    browser.says("#state", |text| text == "Healthy").await;
    (front, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tool_shows_its_result_or_the_servers_words() {
    let service = Service::start().await;
    let browser = opened(&service).await;
    for (button, tool, path) in [
        ("#cpu button", "#cpu", "/debug/pprof/profile"),
        ("[data-do=on]", "#heap", "/debug/heap"),
        ("[data-do=state]", "#heap", "/debug/heap"),
        ("[data-do=picture]", "#tasks", "/debug/pprof/goroutine"),
        ("[data-do=text]", "#tasks", "/debug/pprof/goroutine"),
        ("[data-do=stalls]", "#stalls", "/debug/stalls"),
        ("[data-path='/debug/config']", "#facts", "/debug/config"),
        ("[data-path='/debug/build']", "#facts", "/debug/build"),
        ("[data-path='/metrics']", "#facts", "/metrics"),
    ] {
        browser.click(button).await;
        // An idle process has nothing to profile.
        let load = async {
            for number in 0.. {
                service.client().register(&format!("{number}@{}.example", tool.trim_start_matches('#'))).await;
            }
        };
        tokio::select! {
            () = browser.settled(tool) => {}
            () = load => {}
        }
        let said = browser.text(&format!("{tool} .said")).await;
        let failed = browser.value(&format!("document.querySelector('{tool} .said').matches('.failed')")).await;
        let is_served = catalog::PATHS.iter().any(|served| served.name == path);
        assert_eq!(failed, json!(!is_served), "{button}: {said}");
        assert!(is_served || said == "404 Not Found: no such path on the internal port; see /", "{button}: {said}");
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flamegraph_is_shown_with_its_guilty_functions_and_hostile_names_are_text() {
    let service = Service::start().await;
    let (front, browser) = fronted(&service).await;
    browser.click("#cpu button").await;
    let table = browser.says("#cpu table", |text| text.contains("burn")).await;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows.iter().any(|row| row.contains("60.0 %") && row.ends_with("burn")), "{rows:?}");
    assert!(table.contains(HOSTILE), "as it is, and as text: {table}");
    // Two hundred tasks, of which one is looked for.
    browser.click("[data-do=text]").await;
    assert!(browser.says("#tasks pre", |text| text.contains("task 200")).await.contains(HOSTILE));
    browser.click("#tasks input[type=search]").await;
    browser.press("line 77").await;
    let found = browser.says("#tasks pre", |text| !text.contains("task 200")).await;
    assert!(found.starts_with("task 77 "), "{found}");
    assert_eq!(browser.text("#tasks output").await, "1 of 200 blocks");
    // The picture's own script runs in the frame: it finds, and says how much.
    browser.click("#cpu input[type=search]").await;
    browser.press("burn").await;
    browser.says("#cpu output", |text| text == "Matched: 60.0%").await;
    let height = browser.value("document.querySelector('#cpu iframe').getBoundingClientRect().height").await;
    assert!(height.as_f64().unwrap() > 80.0, "as high as the picture: {height}");
    let reached = browser.value("document.querySelector('#cpu iframe').contentDocument").await;
    assert!(reached.is_null(), "the frame is nobody's");
    assert_eq!(browser.value("document.title.includes('harmed')").await, false);
    assert_eq!(browser.value("document.querySelectorAll('main script, main img').length").await, 0);
    assert_eq!((front.taken.load(SeqCst), browser.complaints().await), (1, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_flamegraph_opens_it() {
    let service = Service::start().await;
    let (front, base) = Front::of(service.internal).await;
    let browser = Browser::start().await;
    browser.open(&format!("{base}/debug/flamegraph?of=tasks")).await;
    browser.says("#tasks table", |text| text.contains("burn")).await;
    assert_eq!((browser.text("#cpu .said").await.as_str(), front.taken.load(SeqCst)), ("", 0));
    browser.open(&format!("{base}/debug/flamegraph")).await;
    browser.says("#cpu table", |text| text.contains("burn")).await;
    assert_eq!(front.taken.load(SeqCst), 1, "one profile and no other");
    browser.open(&format!("{base}/debug/flamegraph?of=%3Cb%3E")).await;
    browser.says("#cpu .said", |text| text.starts_with("There is no flamegraph of “<b>”")).await;
    assert_eq!(front.taken.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_ends_on_the_server() {
    let service = Service::start().await;
    let (front, browser) = fronted(&service).await;
    browser.click("#cpu button:nth-of-type(3)").await;
    browser.says("#cpu .left", |text| text.ends_with(" s left")).await;
    eventually("the profile has begun", async || (front.endless.load(SeqCst) == 1).then_some(())).await;
    browser.click("#cpu .cancel").await;
    browser.says("#cpu .said", |text| text == "Cancelled.").await;
    eventually("the connection is gone", async || (front.endless.load(SeqCst) == 0).then_some(())).await;
    assert_eq!(browser.value("document.activeElement.textContent").await, "Cancelled.", "not at the top of the page");
    // Another one takes the place of the first.
    browser.click("#cpu button:nth-of-type(3)").await;
    eventually("the profile has begun", async || (front.endless.load(SeqCst) == 1).then_some(())).await;
    browser.click("#cpu button").await;
    browser.says("#cpu table", |text| text.contains("burn")).await;
    eventually("the connection is gone", async || (front.endless.load(SeqCst) == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_with_what_to_do_about_it() {
    let service = Service::start().await;
    let (_front, browser) = fronted(&service).await;
    browser.click("#cpu button:nth-of-type(2)").await;
    browser
        .says("#cpu .said", |text| text == "409 Conflict: a CPU profile is being taken; force=true takes over")
        .await;
    browser.click("#cpu .shown button").await;
    browser.says("#cpu table", |text| text.contains("burn")).await;

    browser.click("[data-do=live]").await;
    browser.says("#heap .said", |text| text.starts_with("503 Service Unavailable: heap sampling is off")).await;
    browser.click("#heap .shown button").await;
    browser.says("#heap .said", |text| text.starts_with("Heap sampling is on for 10 minutes")).await;
    browser.click("[data-do=live]").await;
    browser.says("#heap table", |text| text.contains("burn")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_filter_is_changed_and_falls_back() {
    let service = Service::start().await;
    let browser = opened(&service).await;
    let filter = async || service.internal("/debug/log").await.text().await.unwrap().trim().to_owned();
    let before = filter().await;
    browser.says("#log-now", |text| text == before).await;
    let typed = async |text: &str| {
        browser.value("document.getElementById('log-filter').select()").await;
        browser.click("#log-filter").await;
        browser.value("document.getElementById('log-filter').select()").await;
        browser.press(text).await;
        browser.press("\u{e007}").await;
    };
    typed("info,glasshouse=debug").await;
    browser.says("#log .said", |text| text == "The filter has been changed; it falls back after 10m.").await;
    let changed = filter().await;
    assert!(changed != before && changed.contains("glasshouse=debug"), "{changed}");
    assert_eq!(browser.text("#log-now").await, changed);
    let line = service.line_of("glasshouse::internal").await;
    assert_eq!(line["log.filter_for"], "10m", "{line}");
    typed("glasshouse=loud").await;
    browser.says("#log .said", |text| text.starts_with("400 Bad Request: the filter cannot be read")).await;
    assert_eq!((filter().await, browser.text("#log-now").await), (changed.clone(), changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_copied_as_it_stands_there() {
    let service = Service::start().await;
    let browser = opened(&service).await;
    let permissions = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", permissions).await;
    browser.click("#commands li:nth-child(2) button").await;
    browser.says("#terminal .said", |text| text == "Copied: CPU, in a browser.").await;
    let copied = browser.value("navigator.clipboard.readText()").await;
    let host = service.internal;
    assert_eq!(copied, format!("go tool pprof -http=: 'http://{host}/debug/pprof/profile?seconds=10'"));
    assert_eq!(browser.text("#commands li:nth-child(1) code").await, format!("tokio-console http://{host}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_markup_is_shown_as_text() {
    let service = Service::start_with(Engine::Sqlite, &[("OTEL_SERVICE_NAME", HOSTILE)]).await;
    let browser = opened(&service).await;
    browser.click("[data-path='/debug/config']").await;
    browser.says("#facts pre", |text| text.contains("<script>document.title='harmed'</script>")).await;
    assert_eq!(browser.value("document.title.includes('harmed')").await, false);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
