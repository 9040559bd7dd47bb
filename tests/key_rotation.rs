//! Encryption keys of the stored secrets: rotation with a running server, and interrupted at every step.

use std::os::unix::process::ExitStatusExt;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_harness::{
    Edit, Plan, Point, SECRETS, WAIT_TIMEOUT, World, make_older, run_program, state, text,
};

const NEW_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const ELSEWHERE: &str = "http://127.0.0.1:9";

const ROTATE: [&str; 2] = ["key", "rotate"];
const ROTATE_DATA_KEY: [&str; 3] = ["key", "rotate", "--data-key"];

/// The output of a successful offline command.
async fn run(world: &World, arguments: &[&str]) -> String {
    let child = world.server.run_offline(arguments).wait_with_output();
    let output = tokio::time::timeout(WAIT_TIMEOUT, child).await.expect("it runs on").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

/// The error of a server that does not start with these flags.
async fn refused(world: &World, flags: &[&str]) -> String {
    let mut arguments = vec!["serve".to_owned(), format!("--data={}", world.server.data().display())];
    arguments.push("--listen=127.0.0.1:0".to_owned());
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let ended = run_program(&arguments, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.stderr
}

/// Pushes to both systems, and changes a secret: everything that needs the keys.
async fn works(world: &mut World, round: &str) {
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let pushed = world.push(&format!("INC-{round}-{}", i32::from(system)), system).await;
        assert_eq!(state(&pushed), DeliveryState::Delivered);
    }
    let again = v1::JiraSettings { api_token: text(SECRETS[0]), ..Default::default() };
    world.try_jira(again).await.unwrap();
    let toggle = v1::ServiceNowSettings { enabled: Some(true), ..Default::default() };
    world.try_servicenow(toggle).await.unwrap();
}

async fn audit_is_sound(world: &World) {
    let mut administration = world.server.administration().await;
    let verified = administration.verify_audit().await.unwrap();
    administration.close().await;
    assert!(verified.is_ok(), "{verified:?}");
}

#[tokio::test]
async fn master_key_rotates_while_the_server_runs() {
    let mut world = Plan::new().start().await;
    let file = world.server.data().join("ticketing.db.key");
    let old = std::fs::read_to_string(&file).unwrap();
    let output = run(&world, &ROTATE).await;
    assert!(output.contains("ticketing.db.key has a new key") && output.contains(".until-"), "{output}");
    let new = std::fs::read_to_string(&file).unwrap();
    assert_ne!(old, new);
    works(&mut world, "1").await;
    world.restart().await;
    works(&mut world, "2").await;
    world.server.stop().await;
    std::fs::write(world.server.data().join("old.key"), &old).unwrap();
    let flag = format!("--key-file={}", world.server.data().join("old.key").display());
    let output = refused(&world, &[&flag]).await;
    assert!(output.contains("ticketing key rotate") && output.contains("--key-file"), "{output}");
    world.server.start_again().await;
    world.client = world.server.client().await;
    let audit = world.client.list_audit_entries(v1::ListAuditEntriesRequest::default()).await.unwrap();
    assert!(audit.entries.iter().any(|entry| entry.action == "ROTATE_KEY" && entry.subject == "master key"));
    audit_is_sound(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn given_master_key_is_required_at_next_start() {
    let mut world = Plan::new().start().await;
    let file = world.server.data().join("given.key");
    std::fs::write(&file, NEW_KEY).unwrap();
    let flag = format!("--new-key-file={}", file.display());
    let output = run(&world, &["key", "rotate", &flag]).await;
    assert!(output.contains("start the server with it"), "{output}");
    works(&mut world, "1").await;
    let again = run(&world, &["key", "rotate", &flag]).await;
    assert!(again.contains("already active"), "{again}");
    world.server.stop().await;
    let output = refused(&world, &[]).await;
    assert!(output.contains("ticketing key rotate") && output.contains("--key-file"), "{output}");
    world.server.next_start().flags.push(format!("--key-file={}", file.display()));
    world.server.start_again().await;
    world.client = world.server.client().await;
    works(&mut world, "2").await;
    world.finish().await;
}

#[tokio::test]
async fn data_key_rotates_while_the_server_runs() {
    let mut world = Plan::new().start().await;
    // A retired connection has a secret too.
    let moved = v1::JiraSettings { url: text(ELSEWHERE), api_token: text(SECRETS[0]), ..Default::default() };
    world.try_jira(moved).await.unwrap();
    let output = run(&world, &ROTATE_DATA_KEY).await;
    assert!(output.contains("3 secrets are re-encrypted with data key 2"), "{output}");
    let back = world.jira_settings();
    world.try_jira(back).await.unwrap();
    works(&mut world, "1").await;
    let output = run(&world, &ROTATE_DATA_KEY).await;
    assert!(output.contains("with data key 3"), "{output}");
    run(&world, &ROTATE).await;
    works(&mut world, "2").await;
    world.restart().await;
    works(&mut world, "3").await;
    audit_is_sound(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn killed_rotation_loses_nothing_and_completes_on_rerun() {
    let cases: [(Point, &[&str]); 4] = [
        (Point::NewKeyWritten, &ROTATE),
        (Point::NewKeyCommitted, &ROTATE),
        (Point::DataKeyMade, &ROTATE_DATA_KEY),
        (Point::SecretResealed, &ROTATE_DATA_KEY),
    ];
    let mut world = Plan::new().start().await;
    for (round, (point, command)) in cases.into_iter().enumerate() {
        world.server.arm(point);
        let mut child = world.server.run_offline(command);
        world.server.until_held(point).await;
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        world.server.release();
        if point == Point::SecretResealed {
            // The server reads secrets of both keys.
            works(&mut world, "between").await;
        }
        world.restart().await;
        works(&mut world, &format!("{round}-restarted")).await;
        let output = run(&world, command).await;
        let resumed = output.contains("resumed an interrupted rotation");
        assert_eq!(resumed, command == ROTATE_DATA_KEY, "{output}");
        works(&mut world, &format!("{round}-again")).await;
        world.restart().await;
        works(&mut world, &format!("{round}-after")).await;
        audit_is_sound(&world).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn command_completes_an_interrupted_rotation() {
    let mut world = Plan::new().start().await;
    world.server.arm(Point::NewKeyCommitted);
    let mut child = world.server.run_offline(&ROTATE);
    world.server.until_held(Point::NewKeyCommitted).await;
    child.kill().await.unwrap();
    world.server.release();
    let output = run(&world, &ROTATE).await;
    assert!(output.contains("completed an interrupted rotation"), "{output}");
    world.restart().await;
    works(&mut world, "1").await;
    world.finish().await;
}

#[tokio::test]
async fn upgrade_protects_secrets_of_an_older_version() {
    let mut world = Plan::new().start().await;
    world.server.stop().await;
    make_older(&world.server.data()).await;
    for round in ["1", "2"] {
        world.server.start_again().await;
        world.client = world.server.client().await;
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            assert!(world.status(system).await.configured, "{round}");
        }
        world.server.stop().await;
    }
    world.server.edit(Edit::Flip).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    assert!(!world.status(TicketSystem::Jira).await.configured);
    assert!(world.status(TicketSystem::Servicenow).await.configured);
    world.finish().await;
}

#[tokio::test]
async fn process_has_no_core_dump_and_private_memory() {
    let world = Plan::new().in_a_process().start().await;
    assert_eq!(world.server.core_limit(), "0 0");
    assert!(world.server.memory_is_private());
    world.finish().await;
}

#[tokio::test]
async fn audit_names_an_edited_settings_row() {
    let edits = [
        (Edit::SwitchOff, "row servicenow of target_settings"),
        (Edit::WidenAutoPush, "row 1 of policy"),
        (Edit::Redirect, "row jira of target_settings"),
        (Edit::Kind, "row jira of target_settings"),
    ];
    for (edit, output) in edits {
        let mut world = Plan::new().in_a_process().start().await;
        works(&mut world, "1").await;
        audit_is_sound(&world).await;
        world.server.edit(edit).await;
        let mut administration = world.server.administration().await;
        let verified = administration.verify_audit().await.unwrap().unwrap_err().to_string();
        administration.close().await;
        assert!(verified.contains(output), "{edit:?}: {verified}");
        world.finish().await;
    }
}
