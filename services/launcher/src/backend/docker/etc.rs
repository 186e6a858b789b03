//! The bottle's own `/etc`: one user, no resolver, names for the sidecars. Files of the bottle's state, mounted one by one
//! over what the image and the engine have there.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base::id::Slug;

use crate::backend::AGENT_HOME;

/// The certificates as one file, by its name below [`crate::backend::TRUST`].
pub(super) const BUNDLE: &str = "ca-bundle.pem";
/// The same for Java.
pub(super) const JAVA: &str = "java-truststore.jks";

/// Where programs look for certificates without being told.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"];
const JAVAS: [&str; 1] = ["/etc/ssl/certs/java/cacerts"];

/// The directory of these files.
pub(super) struct Etc(PathBuf);

impl Etc {
    /// Below the backend's part of a bottle's state.
    pub(super) fn below(own: &Path) -> Self {
        Self(own.join("etc"))
    }

    /// Writes the files for an agent with this number; those of certificates are empty until there are some.
    ///
    /// # Errors
    /// The directory exists, or cannot be written.
    pub(super) fn write(&self, bottle: &Slug, user: u32) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(&self.0)?;
        let agent = if user == 0 {
            format!("root:x:0:0:root:{AGENT_HOME}:/bin/sh\n")
        } else {
            format!(
                "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:{user}:{user}:agent:{AGENT_HOME}:/bin/sh\n"
            )
        };
        for (name, text) in [
            ("passwd", format!("{agent}nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")),
            ("group", format!("root:x:0:\nagent:x:{user}:\nnogroup:x:65534:\n")),
            ("hosts", format!("127.0.0.1 localhost egress gitgate supervise {bottle}\n::1 localhost\n")),
            (
                "nsswitch.conf",
                "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n".to_owned(),
            ),
            ("resolv.conf", String::new()),
            ("hostname", format!("{bottle}\n")),
            (BUNDLE, String::new()),
            (JAVA, String::new()),
        ] {
            let path = self.0.join(name);
            fs::write(&path, text)?;
            // Whatever the launcher's umask is: the agent reads them.
            fs::set_permissions(path, Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    /// What is mounted: a file of the host, and where.
    pub(super) fn mounts(&self) -> Vec<(PathBuf, String)> {
        let own = ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "hostname"];
        let own = own.map(|name| (self.0.join(name), format!("/etc/{name}")));
        let bundles = BUNDLES.map(|inside| (self.0.join(BUNDLE), inside.to_owned()));
        let javas = JAVAS.map(|inside| (self.0.join(JAVA), inside.to_owned()));
        own.into_iter().chain(bundles).chain(javas).collect()
    }

    /// Fills a file of certificates that is mounted already; any other is none of these.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn fill(&self, name: &Path, content: &[u8]) -> io::Result<()> {
        // The file itself is mounted, so that it must stay the same one.
        if [BUNDLE, JAVA].map(Path::new).contains(&name) {
            fs::write(self.0.join(name), content)
        } else {
            Ok(())
        }
    }
}
