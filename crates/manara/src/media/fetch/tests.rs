use super::*;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server on 127.0.0.1 that answers each path with prepared bytes and remembers what it was asked.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&log)));
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request a connection. An answer that ends in `…` is never finished, one in `~` comes slowly.
async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&str) -> Vec<u8>>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(request);
    let bytes = answer(&path);
    if let Some(start) = bytes.strip_suffix("…".as_bytes()) {
        let _ = stream.write_all(start).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
    } else if let Some(slow) = bytes.strip_suffix(b"~") {
        for byte in slow {
            let _ = stream.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    } else {
        let _ = stream.write_all(&bytes).await;
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn options() -> FetchOptions {
    FetchOptions {
        bytes_max: 1000,
        timeout: Duration::from_secs(10),
        allow_nets: vec!["127.0.0.1".into()],
    }
}

/// A fetcher for whom each name has the addresses given.
fn fetcher_with(options: FetchOptions, names: &[(&str, &[&str])]) -> Fetcher {
    let names: HashMap<String, Vec<IpAddr>> = names
        .iter()
        .map(|(name, ips)| {
            (
                (*name).to_owned(),
                ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            )
        })
        .collect();
    let lookup: Lookup = Arc::new(move |host| {
        let found = names.get(&host).cloned();
        async move { found.ok_or_else(|| io::Error::other("no such name")) }.boxed()
    });
    Fetcher::with_lookup(options, &lookup).unwrap()
}

fn fetcher() -> Fetcher {
    fetcher_with(
        options(),
        &[
            ("media.example", &["127.0.0.1"]),
            ("inside.example", &["127.0.0.2"]),
        ],
    )
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it reads better where it is called"
)]
fn same(result: Result<Bytes, FetchError>, expect: Result<&[u8], FetchError>) {
    assert_eq!(result.as_deref(), expect.as_deref());
}

#[tokio::test]
async fn a_medium_is_fetched_as_it_is() {
    let server = Server::start(|_| ok(b"picture")).await;
    let url = format!("http://media.example:{}/a.jpg?x=1", server.port);
    same(fetcher().get(&url).await, Ok(b"picture"));
    let request = server.requests().concat().to_lowercase();
    assert!(
        request.starts_with("get /a.jpg?x=1 http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("accept-encoding: identity\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: media.example:{}\r\n", server.port)),
        "{request}"
    );
    assert!(
        !request.contains("referer") && !request.contains("cookie"),
        "{request}"
    );
}

/// All of these are refused before anything is connected to.
#[tokio::test]
async fn urls_that_lead_elsewhere_are_refused() {
    let strict = || {
        Fetcher::new(FetchOptions {
            allow_nets: vec![],
            ..options()
        })
        .unwrap()
    };
    let problem = async |url: &str| strict().get(url).await.unwrap_err();
    assert_eq!(
        problem("ftp://media.example/").await,
        FetchError::Scheme("ftp".into())
    );
    assert_eq!(
        problem("file:///etc/passwd").await,
        FetchError::Scheme("file".into())
    );
    assert_eq!(
        problem("data:image/gif;base64,R0lG").await,
        FetchError::Scheme("data".into())
    );
    assert_eq!(
        problem("http://user@media.example/").await,
        FetchError::Userinfo
    );
    assert_eq!(
        problem("http://:secret@media.example/").await,
        FetchError::Userinfo
    );
    assert_eq!(
        problem("http://media.example:22/").await,
        FetchError::Port(22)
    );
    assert_eq!(
        problem("https://media.example:25/").await,
        FetchError::Port(25)
    );
    assert!(matches!(
        problem("media.example/a.jpg").await,
        FetchError::NotAUrl(_)
    ));
    assert!(matches!(problem("http://").await, FetchError::NotAUrl(_)));
    assert!(matches!(
        problem("http://media.example:99999/").await,
        FetchError::NotAUrl(_)
    ));
}

#[tokio::test]
async fn addresses_are_refused_in_every_spelling() {
    let strict = Fetcher::new(FetchOptions {
        allow_nets: vec![],
        ..options()
    })
    .unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://%31%32%37.0.0.1/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://0/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://192.168.0.1:8080/",
        "http://255.255.255.255/",
    ] {
        let problem = strict.get(url).await.unwrap_err();
        assert!(
            matches!(problem, FetchError::Forbidden { .. }),
            "{url}: {problem}"
        );
        assert!(
            problem.to_string().contains("media.allow_nets"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is_not_public() {
    let server = Server::start(|_| ok(b"secret")).await;
    let names: [(&str, &[&str]); 4] = [
        ("inside.example", &["127.0.0.2"]),
        ("mixed.example", &["127.0.0.1", "10.0.0.9"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nowhere.example", &[]),
    ];
    let fetcher = fetcher_with(options(), &names);
    for (host, bad) in [
        ("inside.example", "127.0.0.2"),
        ("mixed.example", "10.0.0.9"),
        ("mapped.example", "::ffff:127.0.0.1"),
    ] {
        let problem = fetcher
            .get(&format!("http://{host}:{}/", server.port))
            .await
            .unwrap_err();
        let FetchError::Forbidden {
            host: named,
            address,
            ..
        } = problem
        else {
            panic!("{host}: {problem}")
        };
        assert_eq!((named.as_str(), address), (host, bad.parse().unwrap()));
    }
    for host in ["nowhere.example", "unknown.example"] {
        let problem = fetcher
            .get(&format!("http://{host}:{}/", server.port))
            .await
            .unwrap_err();
        assert!(
            matches!(problem, FetchError::Unresolved { .. }),
            "{problem}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

/// A name server that names an allowed address first and a forbidden one when asked again.
#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection() {
    let server = Server::start(|path| {
        if path == "/a" {
            redirect(302, "/b")
        } else {
            ok(b"picture")
        }
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let address = if count.fetch_add(1, Ordering::SeqCst) == 0 {
            "127.0.0.1"
        } else {
            "127.0.0.9"
        };
        async move { Ok(vec![address.parse().unwrap()]) }.boxed()
    });
    let fetcher = Fetcher::with_lookup(options(), &lookup).unwrap();
    let url = |path: &str| format!("http://turning.example:{}{path}", server.port);
    same(fetcher.get(&url("/b")).await, Ok(b"picture"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The second connection is checked anew, and what was checked is what is connected to.
    let problem = fetcher.get(&url("/a")).await.unwrap_err();
    assert!(matches!(problem, FetchError::Forbidden { .. }), "{problem}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_and_checked() {
    let server = Server::start(|path| match path {
        "/0" => ok(b"picture"),
        "/inside" => redirect(302, "http://inside.example/"),
        "/metadata" => redirect(307, "http://169.254.169.254/"),
        "/scheme" => redirect(301, "file:///etc/passwd"),
        "/userinfo" => redirect(301, "http://a:b@media.example/"),
        "/port" => redirect(301, "http://media.example:22/"),
        "/nowhere" => b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/broken" => redirect(302, "http://[/"),
        path => {
            let left: u32 = path[1..].parse().unwrap();
            redirect(302, &format!("/{}", left - 1))
        }
    })
    .await;
    let fetcher = fetcher();
    let get = async |path: &str| {
        fetcher
            .get(&format!("http://media.example:{}{path}", server.port))
            .await
    };
    same(get("/3").await, Ok(b"picture"));
    same(get("/4").await, Err(FetchError::TooManyRedirects));
    let forbidden =
        |problem: Result<Bytes, FetchError>| matches!(problem, Err(FetchError::Forbidden { .. }));
    assert!(forbidden(get("/inside").await));
    assert!(forbidden(get("/metadata").await));
    same(get("/scheme").await, Err(FetchError::Scheme("file".into())));
    same(get("/userinfo").await, Err(FetchError::Userinfo));
    same(get("/port").await, Err(FetchError::Port(22)));
    assert!(matches!(
        get("/nowhere").await,
        Err(FetchError::BadRedirect { status: 302, .. })
    ));
    assert!(matches!(
        get("/broken").await,
        Err(FetchError::BadRedirect { status: 302, .. })
    ));
}

#[test]
fn a_redirect_from_https_to_http_is_a_downgrade() {
    let url = |text: &str| Url::parse(text).unwrap();
    assert_eq!(
        no_downgrade(&url("https://a.example/"), &url("http://a.example/")),
        Err(FetchError::Downgrade)
    );
    assert_eq!(
        no_downgrade(&url("https://a.example/"), &url("https://b.example/")),
        Ok(())
    );
    assert_eq!(
        no_downgrade(&url("http://a.example/"), &url("http://b.example/")),
        Ok(())
    );
    assert_eq!(
        no_downgrade(&url("http://a.example/"), &url("https://b.example/")),
        Ok(())
    );
}

#[tokio::test]
async fn statuses_other_than_success_are_named() {
    let server = Server::start(|path| {
        format!("HTTP/1.1 {} Some\r\nContent-Length: 0\r\n\r\n", &path[1..]).into_bytes()
    })
    .await;
    let fetcher = fetcher();
    for status in [204, 206, 304, 403, 404, 500] {
        let url = format!("http://media.example:{}/{status}", server.port);
        same(fetcher.get(&url).await, Err(FetchError::Status(status)));
    }
}

#[tokio::test]
async fn bytes_are_limited_by_what_is_announced_and_by_what_comes() {
    let server = Server::start(|path| match path {
        "/most" => ok(&[7; 1000]),
        "/announced" => b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nxx".to_vec(),
        "/streamed" => {
            let chunk = b"80\r\n".iter().copied().chain([7; 128]).chain(*b"\r\n");
            let body: Vec<u8> = std::iter::repeat_n(chunk, 9).flatten().collect();
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                body,
                b"0\r\n\r\n".to_vec(),
            ]
            .concat()
        }
        "/endless" => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![7; 5_000_000]].concat(),
        "/packed" => {
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx".to_vec()
        }
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nxx".to_vec(),
        _ => b"SSH-2.0-OpenSSH\r\n".to_vec(),
    })
    .await;
    let fetcher = fetcher();
    let get = async |path: &str| {
        fetcher
            .get(&format!("http://media.example:{}{path}", server.port))
            .await
    };
    same(get("/most").await, Ok(&[7; 1000]));
    for path in ["/announced", "/streamed", "/endless"] {
        same(
            get(path).await,
            Err(FetchError::TooLarge { bytes_max: 1000 }),
        );
    }
    same(
        get("/packed").await,
        Err(FetchError::Encoded("gzip".into())),
    );
    assert!(matches!(get("/short").await, Err(FetchError::Transfer(_))));
    assert!(matches!(get("/ssh").await, Err(FetchError::Transfer(_))));
}

#[tokio::test]
async fn time_is_limited_however_it_is_spent() {
    let server = Server::start(|path| match path {
        "/silent" => "…".into(),
        "/stuck" => "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nsome…".into(),
        "/slow" => [ok(&[7; 600]), b"~".to_vec()].concat(),
        path => redirect(302, path),
    })
    .await;
    let timeout = Duration::from_millis(700);
    let fetcher = fetcher_with(
        FetchOptions {
            timeout,
            ..options()
        },
        &[("media.example", &["127.0.0.1"])],
    );
    for path in ["/silent", "/stuck", "/slow"] {
        let started = Instant::now();
        same(
            fetcher
                .get(&format!("http://media.example:{}{path}", server.port))
                .await,
            Err(FetchError::TimedOut(timeout)),
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_refused_connection_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let problem = fetcher()
        .get(&format!("http://media.example:{closed}/"))
        .await
        .unwrap_err();
    assert!(
        matches!(&problem, FetchError::Connect(detail) if detail.contains("refused")),
        "{problem}"
    );
}

#[test]
fn a_wrong_network_is_named_at_start() {
    let error = Fetcher::new(FetchOptions {
        allow_nets: vec!["10.0.0.0/99".into()],
        ..options()
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("`10.0.0.0/99` is not a network"),
        "{error}"
    );
}
