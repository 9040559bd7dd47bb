//! Fail points in builds with debug assertions.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::{CLOCK, FOLDER};

/// Polling interval while a point is held.
const LOOK_EVERY: Duration = Duration::from_millis(2);

static POINTS: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(FOLDER).map(PathBuf::from));

pub(crate) async fn pass(point: &str) {
    if let Some(folder) = POINTS.as_deref() {
        pass_in(folder, point).await;
    }
}

pub(crate) fn panic_at(point: &str, words: impl FnOnce() -> String) {
    let file = POINTS.as_deref().map(|folder| folder.join(format!("{point}.panics")));
    if file.is_some_and(|file| std::fs::remove_file(file).is_ok()) {
        panic!("{}", words());
    }
}

pub(crate) fn clock_set_by() -> i64 {
    let offset = POINTS.as_deref().and_then(|folder| std::fs::read_to_string(folder.join(CLOCK)).ok());
    offset.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or_default()
}

/// If several tasks pass, the one that finds the point armed is held.
async fn pass_in(folder: &Path, point: &str) {
    let held = folder.join(format!("{point}.held"));
    if std::fs::rename(folder.join(format!("{point}.armed")), &held).is_err() {
        return;
    }
    while held.exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[tokio::test]
    async fn holds_one_task_at_armed_point() {
        let folder = tempfile::tempdir().unwrap();
        let armed = folder.path().join("here.armed");
        let held = folder.path().join("here.held");
        std::fs::write(&armed, "").unwrap();
        let mut passer = std::pin::pin!(pass_in(folder.path(), "here"));
        let first = tokio::time::timeout(Duration::from_millis(20), &mut passer).await;
        assert!(first.is_err() && held.exists() && !armed.exists());
        pass_in(folder.path(), "here").await;
        std::fs::remove_file(&held).unwrap();
        passer.await;
    }
}
