// SPDX-License-Identifier: GPL-2.0

//! The priority of an algorithm, as an administrator changes it by `NETLINK_CRYPTO`.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// `CRYPTO_MSG_UPDATEALG`.
const UPDATE_ALGORITHM: u16 = 0x12;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 0x1 | 0x4;
/// `NLMSG_ERROR`.
const ANSWER: u16 = 0x2;
/// `CRYPTO_MAX_NAME`.
const NAME: usize = 64;
/// `CRYPTOCFGA_PRIORITY_VAL`.
const PRIORITY: u16 = 0x1;
/// Of a netlink message (`struct nlmsghdr`).
const HEADER: usize = 16;

/// `struct crypto_user_alg` for the driver of that name, without its header.
fn algorithm(driver: &str) -> Vec<u8> {
    let mut name = vec![0; NAME];
    let mut driver = driver.as_bytes().to_vec();
    driver.resize(NAME, 0);
    // Its names, that of its module, and four numbers.
    name.extend(driver);
    name.resize(3 * NAME + 16, 0);
    name
}

fn message(driver: &str, priority: u32) -> Result<Vec<u8>> {
    let mut body = algorithm(driver);
    body.extend(8_u16.to_ne_bytes());
    body.extend(PRIORITY.to_ne_bytes());
    body.extend(priority.to_ne_bytes());
    let mut message = Vec::new();
    message.extend(u32::try_from(HEADER + body.len())?.to_ne_bytes());
    message.extend(UPDATE_ALGORITHM.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.resize(HEADER, 0);
    message.extend(body);
    Ok(message)
}

/// Sets the priority of an algorithm, by its driver name. The module `crypto_user` is loaded.
pub(super) fn set(driver: &str, priority: u32) -> Result<()> {
    let socket: OwnedFd = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::CRYPTO),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(
        &socket,
        &message(driver, priority)?,
        SendFlags::empty(),
        &kernel,
    )?;
    let mut answer = [0; 512];
    let (size, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let answer = &answer[..size];
    let kind = answer.get(4..6).context("no answer")?;
    let error = answer.get(HEADER..HEADER + 4).context("no answer")?;
    ensure!(
        kind == ANSWER.to_ne_bytes() && error == [0; 4],
        "the priority of {driver}: {answer:?}"
    );
    Ok(())
}
