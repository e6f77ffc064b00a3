//! How PostgreSQL finds what it is asked for, with 100,000 users and as many of all else: by an index wherever one is
//! meant. The plans are kept in `tests/golden/plans.txt`; `UPDATE_GOLDEN=1` writes them anew.

use std::{fmt::Write, fs, path::Path};

use glasshouse::store::postgres::STATEMENTS;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::support::On;

/// The planner's text differs from one major version to the next; the golden file is of this one.
const VERSION: u32 = 15;

/// Every 1000th user is an admin; sessions end one second after another. Every row is looked at for the statistics,
/// so that they are the same each time.
const LOAD: &str = "
INSERT INTO users
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'User' || i || '@Example.com',
       'user' || i || '@example.com', 'User ' || i, CASE WHEN i % 1000 = 0 THEN 'admin' ELSE 'user' END,
       repeat('h', 97), 1, '2026-01-01Z', '2026-01-01Z'
FROM generate_series(1, 100000) AS i;
INSERT INTO sessions
SELECT ('01900001-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, md5('family' || i)::uuid,
       decode(md5('a' || i) || md5('b' || i), 'hex'), '2026-01-01Z', '2026-02-01Z'::timestamptz + i * interval '1 s'
FROM generate_series(1, 100000) AS i;
INSERT INTO idempotency_keys
SELECT decode(md5('a' || i) || md5('b' || i), 'hex'), decode(md5('c' || i) || md5('d' || i), 'hex'),
       ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, repeat('h', 97),
       '2026-02-01Z'::timestamptz + i * interval '1 s'
FROM generate_series(1, 100000) AS i;
INSERT INTO audit
SELECT ('01900002-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, '2026-02-01Z'::timestamptz + i * interval '1 s',
       ('01900000-0000-7000-8000-' || lpad(to_hex(i % 10), 12, '0'))::uuid, 'change',
       ('01900000-0000-7000-8000-' || lpad(to_hex(i / 3), 12, '0'))::uuid, 'name', NULL, 'r' || i
FROM generate_series(1, 100000) AS i;
INSERT INTO known_networks
SELECT decode(md5('a' || i) || md5('b' || i), 'hex'), ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       '2026-02-01Z'::timestamptz + i * interval '1 s'
FROM generate_series(1, 100000) AS i;
SET default_statistics_target = 1000;
ANALYZE users, sessions, idempotency_keys, audit, known_networks;
SET max_parallel_workers_per_gather = 0;
SET plan_cache_mode = force_custom_plan";

const USER: &str = "'01900000-0000-7000-8000-00000000c350'";
const SESSION: &str = "'01900001-0000-7000-8000-00000000c350'";
const FAMILY: &str = "'00000000-0000-4000-8000-000000000000'";
const SECRET: &str = "'\\x00'";
const ENTRY: &str = "'01900002-0000-7000-8000-00000000c350'";
const DIGEST: &str = "'\\x0000000000000000000000000000000000000000000000000000000000000000'";
const NOW: &str = "'2026-02-01 00:16:40Z'";

/// Values as a busy service would bind them; none for what reads no table.
pub(crate) fn values(name: &str) -> Option<Vec<&'static str>> {
    let values = match name {
        "begin" | "commit" | "rollback" | "ping" => return None,
        "insert_user" => {
            vec![FAMILY, "'Ann@example.com'", "'ann@example.com'", "'Ann'", "'user'", "'h'", "1", NOW, NOW]
        }
        "get_user" | "get_password" | "end_sessions" => vec![USER],
        "get_credentials" => vec!["'user50000@example.com'"],
        "list_users" => vec![USER, "21"],
        "list_users_by_role" => vec![USER, "21", "'admin'"],
        "list_users_by_prefix" => vec!["'user7777'", "21", "'user7777\u{7f}'"],
        "list_users_by_role_and_prefix" => vec!["'user7777'", "21", "'user7777\u{7f}'", "'admin'"],
        "update_user" => vec![USER, "1", "'Ann@example.com'", "'ann@example.com'", "'Ann'", "'user'", "2", NOW],
        "update_password" => vec![USER, "'h'", "'i'"],
        "delete_user" => vec![USER, "'user'"],
        "delete_user_version" => vec![USER, "'user'", "1"],
        "lock_admins" | "get_newest_expiry" => vec![],
        "insert_session" => vec![SESSION, USER, FAMILY, SECRET, NOW, NOW, "'h'"],
        "recognise_session" => vec![SESSION, NOW],
        "rotate_session" => vec![FAMILY, SECRET, SECRET, NOW, NOW, SECRET],
        "get_rotated_session" => vec![FAMILY, SECRET, NOW, NOW],
        "end_reused_session" => vec![FAMILY, NOW],
        "end_oldest_sessions" => vec![USER, SESSION, "99"],
        "end_session" => vec![SESSION],
        "end_other_sessions" => vec![USER, SESSION],
        "sweep_sessions" | "sweep_receipts" | "sweep_entries" => vec![NOW, "100"],
        "upsert_network" => vec![DIGEST, USER, NOW],
        "delete_oldest_networks" => vec![USER, "16"],
        "insert_receipt" => vec![DIGEST, DIGEST, USER, "'h'", NOW],
        "get_receipt" | "get_network" => vec![DIGEST],
        "insert_entry" => vec![FAMILY, NOW, USER, "'change'", USER, "'name'", "NULL", "'r'"],
        "list_entries" => vec![ENTRY, "21"],
        "list_entries_of_subject" => vec![ENTRY, "21", USER],
        "check_schema" => vec!["9999"],
        unknown => panic!("{unknown}: give it values here"),
    };
    Some(values)
}

/// Other values, with which a plan that filters instead of searching would read most: a prefix that every address has, a
/// role that few have, a page that is far on, everything expired.
pub(crate) fn worst_values(name: &str) -> Option<Vec<&'static str>> {
    let values = match name {
        "list_users" => vec!["'00000000-0000-0000-0000-000000000000'", "21"],
        "list_users_by_role" => vec!["'00000000-0000-0000-0000-000000000000'", "21", "'admin'"],
        "list_users_by_prefix" => vec!["'user99\u{1}'", "21", "'user\u{7f}'"],
        "list_users_by_role_and_prefix" => vec!["'user'", "21", "'user\u{7f}'", "'admin'"],
        "sweep_sessions" | "sweep_receipts" | "sweep_entries" => vec!["'2027-02-01 00:16:40Z'", "100"],
        "list_entries_of_subject" => vec!["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "21", USER],
        "list_entries" => vec!["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "21"],
        _ => return None,
    };
    Some(values)
}

/// Rows and pages that a statement may read beside those in proportion to its answer: a few lookups by an index.
const FREE_ROWS: f64 = 20.0;
const FREE_PAGES: f64 = 60.0;

/// Rows that the scans below a node have read, whether or not they became part of the answer.
fn rows_read(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let is_scan = node["Relation Name"].is_string() && node["Node Type"] != "ModifyTable";
    let filtered = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    let own = if is_scan { (number("Actual Rows") + filtered) * number("Actual Loops") } else { 0.0 };
    own + node["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<f64>()
}

/// Rows that the statement returned or wrote.
fn rows_answered(root: &Value) -> f64 {
    let node = if root["Node Type"] == "ModifyTable" { &root["Plans"][0] } else { root };
    node["Actual Rows"].as_f64().unwrap_or_default() * node["Actual Loops"].as_f64().unwrap_or_default()
}

/// Runs the statement and rolls it back.
async fn assert_reads_little(connection: &mut PgConnection, name: &str, values: &[&str]) {
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {name}{values}");
    connection.execute("BEGIN").await.unwrap();
    let explained = connection.fetch_one(AssertSqlSafe(explain)).await;
    let row = explained.unwrap_or_else(|error| panic!("{name}: {error}"));
    connection.execute("ROLLBACK").await.unwrap();
    let plan: Value = serde_json::from_str(row.get_unchecked::<&str, _>(0)).unwrap();
    let root = &plan[0]["Plan"];
    let (read, answered) = (rows_read(root), rows_answered(root));
    assert!(read <= FREE_ROWS + 3.0 * answered, "{name} reads {read} rows for {answered}:\n{plan:#}");
    let pages = ["Shared Hit Blocks", "Shared Read Blocks"].map(|name| root[name].as_f64().unwrap_or_default());
    let pages: f64 = pages.iter().sum();
    assert!(pages <= FREE_PAGES + 20.0 * answered, "{name} reads {pages} pages for {answered} rows:\n{plan:#}");
}

/// What is meant to read nothing at all, and so has no index to use.
const READS_NOTHING: [&str; 4] = ["insert_user", "insert_receipt", "insert_entry", "upsert_network"];

#[tokio::test]
async fn statements_find_their_rows_by_an_index() {
    let store = On::Postgres.open().await;
    let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
    connection.execute(LOAD).await.unwrap();

    let mut plans = String::from(
        "How PostgreSQL runs each statement, with 100,000 rows in each table.\n\
         Written by tests/store/plans.rs with UPDATE_GOLDEN=1.\n",
    );
    for (name, statement) in STATEMENTS.all() {
        let Some(values) = values(name) else { continue };
        // The types of a statement's values are PostgreSQL's to infer, as they are when the service asks.
        connection.execute(AssertSqlSafe(format!("PREPARE {name} AS {}", statement.sql))).await.unwrap();
        let arguments = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE {name}{arguments}");
        let mut plan = String::new();
        for row in connection.fetch_all(AssertSqlSafe(explain)).await.unwrap() {
            writeln!(plan, "    {}", row.get::<&str, _>(0)).unwrap();
        }
        assert_reads_little(&mut connection, name, &values).await;
        if let Some(values) = worst_values(name) {
            assert_reads_little(&mut connection, name, &values).await;
        }
        // The table of migrations has a row for each step of the schema.
        let plan_of_data = plan.replace("Seq Scan on _sqlx_migrations", "");
        assert!(!plan_of_data.contains("Seq Scan"), "{name} reads a whole table:\n{plan}");
        if !READS_NOTHING.contains(&name) {
            assert!(plan.contains("Index"), "{name} uses no index:\n{plan}");
        }
        write!(plans, "\n{name}: {}\n{}", statement.sql, plan.replace('\u{7f}', "\\x7f")).unwrap();
    }

    let version = connection.fetch_one("SHOW server_version_num").await.unwrap();
    let version: u32 = version.get::<&str, _>(0).parse().unwrap();
    if version / 10000 != VERSION {
        return;
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans.txt");
    #[expect(clippy::disallowed_methods, reason = "UPDATE_GOLDEN is a setting of the tests and of nothing else")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::write(&golden, &plans).unwrap();
    }
    let kept = fs::read_to_string(&golden).unwrap_or_default();
    assert!(plans == kept, "the plans are not those of tests/golden/plans.txt:\n{plans}");
}
