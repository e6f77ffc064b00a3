//! The page to try the contract in: everything it loads comes from here, and its policy lets it.

use std::collections::BTreeSet;

use reqwest::{Url, header::CONTENT_TYPE};

use crate::support::Service;

/// What tags of a page refer to: the values of `src` and `href`.
fn references(html: &str) -> Vec<&str> {
    let tags = html.split('<').skip(1).filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag);
    let values = tags.flat_map(|tag| {
        ["src=\"", "href=\"", "action=\""]
            .into_iter()
            .filter_map(move |name| Some(tag.split_once(name)?.1.split_once('"')?.0))
    });
    values.collect()
}

/// What a style sheet refers to, but for what it holds itself.
fn loaded_by_styles(css: &str) -> Vec<&str> {
    let urls = css.split("url(").skip(1).filter_map(|rest| rest.split_once(')'));
    let urls = urls.map(|(url, _)| url.trim_matches(['"', '\'', ' '])).filter(|url| !url.starts_with("data:"));
    urls.chain(css.split("@import").skip(1)).collect()
}

/// The sources that the policy allows for one kind of thing.
fn allowed<'a>(policy: &'a str, directive: &str) -> BTreeSet<&'a str> {
    let found = policy.split(';').map(str::trim).find_map(|part| part.strip_prefix(directive)?.strip_prefix(' '));
    found.unwrap_or_default().split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere_and_its_policy_allows_what_it_loads() {
    let service = Service::start().await;
    let answer = reqwest::get(service.client().url("/api/v1/docs")).await.unwrap();
    let (page, policy) =
        (answer.url().clone(), answer.headers()["content-security-policy"].to_str().unwrap().to_owned());
    assert_eq!((answer.status().as_u16(), page.path()), (200, "/api/v1/docs/"));
    let html = answer.text().await.unwrap();

    let mut waiting: Vec<Url> = references(&html).iter().map(|reference| page.join(reference).unwrap()).collect();
    assert!(waiting.len() >= 6, "{waiting:?}");
    let mut kinds = BTreeSet::new();
    while let Some(url) = waiting.pop() {
        assert_eq!(url.origin(), page.origin(), "{url} is not ours");
        let asset = reqwest::get(url.clone()).await.unwrap();
        assert_eq!(asset.status(), 200, "{url}");
        let kind = asset.headers()[CONTENT_TYPE].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(asset.headers()["x-content-type-options"], "nosniff", "browsers believe {kind} for {url}");
        if kind == "text/css" {
            let css = asset.text().await.unwrap();
            waiting.extend(loaded_by_styles(&css).iter().map(|reference| url.join(reference).unwrap()));
        }
        kinds.insert(kind);
    }
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), ["image/png", "text/css", "text/javascript"]);

    for (directive, source) in [("script-src", "'self'"), ("img-src", "'self'"), ("connect-src", "'self'")] {
        assert!(allowed(&policy, directive).contains(source), "{directive}: {policy}");
    }
    // The scripts write styles and images into the page, but no scripts.
    assert!(allowed(&policy, "style-src").is_superset(&["'self'", "'unsafe-inline'"].into()), "{policy}");
    assert!(allowed(&policy, "img-src").contains("data:"), "{policy}");
    assert_eq!(allowed(&policy, "script-src").len(), 1, "{policy}");
    assert_eq!(allowed(&policy, "default-src"), ["'none'"].into());
    for script in html.split("<script").skip(1) {
        let (tag, content) = script.split_once('>').unwrap();
        let (content, _) = content.split_once("</script>").unwrap();
        assert!(tag.contains("src=") && content.trim().is_empty(), "the policy forbids a script in the page: {script}");
    }
    assert!(!html.contains("style="), "{html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_told_to_ask_this_service_and_no_other() {
    let service = Service::start().await;
    let settings = service.client().get("/api/v1/docs/swagger-initializer.js").await;
    assert!(settings.text.contains("\"url\": \"/api/v1/openapi.json\""), "{}", settings.text);
    assert!(settings.text.contains("\"validatorUrl\": \"none\""), "else it asks swagger.io: {}", settings.text);
    assert!(!settings.text.contains("://"), "{}", settings.text);
    assert_eq!(service.client().get("/api/v1/openapi.json").await.json["openapi"], "3.1.0");
}
