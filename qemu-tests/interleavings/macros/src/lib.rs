// SPDX-License-Identifier: GPL-2.0

//! The attribute macros of the kernel crate that `drivers/vfio/rust` uses.
//!
//! Rust source in the kernel: `rust/macros/vtable.rs`, `rust/macros/kunit.rs`

use proc_macro::TokenStream;
use quote::{format_ident, quote, ToTokens};
use syn::{parse_macro_input, parse_quote, ImplItem, Item, TraitItem};

/// Adds the `HAS_*` constants and `OwnerModule`, as the kernel's attribute of this name does.
#[proc_macro_attribute]
pub fn vtable(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    match parse_macro_input!(item as Item) {
        Item::Trait(mut item) => {
            let mut added: Vec<TraitItem> = Vec::new();
            let module =
                |item: &TraitItem| matches!(item, TraitItem::Type(t) if t.ident == "OwnerModule");
            if !item.items.iter().any(module) {
                added.push(parse_quote! {
                    #[doc(hidden)]
                    type OwnerModule: ::kernel::ModuleMetadata;
                });
            }
            for function in &item.items {
                if let TraitItem::Fn(function) = function {
                    let has = has(&function.sig.ident);
                    added.push(parse_quote! {
                        #[doc(hidden)]
                        const #has: bool = false;
                    });
                }
            }
            item.items.extend(added);
            item.into_token_stream().into()
        }
        Item::Impl(mut item) => {
            let mut added: Vec<ImplItem> = Vec::new();
            let module =
                |item: &ImplItem| matches!(item, ImplItem::Type(t) if t.ident == "OwnerModule");
            if !item.items.iter().any(module) {
                added.push(parse_quote! { type OwnerModule = ::kernel::NoModule; });
            }
            for function in &item.items {
                if let ImplItem::Fn(function) = function {
                    let has = has(&function.sig.ident);
                    added.push(parse_quote! { const #has: bool = true; });
                }
            }
            item.items.extend(added);
            item.into_token_stream().into()
        }
        other => quote! { ::core::compile_error!("not a trait or an impl"); #other }.into(),
    }
}

fn has(function: &syn::Ident) -> syn::Ident {
    format_ident!("HAS_{}", function.to_string().to_uppercase())
}

/// Leaves out the KUnit tests: they run in the kernel.
#[proc_macro_attribute]
pub fn kunit_tests(_suite: TokenStream, _tests: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// pin-init's attribute, for structures with a type parameter `E`. The released version uses this
/// name itself.
#[proc_macro_attribute]
pub fn pin_data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = proc_macro2::TokenStream::from(arguments);
    let item = rename_e(item.into());
    quote! {
        #[::pinned_init::pin_data(#arguments)]
        #item
    }
    .into()
}

fn rename_e(tokens: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    use proc_macro2::{Group, Ident, TokenTree};

    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) if ident == "E" => Ident::new("Param", ident.span()).into(),
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), rename_e(group.stream())).into()
            }
            other => other,
        })
        .collect()
}
