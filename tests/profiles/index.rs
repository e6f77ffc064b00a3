//! Go's index of profiles, as Go's clients read it.

use std::hint::black_box;

use reqwest::{Client, Method};

use crate::{go, support::Service};

#[tokio::test]
async fn every_path_answers_as_gos_clients_expect() {
    let service = Service::start().await;
    let text = "text/plain; charset=utf-8";
    for (path, content_type, file) in [
        ("/debug/pprof/", text, None),
        ("/debug/pprof/block", "application/octet-stream", Some("block")),
        ("/debug/pprof/block?debug=1", text, None),
        ("/debug/pprof/mutex", "application/octet-stream", Some("mutex")),
        ("/debug/pprof/mutex?debug=1", text, None),
        ("/debug/pprof/threadcreate", "application/octet-stream", Some("threadcreate")),
        ("/debug/pprof/threadcreate?debug=1", text, None),
        ("/debug/pprof/cmdline", text, None),
        ("/debug/pprof/symbol", text, None),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let url = format!("http://{}{path}", service.internal);
            let reply = Client::new().request(method.clone(), url).send().await.unwrap();
            assert_eq!(reply.status(), 200, "{method} {path}");
            let header = |name: &str| reply.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("content-type").as_deref(), Some(content_type), "{method} {path}");
            assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{method} {path}");
            assert_eq!(header("content-encoding"), None, "{method} {path}");
            let disposition = file.map(|file| format!("attachment; filename=\"{file}\""));
            assert_eq!(header("content-disposition"), disposition, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_index_leads_to_every_profile() {
    let service = Service::start().await;
    let page = service.ask("/debug/pprof/").header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let (page, text) = (page.text().await.unwrap(), service.internal("/debug/pprof/").await.text().await.unwrap());
    let profiles =
        ["allocs", "block", "cmdline", "goroutine", "heap", "mutex", "profile", "symbol", "threadcreate", "trace"];
    for profile in profiles {
        assert!(page.contains(&format!("href=\"{profile}")), "{profile}: {page}");
        assert!(text.contains(&format!("  {profile}")), "{profile}: {text}");
    }
    assert!(page.contains("href=\"goroutine?debug=2\""), "{page}");
}

#[tokio::test]
async fn what_is_not_there_is_said_as_go_says_it() {
    let service = Service::start().await;
    for path in ["/debug/pprof/nothing", "/debug/pprof/heap/", "/debug/pprof/%ff", "/debug/pprof/a/b?debug=1"] {
        let reply = service.internal(path).await;
        assert_eq!(reply.status(), 404, "{path}");
        assert_eq!(reply.headers()["x-go-pprof"], "1", "{path}");
        assert_eq!(reply.text().await.unwrap(), "Unknown profile\n", "{path}");
    }
    for (path, allow) in [("", "GET,HEAD"), ("heap", "GET,HEAD"), ("block", "GET,HEAD"), ("symbol", "GET,HEAD,POST")] {
        let url = format!("http://{}/debug/pprof/{path}", service.internal);
        let reply = Client::new().delete(url).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.headers()["allow"].to_str().unwrap()), (405, allow), "{path}");
    }
}

#[tokio::test]
async fn go_reads_what_is_empty_and_finds_the_threads() {
    let service = Service::start().await;
    for (name, remark) in [("block", "how long tasks wait"), ("mutex", "who waits for a lock")] {
        let url = format!("http://{}/debug/pprof/{name}", service.internal);
        let top = go::pprof(&["-top"], &url).await;
        assert!(top.contains("Type: delay") && top.contains("of 0 total"), "{top}");
        let raw = go::pprof(&["-raw"], &url).await;
        assert!(raw.contains("contentions/count delay/nanoseconds"), "{raw}");
        assert!(go::pprof(&["-comments"], &url).await.contains(remark), "{name}");
        assert!(service.internal(&format!("/debug/pprof/{name}?debug=1")).await.text().await.unwrap().contains(remark));
    }
    let url = format!("http://{}/debug/pprof/threadcreate", service.internal);
    let top = go::pprof(&["-top"], &url).await;
    assert!(top.contains("Type: threadcreate"), "{top}");
    assert!(go::number(&top, " main", 0, "") >= 2.0, "{top}");
    assert!(go::number(&top, " internal", 0, "") >= 1.0, "{top}");
    let text = service.internal("/debug/pprof/threadcreate?debug=1").await.text().await.unwrap();
    assert!(text.starts_with("threadcreate profile: total ") && text.contains(" @ main\n"), "{text}");
}

#[tokio::test]
async fn the_command_line_has_zeros_between_its_words() {
    let service = Service::start().await;
    let told = service.internal("/debug/pprof/cmdline").await.bytes().await.unwrap();
    let words: Vec<String> = std::env::args().collect();
    assert_eq!(String::from_utf8_lossy(&told), words.join("\0"));
}

#[inline(never)]
fn a_landmark() -> u32 {
    black_box(7)
}

#[tokio::test]
async fn an_address_is_told_by_its_function() {
    let service = Service::start().await;
    black_box(a_landmark());
    let address = a_landmark as fn() -> u32 as usize;
    let url = format!("http://{}/debug/pprof/symbol", service.internal);
    let expected = format!("num_symbols: 1\n{address:#x} profiles::index::a_landmark\n");
    let by_query = reqwest::get(format!("{url}?{address:#x}+0x1")).await.unwrap().text().await.unwrap();
    assert_eq!(by_query, expected);
    let post = async |body: Vec<u8>| Client::new().post(&url).body(body).send().await.unwrap();
    let by_body = post(format!("{address:#x}+{address:#x}").into_bytes()).await.text().await.unwrap();
    let line = expected.lines().last().unwrap();
    assert_eq!(by_body.lines().collect::<Vec<_>>(), ["num_symbols: 1", line, line]);
    assert_eq!(service.internal("/debug/pprof/symbol").await.text().await.unwrap(), "num_symbols: 1\n");

    for body in [&b"\xff\xfe+\x00+0x"[..], b"+++", b"0xffffffffffffffff+0x0", b"\r\n0x10\r\n", b"-1+1e9+0x1g"] {
        let reply = post(body.to_vec()).await;
        assert_eq!(reply.status(), 200, "{body:?}");
        assert_eq!(reply.text().await.unwrap(), "num_symbols: 1\n", "{body:?}");
    }
    assert_eq!(post(vec![b'+'; 64 * 1024 + 1]).await.status(), 413);
    assert_eq!(post("1+".repeat(5000).into_bytes()).await.status(), 413);
}
