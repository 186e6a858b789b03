//! The bus is not there, or what it needs is not.

use harness::Home;

#[tokio::test]
async fn a_command_says_that_no_bus_runs() {
    let home = Home::empty();
    home.run(&["init", "--bare"]).await.expect_code(0);
    for command in [&["list"][..], &["status"], &["events"], &["stop", "a-00000"], &["logs", "a-00000"]] {
        home.run(command).await.expect_code(69).expect_err("bot-bottle up").expect_err("bot-bottle start");
    }
}

#[tokio::test]
async fn an_unreachable_bus_is_given_up_with_a_reason() {
    let home = Home::empty();
    home.run(&["init", "--bare"]).await.expect_code(0);
    // A port of our own on which nobody listens: bound, and never listened on.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let mut command = home.command(&["list"]);
    command.env("NATS_URL", format!("nats://{}", held.local_addr().unwrap()));
    let output = harness::soon("the command's end", command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("cannot reach the message bus at nats://127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_missing_server_is_named_with_its_cure_before_anything_starts() {
    let home = Home::empty();
    let mut command = home.command(&["up"]);
    command.env("BOT_BOTTLE_NATS_SERVER", home.path().join("nothing-here"));
    let output = harness::soon("the command's end", command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("nats-server is not installed"), "{error}");
}

#[tokio::test]
async fn keys_are_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::empty();
    home.run(&["init"]).await.expect_code(0);
    home.run(&["init"]).await.expect_code(0);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let keys = home.path().join("bus/keys");
    assert_eq!((mode(&home.path().join("bus")), mode(&keys)), (0o700, 0o700));
    for key in keys.read_dir().unwrap() {
        let path = key.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn an_identity_is_written_once_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::empty();
    home.run(&["credentials", "operator", "me.creds"]).await.expect_code(66).expect_err("bot-bottle init");
    home.run(&["init", "--bare"]).await.expect_code(0);
    home.run(&["credentials", "operator", "me.creds"]).await.expect_code(0);
    let file = home.path().join("me.creds");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(bus::Credentials::read(&file).unwrap().name(), "operator");
    home.run(&["credentials", "operator", "me.creds"]).await.expect_code(65);
}
