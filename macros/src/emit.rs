//! The code of a checked network.

use crate::check::{Fit, Plan, Planned};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Generics, parse_quote};

/// A layer with the activation that it takes in.
struct Step {
    ty: TokenStream,
    alias: Option<TokenStream>,
}

/// The struct with its implementations, or the expression that gives one.
pub(crate) fn emit(plan: &Plan, errors: &TokenStream) -> TokenStream {
    match &plan.item {
        Some(item) => {
            let network = network(plan, &item.attrs, &item.vis, &item.name, &item.generics);
            quote!(#errors #network)
        }
        None => {
            let network =
                network(plan, &[], &syn::Visibility::Inherited, &format_ident!("Sequential"), &Generics::default());
            quote!({
                #errors
                #network
                ::plywood::nn::Uninit::<Sequential>::new()
            })
        }
    }
}

fn steps(plan: &Plan, generic: bool) -> Vec<Step> {
    let layers: Vec<_> = plan.layers.iter().filter(|layer| !layer.skipped).collect();
    // Where nothing computes, something must still carry the input to the output.
    let layers = if layers.is_empty() { plan.layers.iter().rev().take(1).collect() } else { layers };
    let mut steps: Vec<TokenStream> = Vec::new();
    for layer in layers {
        match (&layer.fused, steps.pop()) {
            (Some(activation), Some(before)) => steps.push(quote!(::plywood::nn::Then<#before, #activation>)),
            (_, before) => {
                steps.extend(before);
                steps.push(layer.ty.clone());
            }
        }
    }
    let named = |(i, ty): (usize, TokenStream)| {
        if generic {
            return Step { ty, alias: None };
        }
        let name = format_ident!("Step{i}");
        Step { ty: quote!(#name), alias: Some(quote!(type #name = #ty;)) }
    };
    steps.into_iter().enumerate().map(named).collect()
}

fn network(
    plan: &Plan,
    attrs: &[syn::Attribute],
    vis: &syn::Visibility,
    name: &Ident,
    generics: &Generics,
) -> TokenStream {
    let own: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
    let free = |wanted: &str| {
        let taken = own.iter().any(|param| param == wanted);
        Ident::new(&if taken { format!("Plywood{wanted}") } else { wanted.to_owned() }, Span::call_site())
    };
    let (elem, store) = (free("E"), free("B"));
    let mut declared = generics.clone();
    declared.params.push(parse_quote!(#elem: ::plywood::Float = f32));
    declared.params.push(parse_quote!(#store = ::plywood::__private::Buffer<#elem>));
    let where_clause = &declared.where_clause;

    let mut any = generics.clone(); // with any element type in any storage
    any.params.push(parse_quote!(#elem: ::plywood::Float));
    let mut owned = any.clone(); // with parameters of its own
    any.params.push(parse_quote!(#store: ::plywood::__private::Storage<#elem>));
    strip_defaults(&mut any);
    strip_defaults(&mut owned);
    let mut single = generics.clone(); // f32 with parameters of its own
    strip_defaults(&mut single);
    let (any_impl, ..) = any.split_for_impl();
    let (owned_impl, ..) = owned.split_for_impl();
    let (single_impl, ..) = single.split_for_impl();

    let steps = steps(plan, !own.is_empty());
    let aliases = steps.iter().filter_map(|step| step.alias.as_ref());
    let layer = layer_impl(plan, &steps, name, &own);
    let accessors = accessors(plan, vis, &elem);
    let at = at_impls(plan, name, &own, &any_impl, where_clause, &elem, &store);
    let fits = plan.fits.iter().map(|fit| fit_check(fit, &single));
    let init_doc = format!("A `{name}` with PyTorch's default initial values.");
    let at_doc = "The parameters of the layer at a position, counted from 0 as in PyTorch.";
    quote! {
        #(#attrs)*
        #vis struct #name #declared #where_clause {
            parameters: #store,
            layers: ::core::marker::PhantomData<(#elem, #(#own,)*)>,
        }

        const _: () = {
            #(#aliases)*

            impl #any_impl ::plywood::nn::Layer for #name<#(#own,)* #elem, #store> #where_clause {
                #layer
            }

            impl #owned_impl ::plywood::nn::Model for #name<#(#own,)* #elem> #where_clause {
                type Elem = #elem;
                type As<Other: ::plywood::Float> = #name<#(#own,)* Other>;

                fn from_buffer(parameters: ::plywood::__private::Buffer<#elem>) -> Self {
                    #name { parameters, layers: ::core::marker::PhantomData }
                }

                fn parameters(&self) -> &[#elem] {
                    self.parameters.as_slice()
                }

                fn parameters_mut(&mut self) -> &mut [#elem] {
                    self.parameters.as_mut_slice()
                }
            }

            #[allow(dead_code)]
            impl #single_impl #name<#(#own),*> #where_clause {
                /// The number of parameters.
                #vis const PARAMS: usize = <Self as ::plywood::nn::Layer>::PARAMS;
                /// The layers.
                #vis const LAYERS: &'static [::plywood::nn::LayerInfo] = <Self as ::plywood::nn::Layer>::LAYERS;

                #[doc = #init_doc]
                #[must_use]
                #vis fn init(rng: &mut ::plywood::Generator) -> Self {
                    <Self as ::plywood::nn::Model>::init(rng)
                }
            }

            #[allow(dead_code)]
            impl #any_impl #name<#(#own,)* #elem, #store> #where_clause {
                #[doc = #at_doc]
                #vis fn at<const POSITION: usize>(&self) -> <Self as ::plywood::nn::At<POSITION>>::View<'_>
                where
                    Self: ::plywood::nn::At<POSITION>,
                {
                    <Self as ::plywood::nn::At<POSITION>>::at(self)
                }

                #accessors
            }

            #at
            #(#fits)*
        };
    }
}

fn strip_defaults(generics: &mut Generics) {
    for param in generics.type_params_mut() {
        param.default = None;
    }
}

/// `impl Layer`: the facts, forward and backward.
fn layer_impl(plan: &Plan, steps: &[Step], name: &Ident, own: &[Ident]) -> TokenStream {
    let (input, output) = (plan.input.ty(), plan.output.ty());
    let kind = name.to_string();
    let tys: Vec<_> = steps.iter().map(|step| &step.ty).collect();
    let infos = plan.layers.iter().map(|layer| {
        let (ty, key) = (&layer.ty, &layer.key);
        let fused = layer.fused.as_ref().map(|_| quote!(.fused()));
        quote!(::plywood::nn::LayerInfo::of::<#ty>(#key)#fused)
    });
    let numel = |ty: &TokenStream| quote!(<<#ty as ::plywood::nn::Layer>::Output as ::plywood::StaticShape>::NUMEL);
    let inner: Vec<_> = tys[..tys.len() - 1].iter().map(|ty| numel(ty)).collect();
    let largest = |sizes: Vec<TokenStream>| {
        sizes.into_iter().reduce(|a, b| quote!(::plywood::__private::max(#a, #b))).unwrap_or_else(|| quote!(0))
    };
    let slot = |parity: usize| largest(inner.iter().skip(parity).step_by(2).cloned().collect());
    let (even, odd) = (slot(0), slot(1));
    let scratch = largest(tys.iter().map(|ty| quote!(<#ty as ::plywood::nn::Layer>::SCRATCH)).collect());
    let init = tys.iter().enumerate().map(|(i, ty)| {
        let (p, index) = (format_ident!("p{i}"), i as u64);
        quote! {
            let (#p, params) = params.split_at_mut(<#ty as ::plywood::nn::Layer>::PARAMS);
            <#ty as ::plywood::nn::Layer>::reset_parameters::<Elem>(#p, &mut rng.stream(#index));
        }
    });
    let init = quote!(#(#init)* let _ = params;);
    let forward = forward(&tys, &inner);
    let backward = backward(&tys, &inner, &even, &odd);
    quote! {
        type Input = #input;
        type Output = #output;
        type View<'a, Other: ::plywood::Float> = #name<#(#own,)* Other, &'a [Other]>;
        const KIND: &'static str = #kind;
        const LAYERS: &'static [::plywood::nn::LayerInfo] = &::plywood::nn::LayerInfo::placed([#(#infos),*]);
        const PARAMS: usize = 0 #(+ <#tys as ::plywood::nn::Layer>::PARAMS)*;
        const MULTIPLY_ADDS: usize = 0 #(+ <#tys as ::plywood::nn::Layer>::MULTIPLY_ADDS)*;
        const SAVED: usize = 0 #(+ #inner)* #(+ <#tys as ::plywood::nn::Layer>::SAVED)*;
        const SCRATCH: usize = #even + #odd + #scratch;

        fn reset_parameters<Elem: ::plywood::Float>(params: &mut [Elem], rng: &mut ::plywood::Generator) {
            let rng = ::plywood::Generator::manual_seed(rng.next_u64());
            #init
        }

        fn view<Elem: ::plywood::Float>(params: &[Elem]) -> Self::View<'_, Elem> {
            #name { parameters: params, layers: ::core::marker::PhantomData }
        }

        fn forward<Elem: ::plywood::Float>(pass: ::plywood::nn::Forward<'_, Elem>) {
            #forward
        }

        fn backward<Elem: ::plywood::Float>(pass: ::plywood::nn::Backward<'_, Elem>) {
            #backward
        }
    }
}

/// Cuts `params`, the kept activations `h…` and what each step keeps for itself out of their blocks.
fn cuts(tys: &[&TokenStream], inner: &[TokenStream], split: &TokenStream) -> TokenStream {
    let mut code = TokenStream::new();
    for (i, ty) in tys.iter().enumerate() {
        let (p, s, h) = (format_ident!("p{i}"), format_ident!("s{i}"), format_ident!("h{i}"));
        code.extend(quote! {
            let (#p, params) = params.split_at(<#ty as ::plywood::nn::Layer>::PARAMS);
            let (#s, saved) = saved.#split(batch * <#ty as ::plywood::nn::Layer>::SAVED);
        });
        if let Some(size) = inner.get(i) {
            code.extend(quote!(let (#h, saved) = saved.#split(batch * #size);));
        }
    }
    quote!(#code let _ = (params, saved);)
}

fn forward(tys: &[&TokenStream], inner: &[TokenStream]) -> TokenStream {
    let cuts = cuts(tys, inner, &quote!(split_at_mut));
    let calls = tys.iter().enumerate().map(|(i, ty)| {
        let (p, s) = (format_ident!("p{i}"), format_ident!("s{i}"));
        let x = previous(i);
        let y = if i + 1 == tys.len() { quote!(y) } else { format_ident!("h{i}").to_token_stream() };
        quote! {
            <#ty as ::plywood::nn::Layer>::forward::<Elem>(::plywood::nn::Forward {
                params: #p, x: #x, y: &mut *#y, saved: #s, batch,
            });
        }
    });
    quote! {
        let ::plywood::nn::Forward { params, x, y, saved, batch } = pass;
        #cuts
        #(#calls)*
    }
}

fn backward(tys: &[&TokenStream], inner: &[TokenStream], even: &TokenStream, odd: &TokenStream) -> TokenStream {
    let cuts = cuts(tys, inner, &quote!(split_at));
    let gradients = tys.iter().enumerate().map(|(i, ty)| {
        let g = format_ident!("g{i}");
        quote!(let (#g, dparams) = dparams.split_at_mut(<#ty as ::plywood::nn::Layer>::PARAMS);)
    });
    // The gradient between two steps lies in one of two slots, by turns.
    let between = |i: usize| {
        let (slot, size) = (if i % 2 == 0 { quote!(even) } else { quote!(odd) }, &inner[i]);
        quote!(&mut #slot[..batch * #size])
    };
    let last = tys.len() - 1;
    let calls = tys.iter().enumerate().rev().map(|(i, ty)| {
        let (p, s, g) = (format_ident!("p{i}"), format_ident!("s{i}"), format_ident!("g{i}"));
        let x = previous(i);
        let y = if i == last { quote!(y) } else { format_ident!("h{i}").to_token_stream() };
        let dy = if i == last { quote!(&mut *dy) } else { between(i) };
        let dx = if i == 0 {
            quote!(dx)
        } else {
            let slot = between(i - 1);
            quote!(::core::option::Option::Some(#slot))
        };
        quote! {
            <#ty as ::plywood::nn::Layer>::backward::<Elem>(::plywood::nn::Backward {
                params: #p, x: #x, y: #y, saved: #s,
                dy: #dy, dx: #dx, dparams: #g, scratch: &mut *scratch, batch,
            });
        }
    });
    let slots = [(quote!(even), even, 0), (quote!(odd), odd, 1)]
        .into_iter()
        .filter(|(.., parity)| inner.len() > *parity)
        .map(|(slot, size, _)| quote!(let (#slot, scratch) = scratch.split_at_mut(batch * #size);));
    quote! {
        let ::plywood::nn::Backward { params, x, y, saved, dy, dx, dparams, scratch, batch } = pass;
        #cuts
        #(#gradients)*
        let _ = dparams;
        #(#slots)*
        #(#calls)*
    }
}

fn previous(i: usize) -> TokenStream {
    match i.checked_sub(1) {
        None => quote!(x),
        Some(before) => format_ident!("h{before}").to_token_stream(),
    }
}

/// The parameters of layer `index` in those of the network.
fn part(plan: &Plan, index: usize) -> TokenStream {
    let before = plan.layers[..index].iter().filter(|layer| layer.params).map(|layer| &layer.ty);
    let ty = &plan.layers[index].ty;
    quote!(&self.parameters.as_slice()[0 #(+ <#before as ::plywood::nn::Layer>::PARAMS)*..][..<#ty as ::plywood::nn::Layer>::PARAMS])
}

fn with_params(plan: &Plan) -> impl Iterator<Item = (usize, &Planned)> {
    plan.layers.iter().enumerate().filter(|(_, layer)| layer.params)
}

fn accessors(plan: &Plan, vis: &syn::Visibility, elem: &Ident) -> TokenStream {
    with_params(plan)
        .filter_map(|(index, layer)| {
            let name = layer.name.as_ref()?;
            let (ty, part) = (&layer.ty, part(plan, index));
            let doc = format!("The parameters of layer {index}, `{name}: {}`.", layer.text);
            Some(quote! {
                #[doc = #doc]
                #vis fn #name(&self) -> <#ty as ::plywood::nn::Layer>::View<'_, #elem> {
                    <#ty as ::plywood::nn::Layer>::view::<#elem>(#part)
                }
            })
        })
        .collect()
}

fn at_impls(
    plan: &Plan,
    name: &Ident,
    own: &[Ident],
    any_impl: &syn::ImplGenerics<'_>,
    where_clause: &Option<syn::WhereClause>,
    elem: &Ident,
    store: &Ident,
) -> TokenStream {
    with_params(plan)
        .map(|(index, layer)| {
            let (ty, part) = (&layer.ty, part(plan, index));
            quote! {
                impl #any_impl ::plywood::nn::At<#index> for #name<#(#own,)* #elem, #store> #where_clause {
                    type View<'a> = <#ty as ::plywood::nn::Layer>::View<'a, #elem> where Self: 'a;

                    fn at(&self) -> Self::View<'_> {
                        <#ty as ::plywood::nn::Layer>::view::<#elem>(#part)
                    }
                }
            }
        })
        .collect()
}

/// A trait of which the message names the layers, and a use of it that compiles only if the types are the same.
fn fit_check(fit: &Fit, generics: &Generics) -> TokenStream {
    let Fit { got, want, message, label, span } = fit;
    let (got, want) = (respan(got.clone(), *span), respan(want.clone(), *span));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let ok = quote_spanned!(*span=> <#got as Fits<#want>>::OK);
    quote! {
        const _: () = {
            #[diagnostic::on_unimplemented(message = #message, label = #label)]
            trait Fits<Want> {
                const OK: () = ();
            }
            #[diagnostic::do_not_recommend]
            impl<Same> Fits<Same> for Same {}
            #[allow(dead_code)]
            fn fits #impl_generics () #where_clause {
                #ok
            }
        };
    }
}

/// The same tokens, all of them at one place in the user's text.
fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let place = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            token = proc_macro2::Group::new(group.delimiter(), respan(group.stream(), span)).into();
        }
        token.set_span(span);
        token
    };
    tokens.into_iter().map(place).collect()
}
