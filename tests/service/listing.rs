//! The list of accounts, page by page.

use std::collections::BTreeMap;

use crate::support::{Reply, Service, Session, on_both_stores};

/// Registers so many, `name0@…` first; their ids in that order.
async fn registered(service: &Service, name: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let reply = service.client().register(&format!("{name}{number}@example.com")).await;
        ids.push(reply.json["id"].as_str().unwrap().to_owned());
    }
    ids
}

fn ids(page: &Reply) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text);
    let users = page.json["users"].as_array().unwrap();
    users.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

/// Every id, page after page.
async fn walked(admin: &Session, query: &str) -> Vec<String> {
    let mut page = admin.client.list(query).await;
    let mut seen = ids(&page);
    while let Some(next) = page.json["next"].as_str() {
        page = admin.client.list(&format!("{query}&cursor={next}")).await;
        seen.extend(ids(&page));
        assert!(seen.len() <= 100, "it goes round in circles: {query}");
    }
    seen
}

on_both_stores! {
    async fn a_walk_meets_everybody_once_while_others_come_and_go(engine) {
        let service = Service::on(engine).await;
        let admin = service.admin("root@example.com").await;
        let there = registered(&service, "ann", 12).await;
        let mut page = admin.client.list("?limit=3").await;
        let mut seen = ids(&page);
        for round in 0.. {
            let Some(next) = page.json["next"].as_str().map(str::to_owned) else { break };
            if round < 3 {
                registered(&service, &format!("late{round}-"), 1).await;
            }
            if round == 1 {
                // The very account that the cursor names.
                let last = seen.last().unwrap();
                assert_eq!(admin.client.remove(last).await.status, 204);
            }
            page = admin.client.list(&format!("?limit=3&cursor={next}")).await;
            assert!(ids(&page).len() <= 3 && round < 20);
            seen.extend(ids(&page));
        }
        let mut counts = BTreeMap::new();
        for id in &seen {
            *counts.entry(id).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        let of_those: Vec<_> = seen.iter().filter(|id| there.contains(id)).collect();
        assert_eq!(of_those, there.iter().collect::<Vec<_>>(), "in order of registration, nobody left out");
    }
}

on_both_stores! {
    async fn a_filter_finds_roles_and_beginnings_of_addresses(engine) {
        let service = Service::on(engine).await;
        let admin = service.admin("anna.root@example.com").await;
        let anns = registered(&service, "ann", 3).await;
        let bobs = registered(&service, "Bob_", 2).await;
        let all: Vec<_> = [vec![admin.id.clone()], anns.clone(), bobs.clone()].concat();
        for (query, expected) in [
            ("?limit=2", all.clone()),
            ("?limit=2&role=user", [anns.clone(), bobs.clone()].concat()),
            ("?limit=2&role=admin", vec![admin.id.clone()]),
            ("?limit=2&email_prefix=ann", [anns.clone(), vec![admin.id.clone()]].concat()),
            ("?limit=2&email_prefix=ANN&role=user", anns.clone()),
            ("?limit=1&email_prefix=bob_", bobs.clone()),
            ("?limit=2&email_prefix=b", bobs.clone()),
            // What SQL's patterns would take for any character is itself.
            ("?limit=2&email_prefix=bob%25", vec![]),
            ("?limit=2&email_prefix=_", vec![]),
            ("?limit=2&email_prefix=nobody", vec![]),
        ] {
            assert_eq!(walked(&admin, query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn a_page_has_1_to_100_accounts_and_20_by_default() {
    let service = Service::start().await;
    let admin = service.admin("root@example.com").await;
    registered(&service, "ann", 21).await;
    assert_eq!(ids(&admin.client.list("").await).len(), 20);
    let whole = admin.client.list("?limit=100").await;
    assert_eq!((ids(&whole).len(), &whole.json["next"]), (22, &serde_json::Value::Null));
    assert_eq!(ids(&admin.client.list("?limit=1").await).len(), 1);
    let exact = admin.client.list("?limit=22").await;
    assert_eq!((ids(&exact).len(), &exact.json["next"]), (22, &serde_json::Value::Null), "no page is empty");
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_and_not_guessed() {
    let service = Service::start().await;
    let admin = service.admin("root@example.com").await;
    registered(&service, "ann", 2).await;
    let next = admin.client.list("?limit=1").await.json["next"].as_str().unwrap().to_owned();
    let by_prefix = admin.client.list("?limit=1&email_prefix=ann").await.json["next"].as_str().unwrap().to_owned();
    let tampered = format!("{}A", &next[..next.len() - 2]);
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=-1",
        "?limit=ten",
        "?limit=",
        "?limit=1&limit=2",
        "?limit=%2B1",
        "?role=root",
        "?role=",
        "?email_prefix=",
        "?email_prefix=%C3%A9",
        "?page=2",
        "?cursor=",
        "?cursor=1",
        &format!("?cursor={}", admin.id),
        &format!("?cursor={tampered}"),
        &format!("?cursor={next}x"),
        &format!("?cursor={next}&email_prefix=ann"),
        &format!("?cursor={by_prefix}"),
        &format!("?cursor={by_prefix}&role=user"),
    ] {
        let reply = admin.client.list(query).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (422, "validation_failed"), "{query}");
        assert!(!reply.json["errors"].as_array().unwrap().is_empty(), "{query}");
    }
}

#[tokio::test]
async fn cursors_match_the_openapi_document() {
    let service = Service::start().await;
    let admin = service.admin("root@example.com").await;
    registered(&service, "ann", 2).await;
    let longest = format!("{}@{}.example", "z".repeat(64), ["z".repeat(60), "z".repeat(60), "z".repeat(59)].join("."));
    assert_eq!(service.client().register(&longest).await.status, 201);
    assert_eq!(service.client().register(&format!("z{}", &longest[2..])).await.status, 201);
    let document = serde_json::to_value(glasshouse::http::openapi::document()).unwrap();
    let operation = &document["paths"]["/api/v1/users"]["get"];
    let parameters = operation["parameters"].as_array().unwrap();
    let schema = &parameters.iter().find(|parameter| parameter["name"] == "cursor").unwrap()["schema"];
    let pattern = regex::Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
    let answered = &document["components"]["schemas"]["Users"]["properties"]["next"];
    for query in ["?limit=1", "?limit=1&email_prefix=ann", "?limit=1&email_prefix=z"] {
        let page = admin.client.list(query).await;
        let next = page.json["next"].as_str().unwrap();
        assert!(pattern.is_match(next), "{query}: {next}");
        for schema in [schema, answered] {
            let (min, max) = (schema["minLength"].as_u64().unwrap(), schema["maxLength"].as_u64().unwrap());
            assert!((min..=max).contains(&u64::try_from(next.len()).unwrap()), "{query}: {next}");
        }
    }
}

#[tokio::test]
async fn a_cursor_tells_nothing() {
    let service = Service::start().await;
    let admin = service.admin("root@example.com").await;
    registered(&service, "ann", 2).await;
    let page = admin.client.list("?limit=1").await;
    let next = page.json["next"].as_str().unwrap();
    assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "fit for a URL: {next}");
    assert!(!next.contains(&admin.id) && !next.contains(&admin.id.replace('-', "")), "{next}");
}

#[tokio::test]
async fn the_list_is_for_admins() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    for query in ["", "?limit=0", "?role=admin"] {
        let reply = ann.client.list(query).await;
        assert!([403, 422].contains(&reply.status.as_u16()) && reply.json.get("users").is_none(), "{}", reply.text);
    }
    assert_eq!(ann.client.list("").await.code(), "forbidden");
}
