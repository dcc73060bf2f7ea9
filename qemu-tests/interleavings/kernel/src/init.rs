// SPDX-License-Identifier: GPL-2.0

//! Allocation with in-place initialisation.

use crate::error::{Error, Result};
use core::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    pin::Pin,
};
use pinned_init::{Init, PinInit};

pub mod flags {
    /// Allocation flags, which have no effect here.
    #[derive(Clone, Copy)]
    pub struct Flags;

    pub const GFP_KERNEL: Flags = Flags;
    pub const GFP_KERNEL_ACCOUNT: Flags = Flags;
}

use flags::Flags;

pub type KBox<T> = Box<T>;

/// The kernel's vector, whose `push()` can fail.
pub struct KVec<T>(Vec<T>);

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> KVec<T> {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub fn push(&mut self, value: T, _: Flags) -> Result {
        self.0.push(value);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Creates a pinned box that `init` initialises.
pub(crate) fn pinned<T, E>(init: impl PinInit<T, E>) -> Result<Pin<Box<T>>, E> {
    let mut memory = Box::new(MaybeUninit::<T>::uninit());
    // SAFETY: The memory is valid for a write and does not move before it is pinned below.
    unsafe { init.__pinned_init(memory.as_mut_ptr()) }?;
    // SAFETY: `init` succeeded, so that the value is initialised.
    Ok(Box::into_pin(unsafe { memory.assume_init() }))
}

pub trait InPlaceInit<T>: Sized {
    type PinnedSelf;

    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf>
    where
        Error: From<E>;

    fn init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>;
}

impl<T> InPlaceInit<T> for Box<T> {
    type PinnedSelf = Pin<Self>;

    fn pin_init<E>(init: impl PinInit<T, E>, _: Flags) -> Result<Pin<Self>>
    where
        Error: From<E>,
    {
        Ok(pinned(init)?)
    }

    fn init<E>(init: impl Init<T, E>, _: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        // SAFETY: `init` is an `Init`, whose value may move.
        Ok(unsafe { Pin::into_inner_unchecked(pinned(init)?) })
    }
}
