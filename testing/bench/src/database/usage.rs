//! What a database consists of.

use std::path::Path;

use anyhow::Result;

use super::open;

/// The bytes of each table and index, the largest first. Free pages are `(free)`.
pub(crate) fn sizes_by_name(database: &Path) -> Result<Vec<(String, u64)>> {
    let db = open(database)?;
    let mut query = db.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")?;
    let sizes = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    let mut sizes = sizes.collect::<Result<Vec<(String, u64)>, _>>()?;
    let free = db.query_row(
        "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
        [],
        |row| row.get::<_, i64>(0),
    )?;
    sizes.push(("(free)".to_owned(), free.unsigned_abs()));
    Ok(sizes)
}
