//! Frames that are no frames, from either side.

use super::*;

/// What the proxy answers to raw frames on a socket.
async fn raw(proxy: &Proxy, frames: &[u8]) -> Vec<u8> {
    let socket = open(proxy).await;
    let mut stream = socket.into_inner();
    stream.write_all(frames).await.unwrap();
    let mut answer = Vec::new();
    let _ = limited(stream.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn broken_frames_of_the_agent_end_the_socket() {
    let origin = Origin::start(Speaks::Tls).await;
    let mut proxy = proxy(&origin, json!({})).await;
    for (frames, word) in [
        (&b"\x81\x05hello"[..], "not masked"),
        (b"\xc1\x80\0\0\0\0", "reserved"),
        (b"\x83\x80\0\0\0\0", "opcode"),
        (b"\x89\xfe\x00\x7e\0\0\0\0", "control"),
        (b"\x80\x80\0\0\0\0", "order"),
        (b"\x81\xfe\x00\x05\0\0\0\0hello", "shortest"),
        (
            &b"\x01\x80\0\0\0\0"
                .iter()
                .chain(b"\0\x80\0\0\0\0".repeat(5_000).iter())
                .copied()
                .collect::<Vec<_>>(),
            "too many",
        ),
    ] {
        let answer = raw(&proxy, frames).await;
        assert_eq!(answer[..1], [0x88], "{answer:?}");
        assert_eq!(answer[2..4], 1002_u16.to_be_bytes(), "{answer:?}");
        assert!(String::from_utf8_lossy(&answer[4..]).contains(word), "{answer:?}");
        assert_eq!(proxy.blocked().await.rule, "malformed");
    }
    assert!(origin.said().is_empty(), "{:?}", origin.said());
}

#[tokio::test]
async fn text_that_is_none_is_for_the_origin_to_judge() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, json!({})).await;
    // The origin of these stories hangs up on it.
    let answer = raw(&proxy, b"\x81\x82\0\0\0\0\xff\xfe").await;
    assert!(!String::from_utf8_lossy(&answer).contains("malformed"), "{answer:?}");
    assert_eq!(origin.said(), ["invalid"]);
}

#[tokio::test]
async fn nothing_follows_a_close() {
    let origin = Origin::start(Speaks::Tls).await;
    let proxy = proxy(&origin, on_match("block")).await;
    let mut frames = b"\x88\x82\0\0\0\0\x03\xe8\x81\xa8\0\0\0\0".to_vec();
    frames.extend_from_slice(leaked().as_bytes());
    let answer = raw(&proxy, &frames).await;
    assert_eq!(answer, b"\x88\x02\x03\xe8");
}

/// An origin that answers a handshake with these headers, and then with these bytes.
async fn answers(
    headers: &str,
    bytes: &[u8],
) -> (Result<WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>, Error>, Vec<u8>) {
    let origin = Origin::start(Speaks::Plain).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let plain = route(&origin, json!({ "scheme": "http", "tls": null, "connect_to": to }));
    let proxy = Proxy::with(&origin, &[plain]).await;
    let origin = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = limited(stream.read_to_end(&mut rest)).await;
        assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{head}");
        rest
    };
    let stream = agent::tunnel(&proxy, &format!("{HOST}:80")).await;
    let agent = async {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let mut request = format!("ws://{HOST}/").into_client_request().unwrap();
        let offer = "permessage-deflate; client_max_window_bits".parse().unwrap();
        request.headers_mut().insert("sec-websocket-extensions", offer);
        let opened = limited(Box::pin(tokio_tungstenite::client_async(request, stream))).await;
        match opened {
            Ok((mut socket, _)) => {
                let end = limited(socket.next()).await;
                assert!(
                    matches!(&end, Some(Ok(Message::Close(Some(close)))) if close.code == CloseCode::Protocol),
                    "{end:?}"
                );
                Ok(socket)
            }
            Err(error) => Err(error),
        }
    };
    let (agent, rest) = tokio::join!(agent, origin);
    (agent, rest)
}

#[tokio::test]
async fn an_origin_gets_no_extension_and_brings_none() {
    let (opened, _) = answers("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"").await;
    assert!(opened.err().unwrap().to_string().contains("502"));
}

#[tokio::test]
async fn broken_frames_of_the_origin_end_the_socket() {
    for frames in [&b"\xc1\x05hello"[..], b"\x81\x85\0\0\0\0hello", b"\x83\x00"] {
        let (opened, rest) = answers("", frames).await;
        assert!(opened.is_ok());
        assert!(rest.starts_with(&[0x88]), "{rest:?}");
    }
}
