//! Fetching a medium from a URL that a stranger chose.
//!
//! Whoever can post a link could otherwise make this server talk to its own neighbours (server-side
//! request forgery). So:
//!
//! * only `http` and `https`, without user name or password, to port 80, 443 or one above 1023;
//! * the host's name is resolved here, **every** address it has must be public (see `address`), and the
//!   connection goes to the addresses that were checked: there is no second look-up for a name server
//!   to answer differently. Addresses written as numbers, in any spelling, are checked the same;
//! * redirects are followed here, three at most, each checked from the start, never from `https` to
//!   `http`;
//! * proxies named in the environment are ignored, for a proxy would resolve names by itself;
//! * the body is counted while it comes and cut off at the limit; compressed bodies are refused, not
//!   unpacked; everything together has a time limit.
//!
//! Media that live in the platform's own network are reached through `media.allow_nets`.

use super::address::{AllowNets, NotANetwork};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, LOCATION};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::Host;

/// Redirects followed for one medium.
const REDIRECTS_MAX: usize = 3;
/// Longest wait for a connection, within the whole time limit.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Idle connections kept to one host, for platforms whose media come from few.
const IDLE_PER_HOST_MAX: usize = 8;

/// How media are fetched.
#[derive(Debug, Clone)]
pub(crate) struct FetchOptions {
    /// Most bytes of one medium.
    pub(crate) bytes_max: usize,
    /// Time for one medium, redirects included.
    pub(crate) timeout: Duration,
    /// Networks, as in `10.20.0.0/16`, that may be reached though they are not public.
    pub(crate) allow_nets: Vec<String>,
}

/// Why media cannot be fetched at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// One of `allow_nets` is not a network.
    #[error(transparent)]
    AllowNets(#[from] NotANetwork),
    /// The HTTP client could not be made.
    #[error("the HTTP client for media cannot be made: {0}")]
    Client(String),
}

/// Why one medium could not be fetched. The texts are for reviewers and operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not a URL.
    #[error("not a URL: {0}")]
    NotAUrl(String),
    /// Neither `http` nor `https`.
    #[error("`{0}` is not a scheme media are fetched by: send an http or https URL")]
    Scheme(String),
    /// A user name or password in the URL.
    #[error(
        "the URL holds a user name or password: send one that needs none, for example signed and short-lived"
    )]
    Userinfo,
    /// A port that is not for the web.
    #[error("port {0} is not one media are fetched from: use 80, 443 or one above 1023")]
    Port(u16),
    /// The name server knows no address.
    #[error("{host} has no address: {detail}")]
    Unresolved { host: String, detail: String },
    /// One of the host's addresses is not public.
    #[error(
        "{host} leads to {address}, {what}: if media live there, add its network to media.allow_nets"
    )]
    Forbidden {
        host: String,
        address: IpAddr,
        what: &'static str,
    },
    /// A redirect without a usable target.
    #[error("redirected with status {status} to nowhere: {detail}")]
    BadRedirect { status: u16, detail: String },
    /// More than three redirects.
    #[error("redirected more than {REDIRECTS_MAX} times")]
    TooManyRedirects,
    /// A redirect away from encryption.
    #[error("redirected from https to http, which anyone on the way could have answered")]
    Downgrade,
    /// Any status but success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// A compressed body.
    #[error("sent as `{0}` though asked for as it is: turn compression off for media")]
    Encoded(String),
    /// More bytes than the limit.
    #[error("over the limit of {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// Out of time.
    #[error("took over {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// No connection, or a certificate that does not hold.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection ended early or broke the protocol.
    #[error("the transfer failed: {0}")]
    Transfer(String),
}

/// Finds the addresses of a host; replaced in tests.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Fetches media. Cloning is cheap and shares connections.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
    bytes_max: usize,
    timeout: Duration,
    allow: AllowNets,
}

impl Fetcher {
    /// A fetcher that asks the system's resolver.
    pub(crate) fn new(options: FetchOptions) -> Result<Self, SetupError> {
        let lookup: Lookup = Arc::new(|host| system_lookup(host).boxed());
        Self::with_lookup(options, &lookup)
    }

    fn with_lookup(options: FetchOptions, lookup: &Lookup) -> Result<Self, SetupError> {
        let FetchOptions {
            bytes_max,
            timeout,
            allow_nets,
        } = options;
        let allow = AllowNets::parse(&allow_nets)?;
        // Fails when somebody has installed one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            Client::builder()
                .user_agent(concat!("Manara/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(CheckedResolver {
                    lookup: Arc::clone(lookup),
                    allow: allow.clone(),
                }))
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .connect_timeout(CONNECT_TIME_MAX.min(timeout))
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        };
        let client = client().build().or_else(|error| {
            // A machine without a certificate store can still fetch by http; https fails with its reason.
            tracing::warn!(
                "media cannot be fetched by https until ca-certificates is installed: {}",
                innermost(&error)
            );
            client().tls_certs_only([]).build()
        });
        let client = client.map_err(|error| SetupError::Client(innermost(&error)))?;
        Ok(Self {
            client,
            bytes_max,
            timeout,
            allow,
        })
    }

    /// The medium's bytes, as the server holds them.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let fetching = self.follow(url);
        tokio::time::timeout(self.timeout, fetching)
            .await
            .unwrap_or(Err(FetchError::TimedOut(self.timeout)))
    }

    async fn follow(&self, url: &str) -> Result<Bytes, FetchError> {
        let mut url = Url::parse(url).map_err(|error| FetchError::NotAUrl(error.to_string()))?;
        for _ in 0..=REDIRECTS_MAX {
            self.check(&url)?;
            let response = self.request(&url).await?;
            let status = response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return self.read(response).await;
            }
            let next = target(&url, &response)?;
            no_downgrade(&url, &next)?;
            url = next;
        }
        Err(FetchError::TooManyRedirects)
    }

    /// What can be said against a URL before its host is looked up.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Userinfo);
        }
        if let Some(port @ (0..=79 | 81..=442 | 444..=1023)) = url.port() {
            return Err(FetchError::Port(port));
        }
        // Numbers in decimal, octal or hexadecimal were read as addresses by the URL parser; names are
        // checked by the resolver, which the client cannot go round.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(FetchError::NotAUrl("it names no host".to_owned())),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        self.allow
            .check(address)
            .map_err(|what| FetchError::Forbidden {
                host,
                address,
                what,
            })
    }

    async fn request(&self, url: &Url) -> Result<Response, FetchError> {
        let request = self
            .client
            .get(url.clone())
            .header(ACCEPT, "image/*, */*;q=0.5")
            .header(ACCEPT_ENCODING, "identity");
        request.send().await.map_err(|error| self.explain(&error))
    }

    async fn read(&self, mut response: Response) -> Result<Bytes, FetchError> {
        let status = response.status();
        if !matches!(
            status,
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION
        ) {
            return Err(FetchError::Status(status.as_u16()));
        }
        if let Some(encoding) = response
            .headers()
            .get(CONTENT_ENCODING)
            .filter(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(FetchError::Encoded(brief(&String::from_utf8_lossy(
                encoding.as_bytes(),
            ))));
        }
        let too_large = || FetchError::TooLarge {
            bytes_max: self.bytes_max,
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > self.bytes_max as u64 {
            return Err(too_large());
        }
        // The length is the server's word: memory is taken as bytes come, after the first bit.
        let mut bytes = BytesMut::with_capacity((announced as usize).min(1024 * 1024));
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.explain(&error))?
        {
            if bytes.len() + chunk.len() > self.bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    fn explain(&self, error: &reqwest::Error) -> FetchError {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(inner) = cause {
            if let Some(ours) = inner.downcast_ref::<FetchError>() {
                return ours.clone();
            }
            cause = inner.source();
        }
        if error.is_timeout() {
            FetchError::TimedOut(CONNECT_TIME_MAX.min(self.timeout))
        } else if error.is_connect() {
            FetchError::Connect(innermost(error))
        } else {
            FetchError::Transfer(innermost(error))
        }
    }
}

fn no_downgrade(from: &Url, to: &Url) -> Result<(), FetchError> {
    if from.scheme() == "https" && to.scheme() == "http" {
        Err(FetchError::Downgrade)
    } else {
        Ok(())
    }
}

/// Where a redirect leads.
fn target(from: &Url, response: &Response) -> Result<Url, FetchError> {
    let status = response.status().as_u16();
    let bad = |detail: &str| FetchError::BadRedirect {
        status,
        detail: detail.to_owned(),
    };
    let location = response
        .headers()
        .get(LOCATION)
        .ok_or_else(|| bad("no Location header"))?;
    let location =
        std::str::from_utf8(location.as_bytes()).map_err(|_| bad("its Location is not UTF-8"))?;
    from.join(location).map_err(|error| bad(&error.to_string()))
}

/// The last cause of an error: `connection refused`, not `error sending request for url (…)`.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    brief(&innermost.to_string())
}

/// Words of another machine, on one line and short.
fn brief(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(120)
        .collect()
}

/// The only way the client finds addresses of names.
struct CheckedResolver {
    lookup: Lookup,
    allow: AllowNets,
}

impl reqwest::dns::Resolve for CheckedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (host, allow) = (name.as_str().to_owned(), self.allow.clone());
        let looking_up = (self.lookup)(host.clone());
        async move {
            let unresolved = |detail: String| FetchError::Unresolved {
                host: host.clone(),
                detail,
            };
            let addresses = looking_up
                .await
                .map_err(|error| unresolved(brief(&error.to_string())))?;
            if addresses.is_empty() {
                return Err(unresolved("the name server names none".to_owned()).into());
            }
            for address in &addresses {
                let host = || host.clone();
                allow
                    .check(*address)
                    .map_err(|what| FetchError::Forbidden {
                        host: host(),
                        address: *address,
                        what,
                    })?;
            }
            // Port 0 stands for the port of the URL.
            let addresses = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        }
        .boxed()
    }
}

async fn system_lookup(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0))
        .await?
        .map(|address| address.ip())
        .collect())
}

#[cfg(test)]
mod tests;
