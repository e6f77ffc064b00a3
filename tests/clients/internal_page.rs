//! The page of the internal port in a browser: how the service is, what it does, and whether everybody can read it.

use std::{
    net::UdpSocket,
    sync::{Arc, Condvar, Mutex},
};

use serde_json::Value;

use crate::{
    browser::Browser,
    front::Front,
    support::{Proxy, Service, eventually},
};

/// What the chart of that title says now.
async fn number(browser: &Browser, chart: &str) -> Option<f64> {
    browser.text(&format!("#chart-{chart} .value")).await.parse().ok()
}

fn page(service: &Service) -> String {
    format!("http://{}/", service.internal)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_the_service_is_and_its_numbers_move() {
    let service = Service::start().await;
    let browser = Browser::start().await;
    browser.open(&page(&service)).await;
    browser.says("#state", |text| text == "Healthy").await;
    for part in ["live ok", "http ok", "migrations ok", "store ok"] {
        assert!(browser.text("#parts").await.replace('\n', " ").contains(part), "{part}");
    }
    assert!(browser.text("header").await.contains(env!("CARGO_PKG_VERSION")));
    eventually("requests, failures, latency, memory and tasks are seen", async || {
        for _ in 0..5 {
            assert_eq!(service.client().get("/api/v1/users/me").await.status, 401);
        }
        let seen = [
            number(&browser, "requests").await? > 0.0,
            number(&browser, "errors").await? < 0.5,
            number(&browser, "latency").await? > 0.0,
            number(&browser, "memory").await? > 1.0,
            number(&browser, "tasks").await? >= 1.0,
            number(&browser, "database-pool").await.is_some(),
            number(&browser, "cpu").await.is_some(),
            number(&browser, "in-flight").await.is_some(),
            number(&browser, "scheduling-delay").await.is_some(),
        ];
        seen.iter().all(|seen| *seen).then_some(())
    })
    .await;
    let words = browser.value("document.querySelector('#chart-requests svg').getAttribute('aria-label')").await;
    let words = words.as_str().unwrap();
    assert!(words.starts_with("Requests over the last five minutes. requests per second: now "), "{words}");
    let drawn = browser.value("document.querySelector('#chart-memory path.line-1').getAttribute('d')").await;
    assert!(drawn.as_str().unwrap().starts_with('M'), "{drawn}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_there_when_somebody_opens_it() {
    let service = Service::start().await;
    let shown =
        async |query: &str| -> Value { service.internal(&format!("/debug/live{query}")).await.json().await.unwrap() };
    let numbers = |answer: &Value| -> Vec<u64> {
        answer["readings"].as_array().unwrap().iter().map(|reading| reading["number"].as_u64().unwrap()).collect()
    };
    eventually("three readings", async || (numbers(&shown("").await).len() >= 3).then_some(())).await;
    let newer = numbers(&shown("?since=2").await);
    assert_eq!(newer.first(), Some(&3), "only what is newer");
    assert_eq!(numbers(&shown("?since=1000000").await)[0], 1, "a number of another process");
    assert_eq!(numbers(&shown("?since=garbage").await)[0], 1);
    let browser = Browser::start().await;
    browser.open(&page(&service)).await;
    let path = "document.querySelector('#chart-tasks path.line-1')?.getAttribute('d') ?? ''";
    eventually("a line of three points at once", async || {
        let line = browser.value(path).await;
        (line.as_str().unwrap().matches('L').count() >= 2).then_some(())
    })
    .await;
    // Looking back shows an earlier moment's numbers, by keyboard too.
    browser.value("document.getElementById('back').focus()").await;
    browser.press("\u{e012}\u{e012}").await;
    browser.says("#moment", |text| text.ends_with(" s ago")).await;
    browser.press("\u{e010}").await;
    browser.says("#moment", |text| text == "now").await;
}

/// Keeps every worker of the main runtime busy with waiting, until it is dropped.
struct Blocked(Arc<(Mutex<bool>, Condvar)>);

impl Blocked {
    fn all(service: &Service) -> Self {
        let gate = Arc::new((Mutex::new(true), Condvar::new()));
        for _ in 0..service.main.metrics().num_workers() * 2 {
            let gate = Arc::clone(&gate);
            service.main.spawn(async move {
                drop(gate.1.wait_while(gate.0.lock().unwrap(), |is_closed| *is_closed).unwrap());
            });
        }
        Self(gate)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_while_every_worker_is_stuck_and_says_so() {
    let service = Service::start_with(
        crate::support::Engine::Sqlite,
        &[("GLASSHOUSE_INTERNAL__STALL_AFTER", "200ms"), ("GLASSHOUSE_INTERNAL__STALL_LIMIT", "1s")],
    )
    .await;
    let browser = Browser::start().await;
    let blocked = Blocked::all(&service);
    eventually("liveness fails", async || (service.internal("/health/live").await.status() == 503).then_some(())).await;
    browser.open(&page(&service)).await;
    browser.says("#state", |text| text == "Stuck").await;
    browser.says("#reason", |text| text.starts_with("the main runtime is stuck for ")).await;
    browser.says("#parts", |text| text.contains("no answer within")).await;
    eventually("a delay of seconds", async || {
        let unit = browser.text("#chart-scheduling-delay .unit").await;
        (unit == "s" && number(&browser, "scheduling-delay").await? > 2.0).then_some(())
    })
    .await;
    browser.picture("stuck").await;
    drop(blocked);
    browser.says("#state", |text| text == "Healthy").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_missed_and_found_again() {
    let service = Service::start().await;
    let proxy = Proxy::start(service.internal.to_string()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("http://127.0.0.1:1/")).await;
    browser.says("#state", |text| text == "Healthy").await;
    proxy.cut();
    browser.says("#state", |text| text == "No answer").await;
    browser.says("#reason", |text| text.contains("asking again")).await;
    browser.click("[data-path='/debug/build']").await;
    browser.says("#facts .said", |text| text == "The server does not answer.").await;
    proxy.mend();
    browser.says("#state", |text| text == "Healthy").await;
}

/// Two of what a person reads or presses lie over each other, or stick out of the page: what and where.
const OVERLAPS: &str = "(() => {
    const wanted = 'button, input, select, a, h1, h2, h3, p, dt, dd, li > span, li > code, pre, iframe, td, th, progress, output';
    const boxes = [...document.querySelectorAll(wanted)].filter((e) => !e.matches('.skip') && e.checkVisibility())
        .map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width > 0 && b.height > 0);
    const name = (e) => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 30);
    const faults = boxes.filter(([, b]) => b.left < -0.5 || b.right > innerWidth + 0.5).map(([e]) => 'out: ' + name(e));
    boxes.forEach(([a, p], at) => boxes.slice(at + 1).forEach(([b, q]) => {
        const [w, h] = [Math.min(p.right, q.right) - Math.max(p.left, q.left), Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top)];
        if (w > 1 && h > 1 && !a.contains(b) && !b.contains(a)) faults.push(name(a) + ' / ' + name(b));
    }));
    if (document.documentElement.scrollWidth > innerWidth) faults.push('scrolls sideways');
    return faults;
})()";

/// Opens one result of each kind.
async fn open_results(browser: &Browser) {
    for (button, result) in [
        ("#heap [data-do=live]", "#heap .failed"),
        ("#tasks [data-do=picture]", "#tasks tbody"),
        ("#facts [data-path='/metrics']", "#facts pre"),
    ] {
        browser.click(button).await;
        browser.says(result, |text| !text.is_empty()).await;
    }
    browser.click("#cpu button:nth-of-type(3)").await;
    browser.says("#cpu .left", |text| text.ends_with("s left")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_a_narrow_window_and_double_size_by_day_and_by_night() {
    let service = Service::start().await;
    let (_front, base) = Front::of(service.internal).await;
    let browser = Browser::start().await;
    browser.open(&base).await;
    browser.says("#state", |text| text == "Healthy").await;
    browser.picture("first").await;
    open_results(&browser).await;
    // 640 is what is left of 1280 at 200 %.
    for width in [1280, 640, 320] {
        for scheme in ["light", "dark"] {
            browser.size(width, 800).await;
            browser.scheme(scheme).await;
            browser.picture(&format!("{scheme}-{width}")).await;
            assert_eq!(browser.value(OVERLAPS).await, serde_json::json!([]), "{scheme} {width}");
        }
    }
    let grounds = async |scheme| {
        browser.scheme(scheme).await;
        browser.value("getComputedStyle(document.documentElement).backgroundColor").await
    };
    assert_ne!(grounds("light").await, grounds("dark").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checker_of_accessibility_finds_nothing() {
    let axe = crate::tool::file("axe/node_modules/axe-core/axe.min.js");
    let service = Service::start().await;
    let (_front, base) = Front::of(service.internal).await;
    let browser = Browser::start().await;
    browser.open(&base).await;
    browser.says("#state", |text| text == "Healthy").await;
    open_results(&browser).await;
    browser.run(&axe).await;
    for scheme in ["light", "dark"] {
        browser.scheme(scheme).await;
        let found = browser
            .value(
                "axe.run(document, { iframes: false }).then(({ passes, violations }) => ({ passes: passes.length, \
                 violations: violations.flatMap(({ id, nodes }) => nodes.map((node) => id + ': ' + node.html)) }))",
            )
            .await;
        assert_eq!(found["violations"], serde_json::json!([]), "{scheme}");
        assert!(found["passes"].as_u64().unwrap() > 20, "{found}");
    }
}

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let service = Service::start().await;
    let browser = Browser::start().await;
    browser.open(&page(&service)).await;
    browser.says("#state", |text| text == "Healthy").await;
    let focused = "(() => { const e = document.activeElement; e.dataset.seen = 'yes';
        const ring = getComputedStyle(e).outlineStyle !== 'none' && e.matches(':focus-visible');
        return e === document.body ? 'body' : (ring ? '' : 'no ring: ') + (e.id || e.getAttribute('aria-label') || e.textContent.trim()); })()";
    browser.press(TAB).await;
    assert_eq!(browser.value(focused).await, "Skip to the tools");
    browser.press(ENTER).await;
    browser.press(TAB).await;
    assert_eq!(browser.value(focused).await, "Watch 5 s", "right behind the heading of the tools");
    // From there to the end and round again, without a trap and in the order of the page.
    let mut order = Vec::new();
    while order.len() < 200 {
        browser.press(TAB).await;
        let reached = browser.value(focused).await.as_str().unwrap().to_owned();
        assert!(!reached.starts_with("no ring"), "{reached}");
        if reached == "Skip to the tools" {
            break;
        }
        order.push(reached);
    }
    assert!(order.len() < 200, "the end is never reached: {order:?}");
    browser.press(TAB).await;
    assert_eq!(browser.value(focused).await, "back", "what the link skips");
    for pair in [
        "Watch 30 s",
        "Live memory",
        "Task flamegraph",
        "Show stalls",
        "log-filter",
        "Change the filter",
        "Settings",
        "/metrics",
    ]
    .windows(2)
    {
        let place = |name| order.iter().position(|reached| reached == name);
        assert!(place(pair[0]).is_some() && place(pair[0]) < place(pair[1]), "{pair:?}: {order:?}");
    }
    let missed = "[...document.querySelectorAll('button, input, select, a, pre')].filter((e) => !e.dataset.seen).map((e) => e.outerHTML)";
    assert_eq!(browser.value(missed).await, serde_json::json!([]));
    browser.value("document.querySelector(\"[data-path='/debug/build']\").focus()").await;
    browser.press(ENTER).await;
    browser.says("#facts pre", |text| text.contains("\"rustc\"")).await;
}

/// An address of this machine that is not loopback; no packet is sent to find it.
fn address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let routed = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let address =
        routed.expect("this machine has another address than loopback, for the token is asked for there").ip();
    assert!(!address.is_loopback());
    address.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_than_on_loopback_the_browser_asks_for_the_token_once() {
    let settings =
        [("GLASSHOUSE_INTERNAL__LISTEN", "0.0.0.0:0"), ("GLASSHOUSE_INTERNAL__TOKEN", "a-token-of-the-on-call-7b1f")];
    let service = Service::start_with(crate::support::Engine::Sqlite, &settings).await;
    let host = format!("{}:{}", address(), service.internal.port());
    let refused = reqwest::get(format!("http://{host}/")).await.unwrap();
    let challenges: Vec<_> = refused.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(
        (refused.status().as_u16(), challenges.len()),
        (401, 2),
        "a line each, or no browser asks: {challenges:?}"
    );
    let browser = Browser::start().await;
    browser.open(&format!("http://on-call:a-token-of-the-on-call-7b1f@{host}/")).await;
    browser.says("#state", |text| text == "Healthy").await;
    browser.says("#log-now", |text| text.contains("info")).await;
    eventually("numbers", async || number(&browser, "tasks").await).await;
    browser.click("[data-path='/debug/build']").await;
    browser.says("#facts pre", |text| text.contains("\"rustc\"")).await;
    assert!(browser.text("#commands").await.contains("any:$TOKEN@"));
    // It has no way to show a token.
    let console = browser.text("#commands li:nth-child(1) code").await;
    assert!(console.starts_with("ssh ") && !console.contains("TOKEN"), "{console}");
    // The frame of the flamegraphs is let in too, and answers.
    let framed = "new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.src = new URL('/page/frame.html', location.origin);
        frame.sandbox = 'allow-scripts';
        addEventListener('message', ({ data }) => done(data.fault));
        frame.onload = () => frame.contentWindow.postMessage({ svg: 'no picture' }, '*');
        document.body.append(frame);
    })";
    assert_eq!(browser.value(framed).await, "it cannot be read");
    browser.click("#commands button").await;
    browser.says("#terminal .said", |text| text == "Copied: The tasks, live.").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
