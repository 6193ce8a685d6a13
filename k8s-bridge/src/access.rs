//! How Isolane's controller is reached: its URL, and a token and a CA in files
//! that may be written anew at any time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use api::client::{Builder, Client};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// A handle; clones share the client.
#[derive(Clone, Debug)]
pub struct Access {
    url: String,
    patience: Duration,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    now: Arc<RwLock<Now>>,
}

#[derive(Debug)]
struct Now {
    client: Client,
    files: Files,
}

/// What is in the files.
#[derive(Clone, Default, PartialEq, Eq)]
struct Files {
    token: Option<Vec<u8>>,
    ca: Option<Vec<u8>>,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Files {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Files")
    }
}

impl Access {
    /// The controller at this URL; one call may take as long as `patience`.
    ///
    /// # Errors
    /// A wrong URL, files that can't be read, a token file without a token.
    pub fn new(
        url: &str,
        token_file: Option<PathBuf>,
        ca: Option<PathBuf>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let files = Files::read(token_file.as_deref(), ca.as_deref())?;
        let client = files.client(url, patience, token_file.as_deref())?;
        let now = Arc::new(RwLock::new(Now { client, files }));
        Ok(Self { url: url.to_owned(), patience, token_file, ca, now })
    }

    /// The controller's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client as it is now.
    pub fn client(&self) -> Client {
        self.now.read().unwrap_or_else(PoisonError::into_inner).client.clone()
    }

    /// Looks whether the files were written anew. What can't be used leaves
    /// things as they are.
    pub fn look(&self) {
        let looked = Files::read(self.token_file.as_deref(), self.ca.as_deref());
        let made = looked.and_then(|files| {
            if files == self.now.read().unwrap_or_else(PoisonError::into_inner).files {
                return Ok(None);
            }
            let client = files.client(&self.url, self.patience, self.token_file.as_deref())?;
            Ok(Some(Now { client, files }))
        });
        match made {
            Ok(None) => {}
            Ok(Some(new)) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
                tracing::info!("the controller's token or CA was read anew");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "what was read before of token and CA stays in use");
            }
        }
    }

    /// Follows the files until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        if self.token_file.is_none() && self.ca.is_none() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            self.look();
        }
    }
}

impl Files {
    fn read(token: Option<&Path>, ca: Option<&Path>) -> anyhow::Result<Self> {
        let read = |flag: &str, path: &Path| {
            std::fs::read(path).with_context(|| format!("{flag} {}", path.display()))
        };
        Ok(Self {
            token: token.map(|path| read("--token-file", path)).transpose()?,
            ca: ca.map(|path| read("--ca", path)).transpose()?,
        })
    }

    fn client(
        &self,
        url: &str,
        patience: Duration,
        token_file: Option<&Path>,
    ) -> anyhow::Result<Client> {
        let mut builder: Builder = Client::builder(url).timeout(patience);
        if let Some(ca) = &self.ca {
            builder = builder.ca_pem(ca.clone());
        }
        if let Some(text) = &self.token {
            let file = token_file.unwrap_or(Path::new("")).display();
            let text = std::str::from_utf8(text)
                .with_context(|| format!("--token-file {file}: is not text"))?;
            // As the controller's own: one token a line, comments allowed.
            let mut lines = text.lines().map(str::trim);
            let token = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
            let token = token.with_context(|| format!("--token-file {file}: no token in it"))?;
            builder = builder.token(token);
        }
        Ok(builder.build()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn token(access: &Access) -> Option<String> {
        let now = access.now.read().unwrap();
        now.files.token.clone().map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn files_that_are_written_anew_are_used_and_those_that_cant_be_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let open = || Access::new("http://127.0.0.1:1", Some(file.clone()), None, PATIENCE);
        assert!(open().unwrap_err().to_string().contains("--token-file"));
        std::fs::write(&file, "# none\n").unwrap();
        assert!(open().unwrap_err().to_string().contains("no token in it"));
        std::fs::write(&file, "# mine\nfirst\n").unwrap();
        let access = open().unwrap();
        let other = access.clone();
        std::fs::write(&file, "second").unwrap();
        access.look();
        assert_eq!(token(&other).as_deref(), Some("second"), "clones share it");
        for bad in [&b""[..], b"\xff", b"no\x01token"] {
            std::fs::write(&file, bad).unwrap();
            access.look();
            assert_eq!(token(&access).as_deref(), Some("second"), "{bad:?}");
        }
        std::fs::remove_file(&file).unwrap();
        access.look();
        assert_eq!(token(&access).as_deref(), Some("second"));
        assert!(!format!("{access:?}").contains("second"));
    }
}
