// SPDX-License-Identifier: GPL-2.0

//! The context of a device: whether it is known to be bound to its driver.

pub trait DeviceContext {}

/// The device may or may not be bound.
pub struct Normal;

/// The device is bound.
pub struct Bound;

impl DeviceContext for Normal {}
impl DeviceContext for Bound {}
