// SPDX-License-Identifier: GPL-2.0

//! A driver of the SEC engine.

use super::Bench;
use super::Driver;
use kunpeng_accel::Revision;
use kunpeng_accel::SEC;

pub const AES: u32 = 2;
pub const SM4: u32 = 3;
pub const TRIPLE_DES: u32 = 1;

pub const ECB: u32 = 0;
pub const CBC: u32 = 1;
pub const CTR: u32 = 4;
pub const CCM: u32 = 5;
pub const GCM: u32 = 6;
pub const XTS: u32 = 7;

pub const HMAC_SHA1: u32 = 0x10;
pub const HMAC_SHA256: u32 = 0x11;
pub const HMAC_SHA512: u32 = 0x15;

/// Contents of `done_flag`: `done`, `icv`, flag; and the error type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub done: bool,
    pub icv: u32,
    pub flag: u32,
    pub error: u32,
}

pub const CIPHER_DONE: Outcome = Outcome {
    done: true,
    icv: 0,
    flag: 2,
    error: 0,
};
pub const AEAD_DONE: Outcome = Outcome {
    done: true,
    icv: 0,
    flag: 3,
    error: 0,
};
pub const TAG_WRONG: Outcome = Outcome {
    done: true,
    icv: 2,
    flag: 3,
    error: 0,
};

/// A keyed hash in addition to a cipher.
#[derive(Debug, Clone)]
pub struct Hmac {
    pub hash: u32,
    pub key: Vec<u8>,
}

/// A request, using the terms of the standards.
#[derive(Debug, Clone)]
pub struct Request {
    pub cipher: u32,
    pub mode: u32,
    pub encrypt: bool,
    pub key: Vec<u8>,
    /// As laid out by the driver: IV, tweak, counter, or the first counter of CCM.
    pub iv: Vec<u8>,
    /// First block of the CCM hash.
    pub first_block: Vec<u8>,
    pub hmac: Option<Hmac>,
    pub associated: Vec<u8>,
    pub text: Vec<u8>,
    /// Space for the tag, or the expected tag.
    pub tag: Vec<u8>,
}

impl Request {
    pub fn new(cipher: u32, mode: u32, key: Vec<u8>, iv: Vec<u8>, text: Vec<u8>) -> Self {
        Self {
            cipher,
            mode,
            encrypt: true,
            key,
            iv,
            first_block: Vec::new(),
            hmac: None,
            associated: Vec::new(),
            text,
            tag: Vec::new(),
        }
    }

    fn key_length(&self) -> u32 {
        let bytes = self.key.len() / if self.mode == XTS { 2 } else { 1 };
        match (self.cipher, bytes) {
            (TRIPLE_DES, _) | (_, 24) => 1,
            (_, 32) => 2,
            _ => 0,
        }
    }
}

/// Locations of a request's parts.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub source: u64,
    pub destination: u64,
    pub key: u64,
    pub iv: u64,
    pub hmac_key: u64,
    pub first_block: u64,
    pub tag: u64,
}

pub struct Sec {
    pub bench: Bench,
    pub driver: Driver,
}

impl Sec {
    pub fn new() -> Self {
        let mut bench = Bench::with_profile(&SEC, Revision::V3);
        let driver = Driver::with_queues(&mut bench, &[0]);
        Self { bench, driver }
    }

    pub fn places(&self) -> Places {
        Places {
            source: self.driver.input(0),
            destination: self.driver.output(0),
            key: self.driver.input(100),
            iv: self.driver.input(101),
            hmac_key: self.driver.input(102),
            first_block: self.driver.input(103),
            tag: self.driver.input(104),
        }
    }

    /// Returns a `struct sec_sqe3`, filled as `sec_aead_bd_fill_v3()` and `sec_skcipher_bd_fill_v3()` do.
    pub fn entry(&self, request: &Request) -> [u8; 128] {
        let places = self.places();
        let mut entry = [0; 128];
        let mut set = |offset: usize, bytes: &[u8]| {
            entry[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        let direction = if request.encrypt { 1 } else { 2 };
        let (associated, text) = (request.associated.len() as u32, request.text.len() as u32);
        let (icv, mut auth, mut auth_length) = match (request.mode, &request.hmac) {
            (CCM | GCM, _) => (request.tag.len() as u32, 0, associated),
            (_, Some(hmac)) => (
                0,
                direction
                    | (request.tag.len() as u32 / 4) << 4
                    | (hmac.key.len() as u32 / 4) << 9
                    | hmac.hash << 15,
                associated + text,
            ),
            (_, None) => (0, 0, 0),
        };
        auth |= 2 << 25;
        // The text follows the data that are only authenticated; the destination is separate.
        set(0, &(3_u32 | 1 << 9).to_le_bytes());
        let what = direction
            | icv << 4
            | request.key_length() << 13
            | request.mode << 16
            | request.cipher << 20
            | u32::from(!request.encrypt) << 30;
        set(4, &what.to_le_bytes());
        set(16, &places.source.to_le_bytes());
        set(24, &places.hmac_key.to_le_bytes());
        set(32, &places.first_block.to_le_bytes());
        set(48, &places.key.to_le_bytes());
        set(56, &auth.to_le_bytes());
        set(66, &(associated as u16).to_le_bytes());
        auth_length &= 0xff_ffff;
        set(68, &auth_length.to_le_bytes());
        set(72, &text.to_le_bytes());
        set(76, &places.destination.to_le_bytes());
        set(84, &places.tag.to_le_bytes());
        set(92, &places.iv.to_le_bytes());
        entry
    }

    /// Stores a request's parts at the locations given by its entry.
    pub fn store(&mut self, request: &Request) {
        let places = self.places();
        let machine = &mut self.bench.machine;
        machine.store(places.source, &request.associated);
        machine.store(
            places.source + request.associated.len() as u64,
            &request.text,
        );
        machine.store(places.key, &request.key);
        machine.store(places.iv, &request.iv);
        machine.store(places.first_block, &request.first_block);
        machine.store(places.tag, &request.tag);
        if let Some(hmac) = &request.hmac {
            machine.store(places.hmac_key, &hmac.key);
        }
    }

    pub fn submit(&mut self, entry: &[u8; 128]) -> Outcome {
        let place = self.driver.queues[0].tail;
        assert!(self.driver.submit(&mut self.bench, 0, entry));
        self.bench.settle();
        self.driver.poll(&mut self.bench);
        assert_eq!(self.driver.queues[0].done.last(), Some(&place));
        let word = self
            .bench
            .machine
            .load_u32(self.driver.entry(0, place) + 112);
        Outcome {
            done: word & 1 != 0,
            icv: word >> 1 & 7,
            flag: word >> 7 & 0xf,
            error: word >> 16 & 0xff,
        }
    }

    /// Executes a request on flat buffers; returns the text and the tag.
    pub fn run(&mut self, request: &Request) -> (Outcome, Vec<u8>, Vec<u8>) {
        self.store(request);
        let outcome = self.submit(&self.entry(request));
        let places = self.places();
        let text = places.destination + request.associated.len() as u64;
        let machine = &self.bench.machine;
        (
            outcome,
            machine.load(text, request.text.len()).to_vec(),
            machine.load(places.tag, request.tag.len()).to_vec(),
        )
    }
}
