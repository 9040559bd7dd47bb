//! No statement reads a table that grows from end to end, or sorts it.
//!
//! The statements are found in the sources of this folder: every text that begins like one. So none can be forgotten.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};

use super::open::{connect_options, migrator};
use super::save;
use crate::DEFAULT_BUSY_TIMEOUT;

/// Tables of a few rows, with their aliases in statements, and the rows that a statement was given.
const SMALL: [&str; 19] = [
    "_sqlx_migrations",
    "audit_head",
    "c",
    "data_keys",
    "delivery_counts",
    "former_streams",
    "installation",
    "new",
    "policy",
    "removed_connections",
    "retired_connections",
    "search_evidence",
    "sqlite_master",
    "sqlite_sequence",
    "target_health",
    "target_secrets",
    "target_settings",
    "target_tests",
    "tokens",
];

/// Beginnings of statements that code completes: of lists, which have a test of their own, and those that
/// [`completed`] has.
const INCOMPLETE: [&str; 3] = [
    "SELECT id, created_at, state, system, target, fault_kind, ticket_key FROM deliveries",
    "SELECT id, created_at FROM (",
    "SELECT * FROM events WHERE seq > ",
];

/// Statements that sort a bounded number of rows: those that they were given, those of which they were given the IDs, a
/// few canaries, or a small table.
const SORTS: [&str; 4] = [
    "SELECT a.* FROM json_each(?) AS wanted",
    "WITH canaries AS",
    "SELECT * FROM tokens",
    "SELECT * FROM retired_connections",
];

fn completed() -> Vec<String> {
    let events = "SELECT * FROM events WHERE seq > ? AND seq <= ? AND incident_id = ? AND system IN (?) AND kind IN (?)
        AND body ->> '$.delivery.requested_by' = ? AND coalesce(body ->> '$.delivery.namespace', 'default') = ?
        AND delivery_id IS NOT NULL ORDER BY seq LIMIT ?";
    let mut completed = save::bound_statements();
    completed.push(events.to_owned());
    completed
}

/// The statements of every source file in this folder, without its tests.
fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite");
    let mut found = vec![];
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with("tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_statement = |text: &String| {
            let first = text.split_whitespace().next().unwrap_or_default();
            ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&first)
        };
        found.extend(literals(source).into_iter().filter(is_statement).map(|text| (name.clone(), text)));
    }
    found
}

/// The string literals of a source, without those in comments.
fn literals(source: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (token, after) = rest[at..].split_at(1);
        rest = match token {
            "/" if after.starts_with('/') => after.split_once('\n').map_or("", |(_, next)| next),
            // A quote as a character; what begins a lifetime has no end.
            "'" => after.strip_prefix("\"'").or_else(|| after.strip_prefix("\\\"'")).unwrap_or(after),
            "\"" => {
                let mut escaped = false;
                let end = after.find(|c: char| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                let (text, next) = after.split_at(end.expect("a literal ends"));
                found.push(text.replace("\\\"", "\"").trim().to_owned());
                &next[1..]
            }
            _ => after,
        };
    }
    found
}

async fn plan(db: &mut SqliteConnection, statement: &str) -> Result<Vec<String>, sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    let steps = query.fetch_all(db).await?;
    Ok(steps.iter().map(|step| step.get("detail")).collect())
}

/// What is wrong with a step of a plan. The plan of a subquery has steps of its own.
fn fault<'s>(step: &'s str, statement: &str) -> Option<&'s str> {
    let mut words = step.split(' ');
    let first = words.next()?;
    let table = words.next().unwrap_or_default();
    let is_small = SMALL.contains(&table)
        || table.starts_with("(subquery")
        || step.contains("VIRTUAL TABLE")
        || step == "SCAN CONSTANT ROW"
        || step.ends_with("-ROW VALUES CLAUSE");
    let reads_all = first == "SCAN" || step.contains("AUTOMATIC");
    let sorts = step.contains("TEMP B-TREE FOR ORDER BY");
    let is_sort_bounded = SORTS.iter().any(|known| statement.starts_with(known));
    (reads_all && !is_small || sorts && !is_sort_bounded).then_some(step)
}

#[tokio::test]
async fn no_statement_scans_or_sorts_what_grows() {
    let folder = tempfile::tempdir().unwrap();
    let options = connect_options(&folder.path().join("ticketing.db"), DEFAULT_BUSY_TIMEOUT);
    let mut db = options.create_if_missing(true).connect().await.unwrap();
    migrator().run_direct(None, &mut db, false).await.unwrap();
    let found = statements();
    for start in INCOMPLETE {
        assert!(found.iter().any(|(_, text)| text == start.trim()), "there is no {start:?} any more");
    }
    let whole = found
        .into_iter()
        .filter(|(_, text)| !text.contains("{rows}") && !INCOMPLETE.iter().any(|start| start.trim() == text));
    let built = completed().into_iter().map(|text| (String::new(), text));
    let mut faults = vec![];
    let mut examined = 0;
    for (file, statement) in whole.chain(built) {
        match plan(&mut db, &statement).await {
            Ok(steps) => {
                let wrong = steps.iter().filter_map(|step| fault(step, &statement));
                faults.extend(wrong.map(|step| format!("{file}: {step}\n    {statement}")));
            }
            Err(error) => faults.push(format!("{file}: {error}\n    {statement}")),
        }
        examined += 1;
    }
    assert!(examined > 50, "only {examined} statements were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn finds_literals_beside_comments_and_characters() {
    let source = "let a = \"one\"; // \"no\"\nlet b = '\"'; let c = \"t\\\"wo\"; fn d<'a>() { \"three\" }";
    assert_eq!(literals(source), ["one", "t\"wo", "three"]);
}
