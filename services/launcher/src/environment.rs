//! The agent's environment: the way to the proxy, and the certificate that it must trust, for every runtime (E3).

mod git;
mod trust;

use std::collections::BTreeMap;

use base::id::Slug;

use crate::backend::{AGENT_HOME, TRUST};

pub(crate) use git::{git_config, is_address_of};
pub(crate) use trust::trust_files;

/// The proxy's port inside every bottle.
pub const PROXY_PORT: u16 = 9099;
/// The port of the bottle's MCP server inside it.
pub const DOOR_PORT: u16 = 9100;
/// The git gate's port inside a bottle that has repositories.
pub const GATE_PORT: u16 = 9420;
/// Where the agent finds its prompt with the provider's prompt mode `file`.
pub(crate) const PROMPT_FILE: &str = ".bot-bottle-prompt";

/// Never through the proxy: they are the bottle's own.
const NO_PROXY: &str = "localhost,127.0.0.1,::1,egress,gitgate,supervise";
/// Variables that name a file with all certificates to trust, in one or the other runtime.
const BUNDLES: [&str; 16] = [
    "AWS_CA_BUNDLE",
    "BUNDLE_SSL_CA_CERT",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CODEX_CA_CERTIFICATE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HEX_CACERTS_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "NPM_CONFIG_CAFILE",
    "PERL_LWP_SSL_CA_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];
/// Variables that name a file with certificates to trust beside the runtime's own.
const ADDITIONS: [&str; 2] = ["DENO_CERT", "NODE_EXTRA_CA_CERTS"];

/// The whole environment: what the agent's program needs, what every bottle has, which the former cannot replace, and
/// what the operator's files say, which wins.
pub(crate) fn environment(
    bottle: &Slug,
    program: BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut env = program;
    let mut set = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
    set(
        "PATH",
        &format!("{AGENT_HOME}/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
    );
    for (name, value) in [
        ("BOT_BOTTLE", bottle.as_str()),
        ("HOME", AGENT_HOME),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", "agent"),
        ("SHELL", "/bin/sh"),
        ("TMPDIR", "/tmp"),
        ("USER", "agent"),
        // Node and uv use proxy and system certificates only when told to.
        ("NODE_USE_ENV_PROXY", "1"),
        ("UV_NATIVE_TLS", "true"),
    ] {
        set(name, value);
    }
    // By address: some programs resolve names by themselves, and there is no resolver to ask.
    let proxy = format!("http://127.0.0.1:{PROXY_PORT}");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        set(name, &proxy);
        set(&name.to_lowercase(), &proxy);
    }
    set("NO_PROXY", NO_PROXY);
    set("no_proxy", NO_PROXY);
    BUNDLES.iter().for_each(|name| set(name, &format!("{TRUST}/{}", trust::BUNDLE)));
    ADDITIONS.iter().for_each(|name| set(name, &format!("{TRUST}/{}", trust::AUTHORITY)));
    set("JAVA_TOOL_OPTIONS", &java_options());
    env.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

fn java_options() -> String {
    let proxies = ["http", "https"]
        .map(|scheme| format!("-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={PROXY_PORT}"));
    let own = NO_PROXY.replace(',', "|").replace("::1", "[::1]");
    let store = format!(
        "-Djavax.net.ssl.trustStore={TRUST}/{} -Djavax.net.ssl.trustStoreType=JKS",
        trust::JAVA_STORE
    );
    format!("{} -Dhttp.nonProxyHosts={own} {store}", proxies.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_is_told_and_the_operator_wins() {
        let own = BTreeMap::from([("LANG".to_owned(), "de_DE.UTF-8".to_owned())]);
        let program = [("HTTPS_PROXY", "none"), ("SSL_CERT_FILE", "/tmp/mine"), ("LANG", "C")];
        let program = program.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let env = environment(&"a-00000".parse().unwrap(), program, &own);
        let lines: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        ALL_PROXY=http://127.0.0.1:9099
        AWS_CA_BUNDLE=/etc/bot-bottle/ca-bundle.pem
        BOT_BOTTLE=a-00000
        BUNDLE_SSL_CA_CERT=/etc/bot-bottle/ca-bundle.pem
        CARGO_HTTP_CAINFO=/etc/bot-bottle/ca-bundle.pem
        CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE=/etc/bot-bottle/ca-bundle.pem
        CODEX_CA_CERTIFICATE=/etc/bot-bottle/ca-bundle.pem
        CURL_CA_BUNDLE=/etc/bot-bottle/ca-bundle.pem
        DENO_CERT=/etc/bot-bottle/ca.pem
        GIT_SSL_CAINFO=/etc/bot-bottle/ca-bundle.pem
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=/etc/bot-bottle/ca-bundle.pem
        HEX_CACERTS_PATH=/etc/bot-bottle/ca-bundle.pem
        HOME=/home/agent
        HTTPLIB2_CA_CERTS=/etc/bot-bottle/ca-bundle.pem
        HTTPS_PROXY=http://127.0.0.1:9099
        HTTP_PROXY=http://127.0.0.1:9099
        JAVA_TOOL_OPTIONS=-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9099 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9099 -Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]|egress|gitgate|supervise -Djavax.net.ssl.trustStore=/etc/bot-bottle/java-truststore.jks -Djavax.net.ssl.trustStoreType=JKS
        LANG=de_DE.UTF-8
        LOGNAME=agent
        NIX_SSL_CERT_FILE=/etc/bot-bottle/ca-bundle.pem
        NODE_EXTRA_CA_CERTS=/etc/bot-bottle/ca.pem
        NODE_USE_ENV_PROXY=1
        NO_PROXY=localhost,127.0.0.1,::1,egress,gitgate,supervise
        NPM_CONFIG_CAFILE=/etc/bot-bottle/ca-bundle.pem
        PATH=/home/agent/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
        PERL_LWP_SSL_CA_FILE=/etc/bot-bottle/ca-bundle.pem
        PIP_CERT=/etc/bot-bottle/ca-bundle.pem
        REQUESTS_CA_BUNDLE=/etc/bot-bottle/ca-bundle.pem
        SHELL=/bin/sh
        SSL_CERT_FILE=/etc/bot-bottle/ca-bundle.pem
        TMPDIR=/tmp
        USER=agent
        UV_NATIVE_TLS=true
        all_proxy=http://127.0.0.1:9099
        http_proxy=http://127.0.0.1:9099
        https_proxy=http://127.0.0.1:9099
        no_proxy=localhost,127.0.0.1,::1,egress,gitgate,supervise
        "#);
    }
}
