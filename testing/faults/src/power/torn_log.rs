//! Torn writes at the end of the WAL: the last commit is incomplete or missing.
//!
//! The server is killed when a push is written to the WAL but not synced, so no caller has an answer. The WAL
//! is then truncated, as on a disk that had not written more.

use std::path::Path;

use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_disk::DiskOperation;
use ticketing_harness::incident;

use super::cells::{FAMILY, begin};
use crate::matrix::cell::{Cell, CellContext};

const LOG: &str = "data/ticketing.db-wal";
const LOG_ENDING: &str = ".db-wal";
const PUSHES: usize = 10;

/// Position at which the WAL is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    WithinLastFrame,
    WithinFirstFrame,
    /// Between the header of a frame and its page.
    AfterLastFrameHeader,
    WholeCommit,
    /// Not truncated: the commit is complete, although no caller has an answer.
    Nothing,
}

/// The frames of SQLite's WAL.
#[derive(Debug)]
struct Log {
    page: usize,
    frames: Vec<Frame>,
}

/// A page as of a commit.
#[derive(Debug)]
struct Frame {
    starts: usize,
    /// Whether it is the last frame of its commit.
    commits: bool,
}

pub(super) fn cells() -> Vec<Cell> {
    let cuts = [
        Cut::WithinLastFrame,
        Cut::WithinFirstFrame,
        Cut::AfterLastFrameHeader,
        Cut::WholeCommit,
        Cut::Nothing,
    ];
    cuts.map(|cut| Cell::new(FAMILY, "torn tail", cut.name(), move |context| run(context, cut))).to_vec()
}

async fn run(context: CellContext, cut: Cut) {
    let (mounted, mut world) = begin(&context).await;
    for n in 0..PUSHES {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.until_all_delivered(PUSHES).await;
    let before = Log::read(&std::fs::read(mounted.path().join(LOG)).unwrap());
    mounted.disk.freeze_at(DiskOperation::Sync, LOG_ENDING);
    let mut client = world.client.clone();
    let request = v1::CreateTicketRequest {
        incident: Some(incident("INC-TORN")),
        destination: Some(TicketSystem::Jira.into()),
    };
    let push = tokio::spawn(async move { client.create_ticket(request).await });
    mounted.until_held("commit").await;
    world.server.kill_and(|| mounted.disk.resume()).await;
    assert!(push.await.unwrap().is_err(), "no caller is answered before the sync");
    let log = Log::read(&std::fs::read(mounted.path().join(LOG)).unwrap());
    let torn = &log.frames[before.frames.len()..];
    assert!(torn.len() > 1 && torn.last().unwrap().commits, "one commit of several frames: {torn:?}");
    assert_eq!(torn.iter().filter(|frame| frame.commits).count(), 1, "{torn:?}");
    if let Some(length) = cut.length(torn, log.page) {
        mounted.disk.truncate(Path::new(LOG), length).unwrap();
        let left = Log::read(&std::fs::read(mounted.path().join(LOG)).unwrap());
        assert!(left.frames.len() < log.frames.len(), "no frame was cut");
        assert!(left.frames.last().is_none_or(|frame| frame.commits) || cut != Cut::WholeCommit);
    }
    world.server.start_again().await;
    world.client = world.server.client().await;
    let kept = PUSHES + usize::from(cut == Cut::Nothing);
    assert_eq!(world.deliveries().await.len(), kept, "a commit is there as a whole, or not at all");
    // A caller without an answer repeats its call.
    world.push("INC-TORN", TicketSystem::Jira).await;
    world.until_all_delivered(PUSHES + 1).await;
    assert_eq!(world.jira.tickets().len(), PUSHES + 1);
    world.finish().await;
}

// === impl Cut ===

impl Cut {
    fn name(self) -> &'static str {
        match self {
            Self::WithinLastFrame => "within the last frame of a commit",
            Self::WithinFirstFrame => "within the first frame of a commit",
            Self::AfterLastFrameHeader => "after the header of the last frame of a commit",
            Self::WholeCommit => "before a whole commit",
            Self::Nothing => "after a whole commit",
        }
    }

    /// Length of the truncated WAL; `None` to leave it unchanged.
    fn length(self, torn: &[Frame], page: usize) -> Option<usize> {
        let first = torn.first()?.starts;
        let last = torn.last()?.starts;
        match self {
            Self::WithinLastFrame => Some(last + Log::FRAME_HEADER + page / 2 + 1),
            Self::WithinFirstFrame => Some(first + Log::FRAME_HEADER + page / 2 + 1),
            Self::AfterLastFrameHeader => Some(last + Log::FRAME_HEADER),
            Self::WholeCommit => Some(first),
            Self::Nothing => None,
        }
    }
}

// === impl Log ===

impl Log {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;

    /// Reads the complete frames of the current WAL, which have its current salt.
    fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let page = usize::try_from(number(8)).unwrap();
        let starts = (Self::HEADER..).step_by(Self::FRAME_HEADER + page);
        let frames = starts
            .take_while(|at| at + Self::FRAME_HEADER + page <= bytes.len())
            .take_while(|at| bytes[at + 8..at + 16] == bytes[16..24])
            .map(|at| Frame { starts: at, commits: number(at + 4) != 0 });
        Self { page, frames: frames.collect() }
    }
}
