//! Resume and page tokens that are old, from another database, or forged.

use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::v1::{self, TicketEventKind, TicketSystem};
use tempfile::TempDir;
use ticketing_harness::{Subscriber, WAIT_TIMEOUT, World, after, from_oldest, refusal};
use tonic::Code;

use super::cell::{Cell, CellContext};

const FAMILY: &str = "tokens";
const RESUME: &str = "resume token";
const PAGE: &str = "page token";

pub(super) fn cells() -> Vec<Cell> {
    vec![
        Cell::new(FAMILY, RESUME, "old", old_resume),
        Cell::new(FAMILY, RESUME, "of the future", future_resume),
        Cell::new(FAMILY, RESUME, "forged, cut, empty, of another version", forged_resume),
        Cell::new(FAMILY, RESUME, "of another store", foreign_resume),
        Cell::new(FAMILY, RESUME, "with other filters", filtered_resume),
        Cell::new(FAMILY, PAGE, "old", old_page),
        Cell::new(FAMILY, PAGE, "of the future", future_page),
        Cell::new(FAMILY, PAGE, "forged, cut, of another version", forged_page),
        Cell::does_not_apply(FAMILY, PAGE, "empty", "an empty page token asks for the first page"),
        Cell::new(FAMILY, PAGE, "of another store", foreign_page),
        Cell::new(FAMILY, PAGE, "with other filters", filtered_page),
    ]
}

/// All events are trimmed; the oldest token is then that of the next event.
async fn old_resume(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().with_flag("--event-retention=50ms").start().await;
    let old = newest(&world).await;
    for n in 0..5 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    let end = newest(&world).await;
    let all_trimmed = async {
        loop {
            let opened = world.client.stream_ticket_events(after(&old)).await;
            if opened.is_err() {
                let refused = refusal(opened);
                refused.is(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", &["resume_token"]);
                let oldest = refused.metadata["oldest_token"].clone();
                if oldest == end {
                    return oldest;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let oldest = tokio::time::timeout(WAIT_TIMEOUT, all_trimmed).await.expect("old events are trimmed");
    let mut resumed = Subscriber::open(&world.client, after(&oldest)).await;
    world.push("INC-9", TicketSystem::Jira).await;
    let next: Vec<_> = resumed.events(3).await.iter().map(|event| event.sequence).collect();
    assert_eq!(next, [16, 17, 18]);
    world.close().await;
}

/// The database of a backup, and a token that was issued after the backup.
async fn future_resume(context: CellContext) {
    let (mut world, folders) = with_copy(context).await;
    let token = newest(&world).await;
    continue_with_copy(&mut world, &folders[1]).await;
    // The server detects the restore, so it knows that the token is of lost events.
    refusal(world.client.stream_ticket_events(after(&token)).await).is(
        Code::OutOfRange,
        "RESUME_TOKEN_EXPIRED",
        &["resume_token"],
    );
    let events = Subscriber::open(&world.client, from_oldest()).await.events(6).await;
    assert_eq!(events.last().unwrap().sequence, 6);
    world.close().await;
}

async fn forged_resume(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let token = Subscriber::open(&world.client, from_oldest()).await.event().await.resume_token;
    for forged in forgeries(&token).into_iter().chain([String::new()]) {
        let opened = world.client.stream_ticket_events(after(&forged)).await;
        assert!(opened.is_err(), "{forged:?} is taken for {token:?}");
        refusal(opened).is_invalid("RESUME_TOKEN_INVALID", &["resume_token"]);
    }
    assert_eq!(Subscriber::open(&world.client, after(&token)).await.event().await.sequence, 2);
    world.finish().await;
}

async fn foreign_resume(context: CellContext) {
    let (mut ours, mut theirs) = two_worlds(context).await;
    let token = newest(&theirs).await;
    refusal(ours.client.stream_ticket_events(after(&token)).await)
        .is_invalid("RESUME_TOKEN_INVALID", &["resume_token"]);
    theirs.push("INC-9", TicketSystem::Jira).await;
    assert_eq!(Subscriber::open(&theirs.client, after(&token)).await.event().await.incident_id, "INC-9");
    ours.finish().await;
    theirs.finish().await;
}

/// A token is a position in all events, whatever filter its stream had: no matching event is missing or
/// repeated.
async fn filtered_resume(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    for n in 0..4 {
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            world.push(&format!("INC-{n}"), system).await;
        }
    }
    let all = Subscriber::open(&world.client, from_oldest()).await.events(24).await;
    let filtered = |event: &v1::TicketEvent| {
        event.kind() == TicketEventKind::Delivered && event.system() == TicketSystem::Servicenow
    };
    for place in &all[..20] {
        let request = v1::StreamTicketEventsRequest {
            kinds: vec![TicketEventKind::Delivered.into()],
            systems: vec![TicketSystem::Servicenow.into()],
            ..after(&place.resume_token)
        };
        let expected: Vec<_> =
            all.iter().filter(|event| event.sequence > place.sequence && filtered(event)).cloned().collect();
        let mut stream = Subscriber::open(&world.client, request).await;
        assert_eq!(stream.events(expected.len()).await, expected);
        // The token of a filtered stream resumes one without filters.
        let last = expected.last().unwrap();
        if let Some(next) = all.iter().find(|event| event.sequence == last.sequence + 1) {
            assert_eq!(Subscriber::open(&world.client, after(&stream.token)).await.event().await, *next);
        }
    }
    world.finish().await;
}

/// Across a restart, and while newer deliveries are added.
async fn old_page(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    push(&mut world, 0..12).await;
    let first = page(&mut world, "", 4).await;
    push(&mut world, 12..20).await;
    world.restart().await;
    let mut seen = ids(&first);
    let mut token = first.next_page_token;
    while !token.is_empty() {
        let next = page(&mut world, &token, 3).await;
        seen.extend(ids(&next));
        token = next.next_page_token;
    }
    assert_eq!(seen, (0..12).rev().map(|n| format!("INC-{n}")).collect::<Vec<_>>());
    world.finish().await;
}

/// In the database of a backup: the page after a missing delivery begins with the older ones.
async fn future_page(context: CellContext) {
    let (mut world, folders) = with_copy(context).await;
    let token = page(&mut world, "", 1).await.next_page_token;
    continue_with_copy(&mut world, &folders[1]).await;
    assert_eq!(ids(&page(&mut world, &token, 10).await), ["INC-1", "INC-0"]);
    world.close().await;
}

async fn forged_page(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    push(&mut world, 0..3).await;
    let token = page(&mut world, "", 1).await.next_page_token;
    for forged in forgeries(&token).into_iter().filter(|forged| !forged.is_empty()) {
        let listed = try_page(&mut world, &forged, 1).await;
        assert!(listed.is_err(), "{forged:?} is taken for {token:?}");
        refusal(listed).is_invalid("PAGE_TOKEN_INVALID", &["page_token"]);
    }
    assert_eq!(ids(&page(&mut world, &token, 1).await), ["INC-1"]);
    world.finish().await;
}

async fn foreign_page(context: CellContext) {
    let (mut ours, mut theirs) = two_worlds(context).await;
    let token = page(&mut theirs, "", 1).await.next_page_token;
    refusal(try_page(&mut ours, &token, 1).await).is_invalid("PAGE_TOKEN_INVALID", &["page_token"]);
    assert_eq!(ids(&page(&mut theirs, &token, 1).await), ["INC-0"]);
    ours.finish().await;
    theirs.finish().await;
}

async fn filtered_page(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    push(&mut world, 0..4).await;
    let token = page(&mut world, "", 1).await.next_page_token;
    let same = v1::ListDeliveriesRequest { page_token: token, ..Default::default() };
    let states = vec![v1::DeliveryState::Delivered.into()];
    let of_states = v1::DeliveryFilter { states, ..Default::default() };
    let of_incident = v1::DeliveryFilter { incident_id: "INC-1".to_owned(), ..Default::default() };
    let others = [
        v1::ListDeliveriesRequest { filter: Some(of_states), ..same.clone() },
        v1::ListDeliveriesRequest { systems: vec![TicketSystem::Jira.into()], ..same.clone() },
        v1::ListDeliveriesRequest { filter: Some(of_incident), ..same.clone() },
    ];
    for other in others {
        refusal(world.client.list_deliveries(other).await).is_invalid("PAGE_TOKEN_INVALID", &["page_token"]);
    }
    // Fields that do not filter deliveries may change from page to page.
    let more = v1::ListDeliveriesRequest { page_size: 2, include_attempts: true, ..same };
    assert_eq!(ids(&world.client.list_deliveries(more).await.unwrap()), ["INC-2", "INC-1"]);
    world.finish().await;
}

/// Every flipped bit, every other length, and the token of an unknown version.
fn forgeries(token: &str) -> Vec<String> {
    let flipped = (0..token.len() * 7).filter_map(|bit| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[bit / 7] ^= 1 << (bit % 7);
        String::from_utf8(bytes).ok()
    });
    let cut = (1..token.len()).flat_map(|at| [token[..at].to_owned(), token[at..].to_owned()]);
    let longer = ["=", "A", "AAAA", " ", "\0"].map(|more| format!("{token}{more}"));
    let versions = ["v2.", "2:", "A", "AAAA"].map(|version| format!("{version}{token}"));
    flipped.chain(cut).chain(longer).chain(versions).collect()
}

/// A server's data folder with INC-0 to INC-3, and a copy that was made after INC-1.
async fn with_copy(context: CellContext) -> (World, [TempDir; 2]) {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut world = context.plan().with_long_deadlines().with_data(folders[0].path()).start().await;
    push(&mut world, 0..2).await;
    world.server.stop().await;
    copy(folders[0].path(), folders[1].path());
    world.server.start_again().await;
    world.client = world.server.client().await;
    push(&mut world, 2..4).await;
    (world, folders)
}

/// Continues with the copy. Deliveries acknowledged since then are lost, so such a world ends with `close`.
async fn continue_with_copy(world: &mut World, copy: &TempDir) {
    world.server.stop().await;
    world.server.next_start().data = Some(copy.path().to_owned());
    world.server.start_again().await;
    world.client = world.server.client().await;
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Two worlds with the same incidents.
async fn two_worlds(context: CellContext) -> (World, World) {
    let mut ours = context.plan().with_long_deadlines().start().await;
    let mut theirs = context.plan().with_long_deadlines().start().await;
    push(&mut ours, 0..2).await;
    push(&mut theirs, 0..2).await;
    (ours, theirs)
}

/// The token after the newest event.
async fn newest(world: &World) -> String {
    Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token
}

async fn push(world: &mut World, incidents: std::ops::Range<usize>) {
    for n in incidents {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
}

async fn page(world: &mut World, token: &str, size: i32) -> v1::ListDeliveriesResponse {
    try_page(world, token, size).await.unwrap()
}

async fn try_page(
    world: &mut World,
    token: &str,
    page_size: i32,
) -> Result<v1::ListDeliveriesResponse, tonic::Status> {
    let page_token = token.to_owned();
    world
        .client
        .list_deliveries(v1::ListDeliveriesRequest { page_size, page_token, ..Default::default() })
        .await
}

fn ids(page: &v1::ListDeliveriesResponse) -> Vec<String> {
    page.deliveries.iter().map(|delivery| delivery.incident_id.clone()).collect()
}
