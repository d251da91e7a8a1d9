//! Functions of a text that is a web address. On any other text they are unknown.

use super::{Answer, Input};
use crate::env::Origin;
use crate::memo::Link;
use manara_signal::url::HostKind;
use std::borrow::Cow;

const NO_ADDRESS: &str = "this is no web address";
const NO_INVITE: &str = "this link invites to no group";

/// Asks the link that a text is; those of the event are read once.
fn ask<T>(input: &Input<'_, '_>, question: impl FnOnce(&Link) -> Answer<T>) -> Answer<T> {
    if matches!(input.origin, Origin::Link(_) | Origin::Found(_)) {
        return question(input.ctx.link_memo(input.origin).ok_or(NO_ADDRESS)?);
    }
    question(&Link::parse(input.text()).ok_or(NO_ADDRESS)?)
}

fn owned<'a>(text: &str) -> Cow<'a, str> {
    Cow::Owned(text.to_owned())
}

pub(super) fn host<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    ask(&input, |link| Ok(owned(link.url.host())))
}

pub(super) fn domain<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    const NONE: &str = "the host has no registrable domain";
    ask(&input, |link| {
        link.url.registrable_domain().map(owned).ok_or(NONE)
    })
}

pub(super) fn scheme<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    ask(&input, |link| Ok(owned(link.url.scheme())))
}

pub(super) fn port(input: Input<'_, '_>) -> Answer<i64> {
    ask(&input, |link| {
        let own = match link.url.scheme() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = link.url.port().or(own);
        port.map(i64::from).ok_or("this address has no port")
    })
}

pub(super) fn is_shortener(input: Input<'_, '_>) -> Answer<bool> {
    ask(&input, |link| Ok(link.url.is_shortener()))
}

pub(super) fn is_ip(input: Input<'_, '_>) -> Answer<bool> {
    ask(&input, |link| {
        Ok(matches!(
            link.url.host_kind(),
            HostKind::Ipv4 | HostKind::Ipv6
        ))
    })
}

pub(super) fn is_onion(input: Input<'_, '_>) -> Answer<bool> {
    ask(&input, |link| {
        Ok(matches!(link.url.host_kind(), HostKind::Onion(_)))
    })
}

pub(super) fn has_user_info(input: Input<'_, '_>) -> Answer<bool> {
    ask(&input, |link| Ok(link.facts().user_info))
}

pub(super) fn imitates<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    const NONE: &str = "the host looks like no other";
    ask(&input, |link| {
        link.facts().imitates.as_deref().map(owned).ok_or(NONE)
    })
}

pub(super) fn is_invite(input: Input<'_, '_>) -> Answer<bool> {
    ask(&input, |link| Ok(link.facts().invite.is_some()))
}

pub(super) fn invite_platform<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    ask(&input, |link| {
        let invite = link.facts().invite.as_ref().ok_or(NO_INVITE)?;
        Ok(Cow::Borrowed(invite.platform().name()))
    })
}

pub(super) fn invite_code<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    ask(&input, |link| {
        let invite = link.facts().invite.as_ref().ok_or(NO_INVITE)?;
        Ok(owned(invite.code()))
    })
}
