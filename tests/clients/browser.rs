//! Chromium without a window, driven as `WebDriver` says: JSON over HTTP to Debian's chromedriver.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{support::eventually, tool::program};

/// Two cores do not carry more, and what is measured in time would become a matter of luck.
static PLACES: Semaphore = Semaphore::const_new(2);

/// One browser with one window. Ends when it is dropped.
pub(crate) struct Browser {
    http: reqwest::Client,
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
    _place: SemaphorePermit<'static>,
}

/// What `WebDriver` calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    pub(crate) async fn start() -> Self {
        let place = PLACES.acquire().await.unwrap();
        let chromium = program("chromium");
        let mut command = Command::new(program("chromedriver"));
        let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let port = port(&mut driver).await;
        let profile = TempDir::new().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        // Without a sandbox: it cannot have one as root, which is what a container's tests mostly are.
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &data];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut browser = Self {
            http: reqwest::Client::new(),
            driver,
            port,
            session: String::new(),
            _profile: profile,
            _place: place,
        };
        let session = browser.send(Method::POST, "/session", &capabilities).await;
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser.size(1280, 1000).await;
        browser
    }

    /// A command; fails with what the driver says if it does.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.http.request(method.clone(), format!("http://127.0.0.1:{}{path}", self.port));
        if method != Method::GET {
            request = request.json(body);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]);
        answer["value"].clone()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, &format!("/session/{}{path}", self.session), body).await
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    /// The value of an expression on the page; a promise is waited for.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return {expression}"), "args": [] })).await
    }

    /// Runs a whole script, such as a library.
    pub(crate) async fn run(&self, script: &str) {
        self.post("/execute/sync", &json!({ "script": script, "args": [] })).await;
    }

    /// What the one element there says, without what is around it; empty if it is not there.
    pub(crate) async fn text(&self, css: &str) -> String {
        let text = self.value(&format!("document.querySelector({})?.innerText ?? ''", json!(css))).await;
        text.as_str().unwrap().trim().to_owned()
    }

    /// Waits until the element there says something that fits, and gives it.
    pub(crate) async fn says(&self, css: &str, fits: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(9);
        let found = eventually(css, async || {
            last = self.text(css).await;
            (fits(&last) || std::time::Instant::now() > deadline).then(|| last.clone())
        })
        .await;
        assert!(fits(&found), "{css} says {found:?}");
        found
    }

    /// Waits until that tool of the page is at rest; a profile with all its names may take its time.
    pub(crate) async fn settled(&self, tool: &str) {
        let busy = format!("document.querySelector('{tool}').hasAttribute('aria-busy')");
        let look = format!("(look = () => {busy} ? setTimeout(look, 50) : done())()");
        self.value(&format!("new Promise((done) => {{ let look; {look}; }})")).await;
    }

    /// Clicks with the mouse, which fails on what is not visible or is covered.
    pub(crate) async fn click(&self, css: &str) {
        let found = self.post("/element", &json!({ "using": "css selector", "value": css })).await;
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/click"), &json!({})).await;
    }

    /// Presses keys, one after the other, on whatever has the focus.
    pub(crate) async fn press(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            [
                json!({ "type": "keyDown", "value": key.to_string() }),
                json!({ "type": "keyUp", "value": key.to_string() }),
            ]
        });
        let presses: Vec<Value> = presses.collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": presses }] })).await;
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// The page is that many CSS pixels wide and high from now on.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// `light` or `dark`, as the system would want it.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What the browser complained of since it was last asked, but for statuses: those are the server's to choose.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" })).await;
        let messages = entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.filter(|message| !message.contains("Failed to load resource: the server responded")).collect()
    }

    /// A picture of the whole page below `target/`, for people; no test looks at it.
    pub(crate) async fn picture(&self, name: &str) {
        let parameters = json!({ "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            picture["data"].as_str().unwrap_or_default(),
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }
}

/// The port that the driver says it has chosen.
async fn port(driver: &mut Child) -> u16 {
    let stdout = driver.stdout.take().unwrap();
    let (found, port) = mpsc::channel();
    // It goes on reading: a driver whose pipe is full would wait.
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                found.send(port.trim_end_matches('.').parse::<u16>().unwrap()).ok();
            }
        }
    });
    tokio::task::spawn_blocking(move || port.recv_timeout(Duration::from_secs(30)).unwrap()).await.unwrap()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // By hand, since nothing can be awaited here: the driver ends Chromium and its children before it answers.
        let (session, port) = (&self.session, self.port);
        let request =
            format!("DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok();
            if stream.write_all(request.as_bytes()).is_ok() {
                stream.read_exact(&mut [0; 16]).ok();
            }
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
