//! The programs of this workspace that tests start.

use std::path::PathBuf;

use crate::error::LabError;

/// The program that `variable` names, or the one called `name` that was built beside the running test or program, by
/// `cargo build -p PACKAGE`.
///
/// # Errors
/// [`LabError::Wrong`], with what to do, when it isn't there.
pub fn program(variable: &str, name: &str, package: &str) -> Result<PathBuf, LabError> {
    if let Some(given) = std::env::var_os(variable) {
        return Ok(given.into());
    }
    let me = std::env::current_exe()
        .map_err(|source| LabError::io("finding the running program", source))?;
    // A program is in the folder itself, a test in its `deps`.
    let looked: Vec<PathBuf> =
        me.ancestors().skip(1).take(2).map(|folder| folder.join(name)).collect();
    looked.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        LabError::Wrong(format!(
            "no {name} at {}: run `cargo build -p {package}`, or set {variable}",
            looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
        ))
    })
}
