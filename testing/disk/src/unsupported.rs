//! For systems without Linux FUSE.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::MountError;
use crate::image::Owner;
use crate::power::Power;

#[derive(Debug)]
pub(crate) struct Mounted;

pub(crate) fn mount(_folder: &Path, _power: Arc<Power>) -> Result<Mounted, MountError> {
    Err(MountError::NotLinux)
}

pub(crate) fn owner(_folder: &Path) -> io::Result<Owner> {
    Ok(Owner::default())
}
