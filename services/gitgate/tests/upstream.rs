//! Repositories that a server outside shows.

use std::path::PathBuf;

use crate::client::Client;

/// A directory with bare repositories, and a client that works on them directly.
pub(crate) struct Upstream {
    client: Client,
}

impl Upstream {
    /// With a repository `tools` of two commits, a branch and a tag, and an empty one.
    pub(crate) async fn new() -> Self {
        let upstream = Self { client: Client::new(&crate::client::git()) };
        upstream.make("empty", &[]).await;
        upstream.make("tools", &[]).await;
        let client = &upstream.client;
        client.git(".", &["clone", "--quiet", "tools.git", "work"]).await;
        client.commit("work", "one", "first\n").await;
        client.commit("work", "two", "second\n").await;
        client.git("work", &["push", "--quiet", "origin", "main"]).await;
        client.git("work", &["tag", "-a", "-m", "the first", "v1", "HEAD~1"]).await;
        client.git("work", &["push", "--quiet", "origin", "v1", "HEAD~1:refs/heads/old"]).await;
        upstream
    }

    /// Makes a bare repository.
    pub(crate) async fn make(&self, name: &str, arguments: &[&str]) {
        let name = format!("{name}.git");
        self.client.git(".", &[&["init", "--quiet", "--bare"], arguments, &[&name]].concat()).await;
        for (key, value) in [
            ("receive.advertisePushOptions", "true"),
            ("uploadpack.allowFilter", "true"),
            ("http.receivepack", "true"),
            ("gc.auto", "0"),
        ] {
            self.client.git(&name, &["config", key, value]).await;
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.client.path(&format!("{name}.git"))
    }

    /// Runs git in one of the repositories.
    pub(crate) async fn git(&self, name: &str, arguments: &[&str]) -> String {
        self.client.git(&format!("{name}.git"), arguments).await
    }

    /// A commit by somebody else, on `main`.
    pub(crate) async fn moves(&self, file: &str) -> String {
        self.client.git("work", &["pull", "--quiet", "--rebase", "origin", "main"]).await;
        let commit = self.client.commit("work", file, "by somebody else\n").await;
        self.client.git("work", &["push", "--quiet", "origin", "HEAD:main"]).await;
        commit
    }

    /// Every ref.
    pub(crate) async fn refs(&self, name: &str) -> String {
        self.git(name, &["for-each-ref", "--format=%(objectname) %(refname)"]).await
    }

    /// Every object that is there, reached or not.
    pub(crate) async fn objects(&self, name: &str) -> Vec<String> {
        let all = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
        self.git(name, &all).await.lines().map(str::to_owned).collect()
    }

    /// Lets a hook decide about what is pushed.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let hooks = self.path(name).join("hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        let path = hooks.join("pre-receive");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
