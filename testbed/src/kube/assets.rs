//! Where the programs of a cluster are, or why they aren't there.
//!
//! `KUBEBUILDER_ASSETS`, the usual variable, names a folder with `kube-apiserver` and `etcd`. Others are in a cache
//! folder, where `testbed/kube/ensure` builds an old one once, if this machine can, and a current one when it is asked
//! to (`make kube-current`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, OnceLock};

use crate::rights::proceed;

/// Set (to anything) where a story that has no API server must fail instead of being left out: in CI.
pub const REQUIRE_KUBE: &str = "ISOLANE_REQUIRE_KUBE";
/// Set (to anything) where stories that have no second, current API server must fail instead of being left out.
pub const REQUIRE_CURRENT_KUBE: &str = "ISOLANE_REQUIRE_KUBE_CURRENT";
/// A folder with `kube-apiserver` and `etcd`, as other projects' tests use it.
const KUBEBUILDER_ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Prints the folders of all API servers in the cache, building one first if there is none.
const ENSURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kube/ensure");

/// One API server and its etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    /// The program `kube-apiserver`.
    pub api_server: PathBuf,
    /// The program `etcd`.
    pub etcd: PathBuf,
}

/// All API servers that stories can use here, oldest first, the one that was named last; looking for them may build one.
///
/// # Errors
/// Why there is none, and what to do.
pub fn all_assets() -> Result<&'static [Assets], &'static str> {
    static FOUND: OnceLock<Result<Vec<Assets>, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os(KUBEBUILDER_ASSETS) {
        Some(folder) => {
            let given = given(Path::new(&folder))?;
            let mut all = cached(&["present"]).unwrap_or_default();
            all.retain(|it| it.api_server != given.api_server);
            all.push(given);
            Ok(all)
        }
        None => cached(&[]),
    });
    found.as_deref().map_err(String::as_str)
}

/// The oldest API server that stories can use here: the oldest that Isolane works with, if it was built.
///
/// # Errors
/// Why there is none, and what to do.
pub fn oldest_assets() -> Result<Assets, &'static str> {
    all_assets()?.first().cloned().ok_or("there is no API server")
}

/// The newest one, if there is another than the oldest.
///
/// # Errors
/// Why there is none, and what to do.
pub fn current_assets() -> Result<Assets, &'static str> {
    match all_assets()? {
        [_, .., newest] => Ok(newest.clone()),
        _ => Err(
            "there is no current API server beside the other one (run `make kube-current`, once: half an hour)",
        ),
    }
}

/// Why no API server can be started here, or `None` if one can.
pub fn missing_kube() -> Option<&'static str> {
    all_assets().err()
}

/// For the head of a story: `false`, and a loud line, if it has no API server.
///
/// # Panics
/// Instead of leaving it out, where [`REQUIRE_KUBE`] is set.
#[must_use]
pub fn needs_kube(test: &str) -> bool {
    proceed(test, missing_kube(), REQUIRE_KUBE)
}

/// The same for a story that plays on the current API server. Where there is none it says so once, for all of them.
///
/// # Panics
/// Instead of leaving it out, where [`REQUIRE_CURRENT_KUBE`] is set.
#[must_use]
pub fn needs_current_kube(test: &str) -> bool {
    static SAID: Once = Once::new();
    let Some(reason) = current_assets().err() else { return true };
    let required = std::env::var_os(REQUIRE_CURRENT_KUBE).is_some();
    assert!(!required, "{test}: {reason}, and {REQUIRE_CURRENT_KUBE} is set");
    SAID.call_once(|| {
        let all = "ALL stories on Kubernetes a second time, on a current API server";
        let _left_out = proceed(all, Some(reason), REQUIRE_CURRENT_KUBE);
    });
    false
}

/// Exactly what the folder has.
fn given(folder: &Path) -> Result<Assets, String> {
    let program = |name: &str| {
        let path = folder.join(name);
        match path.is_file() {
            true => Ok(path),
            false => {
                Err(format!("{KUBEBUILDER_ASSETS} is {}, which has no {name}", folder.display()))
            }
        }
    };
    Ok(Assets { api_server: program("kube-apiserver")?, etcd: program("etcd")? })
}

fn cached(arguments: &[&str]) -> Result<Vec<Assets>, String> {
    let etcd = on_path("etcd").ok_or("etcd is not installed (run `make setup`)")?;
    let output = Command::new(ENSURE)
        .args(arguments)
        .output()
        .map_err(|error| format!("{ENSURE}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("no API server could be built: {}", said.trim()));
    }
    let folders = String::from_utf8_lossy(&output.stdout);
    let assets = |folder: &str| Assets {
        api_server: Path::new(folder).join("kube-apiserver"),
        etcd: etcd.clone(),
    };
    Ok(folders.lines().map(assets).collect())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_folder_has_both_programs_or_the_reason_names_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("etcd"), "").unwrap();
        let error = given(folder.path()).unwrap_err();
        assert!(error.contains("no kube-apiserver"), "{error}");
        std::fs::write(folder.path().join("kube-apiserver"), "").unwrap();
        assert_eq!(given(folder.path()).unwrap().etcd, folder.path().join("etcd"));
    }
}
