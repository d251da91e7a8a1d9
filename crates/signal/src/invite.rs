//! Invitations: the code of a group, channel or room, whatever link it was shared by.
//!
//! One channel has many addresses: `t.me/name`, `telegram.me/s/name/15`, `tg://resolve?domain=NAME`.
//! What an operator lists is the channel, so each is read as platform and code and compared by
//! these. Letter case counts where it does on the platform. Links that lead to a person's phone
//! number or profile, to stickers or to settings are no invitations.

use crate::url::CanonicalUrl;
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// Longest text that is read as an invitation, in bytes.
pub const LEN_MAX: usize = 1024;

/// A platform whose invitations are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// `+code` of a private group, `@name` of a public one, `c/number` of a channel by its number,
    /// `addlist/code` of a folder of chats.
    Telegram,
    /// The code of a server.
    Discord,
    /// The code of a group, or `channel/code`.
    Whatsapp,
    /// The group's key, which its link carries behind the `#`.
    Signal,
    /// `#room:server` or `!number:server`.
    Matrix,
}

impl Platform {
    /// All platforms.
    pub const ALL: [Self; 5] = [
        Self::Telegram,
        Self::Discord,
        Self::Whatsapp,
        Self::Signal,
        Self::Matrix,
    ];

    /// The name that stands before a code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Whatsapp => "whatsapp",
            Self::Signal => "signal",
            Self::Matrix => "matrix",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|platform| platform.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text is not an invitation that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InviteError {
    /// Nothing but white space.
    #[error("an invite signal is empty: give a link such as https://t.me/+code, or telegram:+code")]
    Empty,
    /// Over [`LEN_MAX`] bytes.
    #[error(
        "an invite signal has at most {LEN_MAX} bytes, this has {found}: give one link and nothing else"
    )]
    Length {
        /// Length that was given.
        found: usize,
    },
    /// Neither a link of a known platform nor `platform:code`.
    #[error(
        "`{}` is no invitation that is known: give a link of Telegram, Discord, WhatsApp, Signal or Matrix, or for example telegram:@name",
        found.escape_debug()
    )]
    Unknown {
        /// The beginning of what was given.
        found: String,
    },
    /// The platform is known, the code cannot be one of its codes.
    #[error("this is not a {platform} invitation: {reason}")]
    Code {
        /// The platform.
        platform: Platform,
        /// What is wrong.
        reason: &'static str,
    },
}

/// The code of a group, channel or room on a platform.
///
/// ```
/// use manara_signal::Invite;
/// let invite = Invite::parse("https://telegram.me/s/Grey_Banner/15?before=3")?;
/// assert_eq!(invite.to_string(), "telegram:@grey_banner");
/// assert_eq!(Invite::parse("tg://resolve?domain=grey_banner")?, invite);
/// assert_eq!(Invite::parse("discord.gg/aB3dE")?.to_string(), "discord:aB3dE");
///
/// let refused = Invite::parse("t.me/+4915112345").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "this is not a telegram invitation: digits after `+` are a person's phone number"
/// );
/// # Ok::<(), manara_signal::InviteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invite {
    platform: Platform,
    code: Box<str>,
}

impl Invite {
    /// Reads a link that invites, or `platform:code`.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let given = text.trim();
        if given.is_empty() {
            return Err(InviteError::Empty);
        }
        if given.len() > LEN_MAX {
            return Err(InviteError::Length { found: given.len() });
        }
        let unknown = || InviteError::Unknown {
            found: given.chars().take(60).collect(),
        };
        if let Some((name, code)) = given.split_once(':')
            && let Some(platform) = Platform::of_name(name)
            && !code.starts_with("//")
        {
            let code = if platform == Platform::Matrix {
                matrix_uri(code)
            } else {
                code.into()
            };
            return Self::of_code(platform, &code);
        }
        let https;
        let web = match given.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sgnl") => {
                https = format!("https://{rest}");
                &https
            }
            _ => given,
        };
        let url = CanonicalUrl::parse(web).map_err(|_| unknown())?;
        Self::read(&url).unwrap_or_else(|| Err(unknown()))
    }

    /// The invitation that a link is, if it is one.
    pub fn of_url(url: &CanonicalUrl) -> Option<Self> {
        Self::read(url)?.ok()
    }

    /// The platform.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The code in canonical form, without the platform's name.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Nothing if the link is of no platform's, an error if it is but does not invite.
    fn read(url: &CanonicalUrl) -> Option<Result<Self, InviteError>> {
        let (platform, code) = code_in(url)?;
        Some(code.map_or_else(
            |reason| Err(InviteError::Code { platform, reason }),
            |code| Self::of_code(platform, &code),
        ))
    }

    fn of_code(platform: Platform, code: &str) -> Result<Self, InviteError> {
        let canonical = match platform {
            Platform::Telegram => telegram_code(code),
            Platform::Discord => discord_code(code),
            Platform::Whatsapp => whatsapp_code(code),
            Platform::Signal => signal_code(code),
            Platform::Matrix => matrix_code(code),
        };
        match canonical {
            Ok(code) => Ok(Self {
                platform,
                code: code.into(),
            }),
            Err(reason) => Err(InviteError::Code { platform, reason }),
        }
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.platform, self.code))
    }
}
impl std::str::FromStr for Invite {
    type Err = InviteError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

type Code<'a> = Result<Cow<'a, str>, &'static str>;

const NOT_AN_INVITE: &str = "the link leads to something other than a group, channel or room";

/// The platform of a link, and the code in it or why there is none.
fn code_in(url: &CanonicalUrl) -> Option<(Platform, Code<'_>)> {
    let text = url.as_str();
    if let Some(rest) = text.strip_prefix("tg://") {
        return Some((Platform::Telegram, telegram_app(rest)));
    }
    let host = url.host();
    let host = host.strip_prefix("www.").unwrap_or(host);
    // Behind the host without its port, so that `t.me:443` reads as `t.me`.
    let path = url.after_host().trim_start_matches('/');
    let platform = match host {
        "t.me" | "telegram.me" | "telegram.dog" => (Platform::Telegram, telegram_path(path)),
        "discord.gg" => (Platform::Discord, Ok(first(after(path, "invite/")).into())),
        "discord.com" | "discordapp.com" | "ptb.discord.com" | "canary.discord.com" => {
            let code = path.strip_prefix("invite/").ok_or(NOT_AN_INVITE);
            (Platform::Discord, code.map(|code| first(code).into()))
        }
        "chat.whatsapp.com" => (Platform::Whatsapp, Ok(first(after(path, "invite/")).into())),
        "whatsapp.com" => {
            let code = path.strip_prefix("channel/").ok_or(NOT_AN_INVITE);
            let code = code.map(|code| format!("channel/{}", first(code)).into());
            (Platform::Whatsapp, code)
        }
        "signal.group" => {
            let code = path.split_once('#').map(|(_, code)| code.into());
            (Platform::Signal, code.ok_or(NOT_AN_INVITE))
        }
        "matrix.to" | "app.element.io" => {
            let room = path.split_once("#/").map(|(_, room)| after(room, "room/"));
            let code = room.map(|room| decoded(room.split('?').next().unwrap_or_default()));
            (Platform::Matrix, code.ok_or(NOT_AN_INVITE))
        }
        _ => {
            let name = host
                .strip_suffix(".t.me")
                .filter(|name| !name.contains('.'))?;
            (Platform::Telegram, Ok(format!("@{name}").into()))
        }
    };
    Some(platform)
}

/// The first segment of a path.
fn first(path: &str) -> &str {
    path.split(['/', '?', '#']).next().unwrap_or_default()
}

fn after<'a>(path: &'a str, start: &str) -> &'a str {
    path.strip_prefix(start).unwrap_or(path)
}

/// Percent-encoding undone, once.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits
            .filter(|two| *first == b'%' && two.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// First segments of `t.me` that are no names.
const TELEGRAM_OTHER: [&str; 22] = [
    "a",
    "addemoji",
    "addstickers",
    "addstyle",
    "addtheme",
    "auction",
    "bg",
    "boost",
    "confirmphone",
    "contact",
    "giftcode",
    "invoice",
    "iv",
    "login",
    "m",
    "msg",
    "nft",
    "proxy",
    "setlanguage",
    "share",
    "socks",
    "stickers",
];

fn telegram_path(path: &str) -> Code<'_> {
    let (start, rest) = path.split_once('/').unwrap_or((path, ""));
    let (start, rest) = (first(start), first(rest));
    // `+` may be written `%20` or `%2B` by whoever copied the link.
    let start = match start.get(..3) {
        Some("%2B" | "%20") => format!("+{}", start.get(3..).unwrap_or_default()).into(),
        _ => Cow::Borrowed(start),
    };
    match start.to_ascii_lowercase().as_str() {
        "joinchat" => Ok(format!("+{rest}").into()),
        "s" => Ok(format!("@{rest}").into()),
        "c" => Ok(format!("c/{rest}").into()),
        "addlist" => Ok(format!("addlist/{rest}").into()),
        other if TELEGRAM_OTHER.contains(&other) || other.starts_with('$') => Err(NOT_AN_INVITE),
        other if other.starts_with('+') => Ok(start),
        _ => Ok(format!("@{start}").into()),
    }
}

/// The links of the app itself, behind `tg://`.
fn telegram_app(rest: &str) -> Code<'_> {
    let (action, query) = rest.split_once('?').unwrap_or((rest, ""));
    let value = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    let code = match action.trim_end_matches('/').to_ascii_lowercase().as_str() {
        "join" => value("invite").map(|code| format!("+{code}")),
        "resolve" => value("domain").map(|name| format!("@{name}")),
        "privatepost" => value("channel").map(|number| format!("c/{number}")),
        "addlist" => value("slug").map(|code| format!("addlist/{code}")),
        _ => None,
    };
    code.map(Cow::from).ok_or(NOT_AN_INVITE)
}

fn is_web_safe(code: &str) -> bool {
    code.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Invite codes have 16 or 22 letters today; what is refused is what cannot be one.
fn telegram_code(code: &str) -> Result<String, &'static str> {
    if let Some(name) = code.strip_prefix('@') {
        return telegram_name(name);
    }
    if let Some(number) = code.strip_prefix("c/") {
        let right = (1..=16).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        return right
            .then(|| code.to_owned())
            .ok_or("a channel's number has at most 16 digits");
    }
    if let Some(secret) = code.strip_prefix('+') {
        if !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_digit()) {
            return Err("digits after `+` are a person's phone number");
        }
        return secret_code(code, secret);
    }
    match code.strip_prefix("addlist/") {
        Some(secret) => secret_code(code, secret),
        None => Err("its code begins with `+`, `@`, `c/` or `addlist/`"),
    }
}

fn secret_code(code: &str, secret: &str) -> Result<String, &'static str> {
    if !(8..=64).contains(&secret.len()) {
        return Err("its code has 8 to 64 letters: check that the link was copied whole");
    }
    if !is_web_safe(secret) {
        return Err("its code has letters, digits, `-` and `_` alone");
    }
    Ok(code.to_owned())
}

/// Names are compared by Telegram without regard to case.
fn telegram_name(name: &str) -> Result<String, &'static str> {
    if !(4..=32).contains(&name.len()) {
        return Err("a name has 4 to 32 letters");
    }
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain || !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.ends_with('_') {
        return Err(
            "a name has letters, digits and `_` alone, begins with a letter and does not end with `_`",
        );
    }
    Ok(format!("@{}", name.to_ascii_lowercase()))
}

fn discord_code(code: &str) -> Result<String, &'static str> {
    if !(2..=32).contains(&code.len()) {
        return Err("its code has 2 to 32 letters");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !code.bytes().all(plain) {
        return Err("its code has letters, digits and `-` alone");
    }
    Ok(code.to_owned())
}

fn whatsapp_code(code: &str) -> Result<String, &'static str> {
    let bare = code.strip_prefix("channel/").unwrap_or(code);
    if !(20..=28).contains(&bare.len()) {
        return Err("its code has 20 to 28 letters: check that the link was copied whole");
    }
    if !bare.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("its code has letters and digits alone");
    }
    Ok(code.to_owned())
}

/// The code is base64 of the group's key and password; either alphabet, with or without padding.
fn signal_code(code: &str) -> Result<String, &'static str> {
    let code = code.strip_prefix('#').unwrap_or(code);
    let code = decoded(code).replace('+', "-").replace('/', "_");
    let code = code.trim_end_matches('=');
    if !(40..=256).contains(&code.len()) {
        return Err("its code has 40 to 256 letters: check that the link was copied whole");
    }
    if !is_web_safe(code) {
        return Err("its code is base64");
    }
    Ok(code.to_owned())
}

/// From the path of a `matrix:` URI (MSC 2312), the identifier; other text as it is.
fn matrix_uri(path: &str) -> Cow<'_, str> {
    let path = path.split('?').next().unwrap_or_default();
    for (start, sigil) in [("r/", '#'), ("room/", '#'), ("roomid/", '!')] {
        if let Some(rest) = path.strip_prefix(start) {
            return format!("{sigil}{}", decoded(first(rest))).into();
        }
    }
    path.into()
}

/// A room is named by its alias or number and its server; what follows a `/` is a message in it.
fn matrix_code(code: &str) -> Result<String, &'static str> {
    if code.starts_with('@') || code.starts_with("u/") {
        return Err("it leads to a person, not to a room");
    }
    let room = code.split('/').next().unwrap_or_default();
    let (Some(start), Some((local, server))) = (
        room.chars().next().filter(|c| "#!".contains(*c)),
        room.get(1..).and_then(|rest| rest.split_once(':')),
    ) else {
        return Err("a room is `#name:server` or `!number:server`");
    };
    let whole = local.len() + server.len() + 2;
    if local.is_empty() || server.is_empty() || whole > 255 {
        return Err("a room is `#name:server` or `!number:server`, of 255 bytes at most");
    }
    if local.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a room's name has no spaces");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    if !server.bytes().all(plain) {
        return Err("its server is not a host");
    }
    Ok(format!("{start}{local}:{}", server.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let found = Invite::parse(text).map(|invite| invite.to_string());
        assert_eq!(found, Ok(expect.to_owned()), "{text}");
        let again = Invite::parse(expect).map(|invite| invite.to_string());
        assert_eq!(again, Ok(expect.to_owned()), "{expect} is not settled");
    }

    #[test]
    fn telegram() {
        let private = "telegram:+AbCdEfGh1234_-zz";
        check("https://t.me/+AbCdEfGh1234_-zz", private);
        check("t.me/joinchat/AbCdEfGh1234_-zz", private);
        check("https://telegram.me/joinchat/AbCdEfGh1234_-zz/", private);
        check("telegram.dog/+AbCdEfGh1234_-zz?x=1", private);
        check("https://t.me/%2BAbCdEfGh1234_-zz", private);
        check("tg://join?invite=AbCdEfGh1234_-zz", private);
        let public = "telegram:@grey_banner";
        check("http://www.t.me/Grey_Banner", public);
        check("t.me/s/grey_banner/14", public);
        check("t.me/grey_banner/14?comment=2", public);
        check("grey_banner.t.me/14", public);
        check("tg://resolve?domain=GREY_BANNER&post=4", public);
        check("Telegram:@Grey_Banner", public);
        check("t.me/c/1234567890/12", "telegram:c/1234567890");
        check(
            "tg://privatepost?channel=1234567890&post=12",
            "telegram:c/1234567890",
        );
        check("t.me/addlist/AbCdEfGh1234", "telegram:addlist/AbCdEfGh1234");
    }

    #[test]
    fn discord() {
        for text in [
            "discord.gg/aB3dE",
            "https://discord.com/invite/aB3dE?event=1",
            "https://discordapp.com/invite/aB3dE/",
            "www.discord.gg/invite/aB3dE",
            "discord:aB3dE",
        ] {
            check(text, "discord:aB3dE");
        }
    }

    #[test]
    fn whatsapp() {
        let group = "whatsapp:AbCdEfGhIjKlMnOpQrStUv";
        check("https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv", group);
        check(
            "chat.whatsapp.com/invite/AbCdEfGhIjKlMnOpQrStUv?mode=a",
            group,
        );
        check(
            "https://www.whatsapp.com/channel/0029VaAbCdEfGhIjKlMnOp",
            "whatsapp:channel/0029VaAbCdEfGhIjKlMnOp",
        );
    }

    #[test]
    fn signal() {
        let key = "CjQKIAbcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGH";
        let expect = format!("signal:{key}");
        check(&format!("https://signal.group/#{key}"), &expect);
        check(&format!("sgnl://signal.group/#{key}"), &expect);
        check(&format!("signal.group/#{key}=="), &expect);
    }

    #[test]
    fn matrix() {
        let room = "matrix:#Grey:chat.example";
        check("https://matrix.to/#/#Grey:Chat.example", room);
        check(
            "https://matrix.to/#/%23Grey%3Achat.example?via=a.example",
            room,
        );
        check("https://app.element.io/#/room/#Grey:chat.example", room);
        check("matrix:r/Grey:chat.example?action=join", room);
        check(
            "matrix.to/#/!abc:chat.example/$event",
            "matrix:!abc:chat.example",
        );
        check("matrix:roomid/abc:chat.example", "matrix:!abc:chat.example");
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str) {
        assert_eq!(
            Invite::parse(text).unwrap_err().to_string(),
            message,
            "{text}"
        );
    }

    #[test]
    fn a_refusal_says_why() {
        let telegram = |reason| format!("this is not a telegram invitation: {reason}");
        check_refused(
            "",
            "an invite signal is empty: give a link such as https://t.me/+code, or telegram:+code",
        );
        check_refused(
            "https://chat.example/+abc",
            "`https://chat.example/+abc` is no invitation that is known: give a link of Telegram, Discord, WhatsApp, Signal or Matrix, or for example telegram:@name",
        );
        check_refused("t.me/share/url?url=x", &telegram(NOT_AN_INVITE));
        check_refused("t.me/addstickers/Grey", &telegram(NOT_AN_INVITE));
        check_refused("tg://settings", &telegram(NOT_AN_INVITE));
        check_refused(
            "t.me/+abc",
            &telegram("its code has 8 to 64 letters: check that the link was copied whole"),
        );
        check_refused("t.me/abc", &telegram("a name has 4 to 32 letters"));
        check_refused(
            "telegram:AbCdEfGh1234",
            &telegram("its code begins with `+`, `@`, `c/` or `addlist/`"),
        );
        check_refused(
            "https://chat.whatsapp.com/AbCd",
            "this is not a whatsapp invitation: its code has 20 to 28 letters: check that the link was copied whole",
        );
        check_refused(
            "https://discord.com/channels/1/2",
            &format!("this is not a discord invitation: {NOT_AN_INVITE}"),
        );
        check_refused(
            "discord:a b",
            "this is not a discord invitation: its code has letters, digits and `-` alone",
        );
        check_refused(
            "https://signal.group/",
            &format!("this is not a signal invitation: {NOT_AN_INVITE}"),
        );
        check_refused(
            "https://matrix.to/#/@someone:chat.example",
            "this is not a matrix invitation: it leads to a person, not to a room",
        );
        check_refused(
            "matrix:#room",
            "this is not a matrix invitation: a room is `#name:server` or `!number:server`",
        );
        check_refused(
            &"x".repeat(2000),
            "an invite signal has at most 1024 bytes, this has 2000: give one link and nothing else",
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_settled(text in "(t.me|tg:/|telegram:|discord.gg|signal.group|matrix.to|matrix:|chat.whatsapp.com)?/?(\\+|#|#/|@|c/|!)?[a-zA-Z0-9_:.%/#?=é-]{0,60}") {
            if let Ok(invite) = Invite::parse(&text) {
                prop_assert_eq!(Invite::parse(&invite.to_string()), Ok(invite));
            }
        }
    }
}
