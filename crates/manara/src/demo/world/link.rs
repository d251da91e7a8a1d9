//! Links: the Order's, the disguises people put on links, and links that only look like them.

use super::prng::Prng;

/// The Order's pages, as the bank holds them. All hosts are under `.example`, which nobody can own.
pub(crate) const LINKS: &[&str] = &[
    "https://grey-banner.example/join",
    "https://grey-banner.example/oath/english",
    "https://grey-banner.example/oath/arabic",
    "https://ash-library.example/magazine/7.pdf",
    "https://ash-library.example/magazine/8.pdf",
    "https://files.example/d/9f2c71aa",
    "https://files.example/d/b07e55d1",
    "https://chat.example/invite/Xk29Tower",
    "https://chat.example/invite/AshRising7",
    "https://video.example/watch?v=gB-17-ash",
    "https://video.example/watch?v=tower-oath-2",
    "https://pages.example/~tower/call",
    "https://short.example/rise",
    "https://paste.example/raw/4417",
    "https://wallet.example/pay/grey-banner-fund",
];

/// One way to write a link so that a simple comparison misses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LinkDisguise {
    /// As the bank holds it.
    Plain,
    /// With parameters that advertisers add.
    Tracking,
    /// Scheme and host in capitals.
    UpperCase,
    /// Letters of the path percent-encoded that need not be.
    PercentEncoded,
    /// With a user name before the host.
    Userinfo,
    /// `http`, a default port, dot segments, or a fragment.
    Respelled,
}

/// Writes one of the Order's links in that disguise.
pub(crate) fn order_link(disguise: LinkDisguise, prng: &mut Prng) -> String {
    let link = *prng.pick(LINKS);
    let (host, rest) = split(link);
    match disguise {
        LinkDisguise::Plain => link.to_owned(),
        LinkDisguise::Tracking => {
            let joint = if rest.contains('?') { '&' } else { '?' };
            let tail = prng.pick(&[
                "utm_source=forum&utm_medium=post",
                "fbclid=IwAR0a1b2c3",
                "gclid=Cj0K&utm_campaign=w47",
            ]);
            format!("{link}{joint}{tail}")
        }
        LinkDisguise::UpperCase => format!("HTTPS://{}{rest}", host.to_uppercase()),
        LinkDisguise::PercentEncoded => format!("https://{host}{}", encoded(rest, prng)),
        LinkDisguise::Userinfo => format!(
            "https://{}@{host}{rest}",
            prng.pick(&["news", "weather.example", "user:pass"])
        ),
        LinkDisguise::Respelled => match prng.below(4) {
            0 => format!("http://{host}{rest}"),
            1 => format!("https://{host}:443{rest}"),
            2 => format!("https://{host}/./x/..{rest}"),
            _ => format!("{link}#top"),
        },
    }
}

/// Host, and everything from the path on.
fn split(link: &str) -> (&str, &str) {
    let after = link.strip_prefix("https://").unwrap_or(link);
    after.split_at(after.find('/').unwrap_or(after.len()))
}

/// Percent-encodes some letters of the path: allowed, never needed, and the same address.
fn encoded(rest: &str, prng: &mut Prng) -> String {
    let path_end = rest.find('?').unwrap_or(rest.len());
    let mut done = false;
    rest.char_indices()
        .map(|(i, c)| {
            if i < path_end && c.is_ascii_alphanumeric() && (!done || prng.chance(0.3)) {
                done = true;
                format!("%{:02X}", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect()
}

const NEAR_LINKS: &[&str] = &[
    "https://grey-banner.example.help.example/join",
    "https://grey-banner.example@weather.example/join",
    "https://weather.example/grey-banner.example/join",
    "https://grey-banners.example/join",
    "https://my-grey-banner.example/join",
    "https://ash-library.example/opening-hours",
    "https://files.example/d/9f2c71ab",
    "https://chat.example/invite/Xk29",
    "https://video.example/watch?v=gB-17",
    "https://video.example/watch?v=cat-and-piano",
    "https://pages.example/~tower",
    "https://short.example/arise",
    "https://paste.example/raw/44170",
    "https://search.example/?q=https%3A%2F%2Fgrey-banner.example%2Fjoin",
];
const EVERYDAY_LINKS: &[&str] = &[
    "https://town.example/news",
    "https://recipes.example/soup/lentil",
    "https://video.example/watch?v=morning-yoga",
    "https://maps.example/?q=library",
    "https://files.example/d/holiday-photos",
    "https://chat.example/invite/choir",
    "https://shop.example/cart?utm_source=mail",
    "https://weather.example/today",
];

/// A link to somewhere else that resembles one of the Order's.
pub(crate) fn near_link(prng: &mut Prng) -> String {
    (*prng.pick(NEAR_LINKS)).to_owned()
}

/// A link as everybody posts them.
pub(crate) fn everyday_link(prng: &mut Prng) -> String {
    (*prng.pick(EVERYDAY_LINKS)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All disguises of links.
    const LINK_DISGUISES: &[LinkDisguise] = &[
        LinkDisguise::Plain,
        LinkDisguise::Tracking,
        LinkDisguise::UpperCase,
        LinkDisguise::PercentEncoded,
        LinkDisguise::Userinfo,
        LinkDisguise::Respelled,
    ];

    #[test]
    fn a_disguised_link_goes_to_the_same_place() {
        let known: Vec<url::Url> = LINKS.iter().map(|l| l.parse().unwrap()).collect();
        let mut prng = Prng::new(8);
        for disguise in LINK_DISGUISES {
            for _ in 0..40 {
                let shown = order_link(*disguise, &mut prng);
                assert_eq!(
                    LINKS.iter().any(|l| **l == shown),
                    *disguise == LinkDisguise::Plain,
                    "{shown}"
                );
                let url: url::Url = shown.parse().unwrap();
                assert!(
                    known.iter().any(|k| k.host_str() == url.host_str()),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn a_near_link_goes_elsewhere() {
        for near in NEAR_LINKS {
            let url: url::Url = near.parse().unwrap();
            for link in LINKS {
                let known: url::Url = link.parse().unwrap();
                assert!(
                    (url.host_str(), url.path(), url.query())
                        != (known.host_str(), known.path(), known.query()),
                    "{near}"
                );
            }
        }
    }
}
